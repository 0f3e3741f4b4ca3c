/** The kernel's IPv6 writers and readers against the independent builder. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";
import { concat, hex, readU16, u16, u32 } from "../support/bytes.ts";
import {
  buildIcmpv6,
  buildIpv6,
  buildNdOptions,
  fragmentExtension,
  groupMac,
  ipBytes,
  ipv6Bytes,
  linkLocal,
  macBytes,
  macOption,
  mtuOption,
  NEXT_DESTINATION,
  NEXT_HOP_BY_HOP,
  onesSum,
  optionsExtension,
  prefixOption,
  pseudoHeader,
  routingExtension,
  solicitedGroup,
  type Extension,
} from "../support/packet.ts";

const parts = await compileParts(
  "wire/ethernet.ts",
  "wire/ipv6.ts",
  "wire/extension.ts",
  "wire/icmpv6.ts",
  "wire/ndp.ts",
  "wire/checksum.ts",
);

const AT = 4096;

/** The two u64 of an address, as they lie in memory. */
function halves(ip: string): [high: bigint, low: bigint] {
  const view = new DataView(ipv6Bytes(ip).buffer);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

function unsigned(value: number | bigint): bigint {
  return BigInt.asUintN(64, BigInt(value));
}

const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ipOf = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, i) => readU16(bytes, 2 * i).toString(16)).join(":");

describe.each(parts)("$name", ({ call, memory, globals }) => {
  test("header, for any fields", () => {
    fc.assert(
      fc.property(
        address,
        address,
        fc.nat(255),
        fc.nat(65_535),
        fc.nat(255),
        (a, b, next, n, h) => {
          const [source, destination] = [ipOf(a), ipOf(b)];
          call.emitIpv6(AT, ...halves(source), ...halves(destination), next, n, h);
          const fields = { source, destination, protocol: next, hopLimit: h, payloadLength: n };
          expect(memory.slice(AT, AT + 40)).toEqual(buildIpv6(fields, new Uint8Array()));
          expect(call.ipv6Version(AT)).toBe(6);
          expect(call.ipv6PayloadLength(AT)).toBe(n);
          expect(call.ipv6NextHeader(AT)).toBe(next);
          expect(call.ipv6HopLimit(AT)).toBe(h);
          expect([unsigned(call.ipv6SourceHigh(AT)), unsigned(call.ipv6SourceLow(AT))]).toEqual(
            halves(source),
          );
          const to = [call.ipv6DestinationHigh(AT), call.ipv6DestinationLow(AT)].map(unsigned);
          expect(to).toEqual(halves(destination));
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });

  test("pseudo header's sum, for any addresses", () => {
    fc.assert(
      fc.property(address, address, fc.nat(255), fc.nat(65_535), (a, b, protocol, length) => {
        const [source, destination] = [ipOf(a), ipOf(b)];
        // One colon makes the builder take them for IPv6 whatever they are.
        const plain = onesSum(pseudoHeader(source, destination, protocol, length));
        const sum = call.pseudoHeaderSum6(
          ...halves(source),
          ...halves(destination),
          protocol,
          length,
        );
        expect(sum).toBeLessThan(1 << 18);
        const folded = call.foldSum(sum);
        const swapped = ((folded & 0xff) << 8) | (folded >> 8);
        expect(swapped % 0xffff).toBe(plain % 0xffff);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  test.each([
    ["2001:db8::1", 1],
    ["fe80::1", 1],
    ["::2", 1],
    ["::1", 0],
    ["::", 0],
    ["ff02::1", 0],
    ["ff0e::1", 0],
    ["::ffff:102:304", 0],
  ])("%s may be a host's: %i", (ip, expected) => {
    expect(call.isIpv6Unicast(...halves(ip))).toBe(expected);
  });

  test.each([
    ["fe80::1", 1],
    ["febf::1", 1],
    ["fec0::1", 0],
    ["fe00::1", 0],
    ["2001::", 0],
  ])("%s is link-local: %i", (ip, expected) => {
    expect(call.isLinkLocal(halves(ip)[0])).toBe(expected);
  });

  test("addresses made of others", () => {
    for (const ip of ["2001:db8::1:2", "fe80::aabb:ccff:fedd:eeff", "fe80::1234:5678"]) {
      const group = [
        unsigned(globals.LINK_GROUP.value),
        unsigned(call.solicitedLow(halves(ip)[1])),
      ];
      expect(group).toEqual(halves(solicitedGroup(ip)));
      const mac = macBytes(groupMac(solicitedGroup(ip)));
      const view = new DataView(mac.buffer);
      expect(call.ipv6GroupHead(group[1]) >>> 0).toBe(view.getUint32(0, true));
      expect(call.ipv6GroupTail(group[1])).toBe(view.getUint16(4, true));
    }
    for (const mac of ["02:00:0a:00:00:01", "fe:dc:ba:98:76:54"]) {
      const view = new DataView(macBytes(mac).buffer);
      const low = call.eui64(view.getUint32(0, true), view.getUint16(4, true));
      expect([unsigned(call.linkLocalHigh()), unsigned(low)]).toEqual(halves(linkLocal(mac)));
    }
    const ip4 = new DataView(ipBytes("239.129.2.3").buffer).getUint32(0, true);
    const mac = new DataView(macBytes(groupMac("239.129.2.3")).buffer);
    expect(call.ipv4GroupHead(ip4) >>> 0).toBe(mac.getUint32(0, true));
    expect(call.ipv4GroupTail(ip4)).toBe(mac.getUint16(4, true));
  });

  test("prefixes, bit by bit", () => {
    const bits = (bytes: Uint8Array): string =>
      Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
    fc.assert(
      fc.property(address, fc.nat(128), fc.nat(127), (a, prefix, flip) => {
        const b = a.slice();
        b[flip >> 3] ^= 0x80 >> (flip & 7);
        const [one, other] = [halves(ipOf(a)), halves(ipOf(b))];
        const same = bits(a).slice(0, prefix) === bits(b).slice(0, prefix);
        expect(call.samePrefix(...one, ...other, prefix)).toBe(same ? 1 : 0);
        expect(call.commonPrefix(...one, ...other)).toBe(flip);
        expect(call.commonPrefix(...one, ...one)).toBe(128);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  describe("extension headers", () => {
    /** Walks a packet's chain from the fixed header on. */
    function walk(extensions: readonly Extension[], protocol = 17, payload = 8): number {
      const packet = buildIpv6(
        { source: "fe80::1", destination: "fe80::2", protocol, extensions },
        new Uint8Array(payload),
      );
      memory.fill(0xff, AT, AT + 4096);
      memory.set(packet, AT);
      return call.walkExtensions(memory[AT + 6], AT + 6, AT + 40, AT + packet.length, 1);
    }
    const global = (name: string): number => globals[name].value as number;
    const pad = (type: number): Extension => optionsExtension(type, new Uint8Array());

    test.each([
      ["none", [], "WALK_DONE", 40],
      ["hop-by-hop", [pad(NEXT_HOP_BY_HOP)], "WALK_DONE", 48],
      ["options twice", [pad(NEXT_DESTINATION), pad(NEXT_DESTINATION)], "WALK_DONE", 56],
      ["router alert", [optionsExtension(0, hex("05020000"))], "WALK_DONE", 48],
      ["an option to skip", [optionsExtension(60, hex("1e0401020304"))], "WALK_DONE", 48],
      ["a route that has served", [routingExtension(0, 0)], "WALK_DONE", 48],
      ["a route to go on", [routingExtension(0, 1)], "WALK_PROBLEM", 40],
      ["hop-by-hop behind another", [pad(60), pad(0)], "WALK_PROBLEM", 48],
      ["an option to drop", [optionsExtension(60, hex("5e00"))], "WALK_DISCARD", 40],
      ["an option to tell of", [optionsExtension(60, hex("9e00"))], "WALK_PROBLEM", 40],
      ["more than anybody needs", Array.from({ length: 9 }, () => pad(60)), "WALK_DISCARD", 104],
      ["too many options", [optionsExtension(60, hex("1e00".repeat(17)))], "WALK_DISCARD", 40],
      ["a fragment", [fragmentExtension({ offset: 1480, more: true, id: 7 })], "WALK_FRAGMENT", 40],
    ] as const)("%s", (_what, extensions, result, at) => {
      expect(walk(extensions)).toBe(global(result));
      expect(global("walkAt")).toBe(AT + at);
      if (result === "WALK_DONE") expect(global("walkProtocol")).toBe(17);
    });

    test("a pointer to the byte that is wrong", () => {
      walk([routingExtension(4, 2)]);
      expect([global("problemCode"), global("problemAt")]).toEqual([0, AT + 42]);
      walk([pad(60), optionsExtension(60, hex("c100"))]);
      expect([global("problemCode"), global("problemAt")]).toEqual([2, AT + 50]);
      expect(global("problemAlways")).toBe(0);
      walk([optionsExtension(60, hex("8100"))]);
      expect(global("problemAlways")).toBe(1);
      walk([pad(60), pad(0)]);
      expect([global("problemCode"), global("problemAt")]).toEqual([1, AT + 40]);
    });

    test.each([
      ["a header that is cut short", hex("3b00 0000"), 60],
      ["a length beyond the packet", hex("3b05 0104 0000 0000"), 60],
      ["an option beyond its header", hex("3b00 0105 0000 0000"), 60],
      ["an option without a length", hex("3b00 0103 0000 001e"), 60],
      ["a fragment header that is cut short", hex("3b00 0000"), 44],
    ])("%s", (_what, bytes, type) => {
      memory.set(bytes, AT);
      expect(call.walkExtensions(type, AT - 1, AT, AT + bytes.length, 1)).toBe(
        global("WALK_MALFORMED"),
      );
    });

    test("any bytes end the walk within the packet", () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 200 }),
          fc.constantFrom(0, 43, 44, 60),
          (b, type) => {
            memory.set(b, AT);
            const end = AT + b.length;
            const result = call.walkExtensions(type, AT - 1, AT, end, 1);
            expect(result).toBeLessThanOrEqual(global("WALK_PROBLEM"));
            if (result === global("WALK_DONE")) expect(global("walkAt")).toBeLessThanOrEqual(end);
          },
        ),
        { seed: 4, numRuns: 3000 },
      );
    });

    test("fragment headers, for any fields", () => {
      for (const fields of [
        { offset: 0, more: true, id: 1 },
        { offset: 65_528, more: false, id: 0xffff_fffe },
        { offset: 1448, more: true, id: 0x0102_0304 },
      ]) {
        const { bytes } = fragmentExtension(fields);
        const id = new DataView(u32(fields.id).buffer).getUint32(0, true);
        call.emitFragmentHeader(AT, 17, fields.offset, fields.more ? 1 : 0, id);
        expect(memory.slice(AT, AT + 8)).toEqual(concat(Uint8Array.of(17), bytes.subarray(1)));
        expect(call.fragmentOffset(AT)).toBe(fields.offset);
        expect(call.hasMoreFragments(AT)).toBe(fields.more ? 1 : 0);
        expect(call.fragmentIdentification(AT) >>> 0).toBe(id);
      }
    });
  });

  test("ICMPv6", () => {
    call.emitIcmpv6(AT, 128, 3, 0x0400_0100);
    const plain = buildIcmpv6(
      { type: 128, code: 3, word: 0x0001_0004, checksum: 0 },
      { source: "::1", destination: "::1" },
    );
    expect(memory.slice(AT, AT + 8)).toEqual(plain);
    memory.set(u16(0), AT + 4);
    memory.set(u16(1400), AT + 6);
    expect(call.icmpv6Mtu(AT)).toBe(1400);
  });

  describe("options of neighbour discovery", () => {
    const mac = "02:11:22:33:44:55";
    const options = buildNdOptions([
      macOption(1, mac),
      mtuOption(1400),
      prefixOption({ prefix: "2001:db8:7::", valid: 100, preferred: 50, onLink: false }),
    ]);

    test("are found and read", () => {
      memory.set(options, AT);
      const end = AT + options.length;
      expect(call.areOptionsSound(AT, end)).toBe(1);
      expect(call.findOption(AT, end, 1)).toBe(AT);
      expect(call.findOption(AT, end, 2)).toBe(0);
      expect(call.optionMtu(call.findOption(AT, end, 5))).toBe(1400);
      const prefix = call.findOption(AT, end, 3);
      expect([call.prefixBits(prefix), call.prefixFlags(prefix)]).toEqual([64, 0x40]);
      expect([call.prefixValid(prefix), call.prefixPreferred(prefix)]).toEqual([100, 50]);
      const high = unsigned(call.prefixHigh(prefix));
      expect([high, unsigned(call.prefixLow(prefix))]).toEqual(halves("2001:db8:7::"));
      const view = new DataView(macBytes(mac).buffer);
      expect(call.optionMacHead(AT) >>> 0).toBe(view.getUint32(0, true));
      expect(call.optionMacTail(AT)).toBe(view.getUint16(4, true));
      memory.fill(0, AT, AT + 8);
      call.emitMacOption(AT, 1, view.getUint32(0, true), view.getUint16(4, true));
      expect(memory.slice(AT, AT + 8)).toEqual(options.slice(0, 8));
    });

    test.each([
      ["a length of zero", hex("0100 0211 2233 4455")],
      ["a length beyond the message", hex("0102 0211 2233 4455")],
      ["fewer than eight bytes", hex("0101 0211")],
    ])("with %s are unsound", (_what, bytes) => {
      memory.set(bytes, AT);
      expect(call.areOptionsSound(AT, AT + bytes.length)).toBe(0);
    });
  });
});
