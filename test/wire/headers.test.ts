/** The kernel's header writers and readers against the independent builder. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";
import { hex, readU16, readU32 } from "../support/bytes.ts";
import {
  buildArp,
  buildEthernet,
  buildIpv4,
  buildTcp,
  ipv4Bytes,
  macBytes,
} from "../support/packet.ts";

const parts = await compileParts(
  "wire/ethernet.ts",
  "wire/arp.ts",
  "wire/ipv4.ts",
  "wire/udp.ts",
  "wire/icmp.ts",
  "wire/tcp.ts",
);

const AT = 4096;
const MAC_A = "02:11:22:33:44:55";
const MAC_B = "06:aa:bb:cc:dd:ee";
const IP_A = "192.0.2.1";
const IP_B = "198.51.100.254";

/** Address words as they lie in memory. */
function ipWord(ip: string): number {
  return new DataView(ipv4Bytes(ip).buffer).getUint32(0, true);
}

function macWords(mac: string): [head: number, tail: number] {
  const view = new DataView(macBytes(mac).buffer);
  return [view.getUint32(0, true), view.getUint16(4, true)];
}

const byte = fc.integer({ min: 0, max: 255 });
const port = fc.integer({ min: 0, max: 0xffff });
const word = fc.integer({ min: 0, max: 0xffff_ffff });

describe.each(parts)("$name", ({ call, memory, globals }) => {
  /** What an emitter wrote at AT, in front of bytes that it must leave alone. */
  function written(length: number, emit: () => void): Uint8Array {
    memory.fill(0x5a, AT - 16, AT + length + 16);
    emit();
    expect(memory.slice(AT - 16, AT)).toEqual(new Uint8Array(16).fill(0x5a));
    expect(memory.slice(AT + length, AT + length + 16)).toEqual(new Uint8Array(16).fill(0x5a));
    return memory.slice(AT, AT + length);
  }

  test("Ethernet", () => {
    const [toHead, toTail] = macWords(MAC_A);
    const [fromHead, fromTail] = macWords(MAC_B);
    for (const [name, type] of [
      ["ETHERTYPE_IPV4", 0x0800],
      ["ETHERTYPE_ARP", 0x0806],
    ] as const) {
      const inMemory = globals[name].value as number;
      const bytes = written(14, () =>
        call.emitEthernetHeader(AT, toHead, toTail, fromHead, fromTail, inMemory),
      );
      expect(bytes).toEqual(
        buildEthernet({ destination: MAC_A, source: MAC_B, type }, new Uint8Array()),
      );
      expect(call.ethernetDestinationHead(AT) >>> 0).toBe(toHead);
      expect(call.ethernetDestinationTail(AT)).toBe(toTail);
      expect(call.ethernetSourceHead(AT) >>> 0).toBe(fromHead);
      expect(call.ethernetSourceTail(AT)).toBe(fromTail);
      expect(call.etherType(AT)).toBe(inMemory);
    }
    expect(call.isGroupMac(macWords("ff:ff:ff:ff:ff:ff")[0])).toBe(1);
    expect(call.isGroupMac(macWords("01:00:5e:00:00:01")[0])).toBe(1);
    expect(call.isGroupMac(toHead)).toBe(0);
  });

  test("ARP", () => {
    for (const [name, operation] of [
      ["ARP_REQUEST", 1],
      ["ARP_REPLY", 2],
    ] as const) {
      const bytes = written(28, () =>
        call.emitArp(
          AT,
          globals[name].value as number,
          ...macWords(MAC_A),
          ipWord(IP_A),
          ...macWords(MAC_B),
          ipWord(IP_B),
        ),
      );
      const arp = { operation, senderMac: MAC_A, senderIp: IP_A, targetMac: MAC_B, targetIp: IP_B };
      expect(bytes).toEqual(buildArp(arp));
      expect(call.isArp(AT, 28)).toBe(1);
      expect(call.isArp(AT, 27)).toBe(0);
      expect(call.arpSenderIp(AT) >>> 0).toBe(ipWord(IP_A));
      expect(call.arpTargetIp(AT) >>> 0).toBe(ipWord(IP_B));
    }
  });

  test("IPv4, checksum and all, for any fields", () => {
    fc.assert(
      fc.property(
        word,
        word,
        byte,
        fc.nat(65_515),
        byte,
        port,
        (from, to, protocol, length, ttl, id) => {
          const source = [from & 255, (from >> 8) & 255, (from >> 16) & 255, from >>> 24].join(".");
          const destination = [to & 255, (to >> 8) & 255, (to >> 16) & 255, to >>> 24].join(".");
          const bytes = written(20, () => call.emitIpv4(AT, from, to, protocol, length, ttl, id));
          const fields = { source, destination, protocol, ttl, id, totalLength: length + 20 };
          const plain = buildIpv4(fields, new Uint8Array());
          // A sum of zero has two representations.
          if (readU16(plain, 10) === 0 || readU16(plain, 10) === 0xffff) return;
          expect(bytes).toEqual(plain);
          expect(call.ipv4TotalLength(AT)).toBe(length + 20);
          expect(call.ipv4HeaderLength(AT)).toBe(20);
          expect(call.isIpv4Fragment(AT)).toBe(0);
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });

  test.each([
    [0x0000, 0],
    [0x4000, 0],
    [0x8000, 0],
    [0x2000, 1],
    [0x0001, 1],
    [0x1fff, 1],
    [0x6000, 1],
    [0x00ff, 1],
    [0x1f00, 1],
  ])("flags and offset %i: fragment %i", (field, fragment) => {
    memory[AT + 6] = field >> 8;
    memory[AT + 7] = field & 255;
    expect(call.isIpv4Fragment(AT)).toBe(fragment);
  });

  test.each([
    ["1.2.3.4", 1],
    ["223.255.255.255", 1],
    ["126.0.0.1", 1],
    ["128.0.0.1", 1],
    ["0.0.0.0", 0],
    ["0.1.2.3", 0],
    ["127.0.0.1", 0],
    ["224.0.0.1", 0],
    ["240.0.0.1", 0],
    ["255.255.255.255", 0],
  ])("%s may be a host's: %i", (ip, expected) => {
    expect(call.isIpv4Unicast(ipWord(ip))).toBe(expected);
  });

  test("masks of every prefix", () => {
    for (let prefix = 0; prefix <= 32; prefix++) {
      memory.fill(0, AT, AT + 4);
      new DataView(memory.buffer).setUint32(AT, call.ipv4Mask(prefix) >>> 0, true);
      const bits = readU32(memory, AT).toString(2).padStart(32, "0");
      expect(bits).toBe("1".repeat(prefix) + "0".repeat(32 - prefix));
    }
  });

  test("UDP", () => {
    const bytes = written(8, () => call.emitUdp(AT, 53, 40_000, 1234));
    expect(bytes).toEqual(hex("0035 9c40 04d2 0000"));
    expect(call.udpSourcePort(AT)).toBe(53);
    expect(call.udpDestinationPort(AT)).toBe(40_000);
    expect(call.udpLength(AT)).toBe(1234);
  });

  test("TCP, for any fields", () => {
    fc.assert(
      fc.property(port, port, word, word, byte, port, (from, to, seq, ack, flags, window) => {
        const ports = ((to & 255) << 24) | ((to >> 8) << 16) | ((from & 255) << 8) | (from >> 8);
        const bytes = written(20, () => call.emitTcp(AT, ports, seq, ack, flags, window, 0));
        const letters = [..."FSRPAUEW"].filter((_, bit) => (flags >> bit) & 1).join("");
        const plain = buildTcp(
          {
            sourcePort: from,
            destinationPort: to,
            seq,
            ack,
            flags: letters,
            window,
            checksum: 0,
          },
          new Uint8Array(),
          { source: IP_A, destination: IP_B },
        );
        expect(bytes).toEqual(plain);
        expect(call.tcpSeq(AT) >>> 0).toBe(seq);
        expect(call.tcpAck(AT) >>> 0).toBe(ack);
        expect(call.tcpFlags(AT)).toBe(flags);
        expect(call.tcpWindow(AT)).toBe(window);
        expect(call.tcpHeaderLength(AT)).toBe(20);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
