/** IPv4 in and out: every check with its counter, options, routes (RFC 791, RFC 1122 section 3.2.1). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_DESCRIPTOR,
  CNT_DROP_ETHERNET_ADDRESS,
  CNT_DROP_ETHERNET_SHORT,
  CNT_DROP_ETHERTYPE,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_CHECKSUM,
  CNT_DROP_IP_FRAGMENT,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_IP_TTL,
  CNT_DROP_NO_ROUTE,
  CNT_RX_BYTES,
  CNT_RX_PACKETS,
  CNT_TX_BYTES,
  CNT_TX_PACKETS,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { hex, pattern, text } from "../support/bytes.ts";
import { GATEWAY, KERNEL, PEER, startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  BROADCAST_MAC,
  buildEthernet,
  buildTcp,
  icmpFrame,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ipFrame,
  PROTOCOL_TCP,
  UNREACHABLE_PROTOCOL,
  type Ipv4Fields,
  type Path,
} from "../support/packet.ts";

const path: Path = { from: PEER, to: KERNEL };
const echo = { type: ICMP_ECHO_REQUEST, id: 7, sequence: 9, data: text("ping") };

/** An echo request: whatever reaches the upper layers is answered. */
function ping(ip: Partial<Ipv4Fields> = {}): Uint8Array {
  return icmpFrame({ ...path, ip }, echo);
}

describe.each(kernels)("$name kernel", (build) => {
  describe("frames", () => {
    test.each([1, 6, 13])("of %i bytes are too short", (length) => {
      const k = startKernel(build);
      const [short] = k.counts([CNT_DROP_ETHERNET_SHORT], () =>
        k.deliver(ping().subarray(0, length)),
      );
      expect(short).toBe(1);
      k.nothingSent();
    });

    test("to a group of stations carry no packet for this host alone", () => {
      const k = startKernel(build);
      const frame = buildEthernet(
        { source: PEER.mac, destination: "01:00:5e:00:00:01", type: 0x0800 },
        ping().subarray(14),
      );
      const [drops] = k.counts([CNT_DROP_IP_ADDRESS], () => k.deliver(frame));
      expect(drops).toBe(1);
      k.nothingSent();
    });

    test.each([
      ["another station", "02:00:0a:00:00:77"],
      ["an address that differs in its last byte", "02:00:0a:00:00:00"],
    ])("to %s are dropped", (_what, destination) => {
      const k = startKernel(build);
      const frame = buildEthernet(
        { source: PEER.mac, destination, type: 0x0800 },
        ping().subarray(14),
      );
      const [other] = k.counts([CNT_DROP_ETHERNET_ADDRESS], () => k.deliver(frame));
      expect(other).toBe(1);
      k.nothingSent();
    });

    test.each([0x86dd, 0x8100, 0x88cc, 0x0000, 0x002e])("of type %i are dropped", (type) => {
      const k = startKernel(build);
      const frame = buildEthernet(
        { source: PEER.mac, destination: KERNEL.mac, type },
        ping().subarray(14),
      );
      const [unknown] = k.counts([CNT_DROP_ETHERTYPE], () => k.deliver(frame));
      expect(unknown).toBe(1);
      k.nothingSent();
    });

    test("packets and bytes are counted in and out", () => {
      const k = startKernel(build);
      const frame = ping();
      const offsets = [CNT_RX_PACKETS, CNT_RX_BYTES, CNT_TX_PACKETS, CNT_TX_BYTES];
      expect(k.counts(offsets, () => k.deliver(frame))).toEqual([1, frame.length, 1, frame.length]);
    });
  });

  describe("descriptors that a NIC should not write", () => {
    test.each([
      ["an address below the frames", { address: 4096 }],
      ["an address far beyond", { address: 0xffff_f000 }],
      ["a length beyond the frame", { length: 2048 }],
      ["a huge length", { length: 0xffff_ffff }],
    ])("%s", (_what, options) => {
      const k = startKernel(build);
      // The frame under a lost address is the NIC's to answer for, so no leak check here.
      k.nic.receive(ping(), options);
      const [bad] = k.counts([CNT_DROP_DESCRIPTOR], () => k.poll());
      expect(bad).toBe(1);
      k.nothingSent();
      k.deliver(ping());
      expect(k.sent()).toHaveLength(1);
    });

    test("a length of zero", () => {
      const k = startKernel(build);
      k.nic.receive(ping(), { length: 0 });
      const [short] = k.counts([CNT_DROP_ETHERNET_SHORT], () => k.poll());
      expect(short).toBe(1);
    });
  });

  describe("headers", () => {
    test.each([
      ["version 6", { version: 6 }, CNT_DROP_IP_HEADER],
      ["version 0", { version: 0 }, CNT_DROP_IP_HEADER],
      ["a header of 16 bytes", { headerLength: 4 }, CNT_DROP_IP_HEADER],
      ["a header of no bytes", { headerLength: 0 }, CNT_DROP_IP_HEADER],
      ["a header longer than the packet", { headerLength: 15 }, CNT_DROP_IP_HEADER],
      ["a total length below the header", { totalLength: 19 }, CNT_DROP_IP_HEADER],
      ["a total length of zero", { totalLength: 0 }, CNT_DROP_IP_HEADER],
      ["a total length beyond the frame", { totalLength: 33 }, CNT_DROP_IP_HEADER],
      ["a total length of 65535", { totalLength: 65_535 }, CNT_DROP_IP_HEADER],
      ["a wrong checksum", { checksum: 0x1234 }, CNT_DROP_IP_CHECKSUM],
      ["a checksum of zero", { checksum: 0 }, CNT_DROP_IP_CHECKSUM],
      ["TTL 0", { ttl: 0 }, CNT_DROP_IP_TTL],
      ["another destination", { destination: "10.0.0.9" }, CNT_DROP_IP_ADDRESS],
      ["a multicast destination", { destination: "224.0.0.1" }, CNT_DROP_IP_ADDRESS],
      ["a loopback source", { source: "127.0.0.1" }, CNT_DROP_IP_ADDRESS],
      ["a multicast source", { source: "224.0.0.5" }, CNT_DROP_IP_ADDRESS],
      ["a reserved source", { source: "250.1.2.3" }, CNT_DROP_IP_ADDRESS],
      ["a broadcast source", { source: "255.255.255.255" }, CNT_DROP_IP_ADDRESS],
      ["the network's broadcast as source", { source: "10.0.0.255" }, CNT_DROP_IP_ADDRESS],
      ["its own address as source", { source: KERNEL.ip }, CNT_DROP_IP_ADDRESS],
      ["a source of zeros", { source: "0.0.0.0" }, CNT_DROP_IP_ADDRESS],
      [
        "a first fragment that is no multiple of 8",
        { moreFragments: true, dontFragment: false, totalLength: 31 },
        CNT_DROP_IP_FRAGMENT,
      ],
      [
        "a fragment at the greatest offset",
        { fragmentOffset: 65_528, dontFragment: false },
        CNT_DROP_IP_FRAGMENT,
      ],
    ] as const)("with %s are dropped and counted", (_what, fields, counter) => {
      const k = startKernel(build);
      const [drops] = k.counts([counter], () => k.deliver(ping(fields)));
      expect(drops).toBe(1);
      k.nothingSent();
    });

    test.each([0, 1, 8, 19])("of %i bytes are dropped", (length) => {
      const k = startKernel(build);
      const [drops] = k.counts([CNT_DROP_IP_HEADER], () =>
        k.deliver(ping().subarray(0, 14 + length)),
      );
      expect(drops).toBe(1);
    });

    test.each([
      ["TTL 1", { ttl: 1 }],
      ["any TOS", { tos: 0xff }],
      ["any identification", { id: 0xffff }],
      ["DF off", { dontFragment: false }],
    ])("with %s are fine", (_what, fields) => {
      const k = startKernel(build);
      k.deliver(ping(fields));
      expect(k.sent()[0].icmp?.type).toBe(ICMP_ECHO_REPLY);
    });

    test.each([
      ["no operation and end", "01010100"],
      ["record route", "07070400000000"],
      ["router alert", "94040000"],
      ["timestamps that nobody understands", "440c0501000000000000000000"],
      ["forty bytes of no operation", "01".repeat(40)],
      ["nonsense", "ffffffff"],
    ])("with options are answered, the options are skipped: %s", (_what, options) => {
      const k = startKernel(build);
      k.deliver(ping({ options: hex(options) }));
      const [reply] = k.sent();
      expect(reply.icmp).toMatchObject({ type: ICMP_ECHO_REPLY, data: echo.data });
      expect(reply.ip!.options).toHaveLength(0);
    });

    test("a TCP segment behind options finds its way", () => {
      const k = startKernel(build);
      const segment = buildTcp(
        { sourcePort: 5, destinationPort: 6, seq: 9, flags: "S" },
        new Uint8Array(),
        { source: PEER.ip, destination: KERNEL.ip },
      );
      k.deliver(
        ipFrame(path, { protocol: PROTOCOL_TCP, options: hex("9404000007030400") }, segment),
      );
      expect(k.sent()[0].tcp).toMatchObject({ flags: "RA", ack: 10 });
    });

    test("bytes behind the total length are padding, whatever they are", () => {
      const k = startKernel(build);
      const frame = new Uint8Array(200).fill(0xdb);
      frame.set(ping());
      k.deliver(frame);
      expect(k.sent()[0].icmp?.data).toEqual(echo.data);
    });
  });

  describe("broadcast", () => {
    test("a unicast packet in a broadcast frame is dropped (RFC 1122 section 3.3.6)", () => {
      const k = startKernel(build);
      const frame = buildEthernet(
        { source: PEER.mac, destination: BROADCAST_MAC, type: 0x0800 },
        ping().subarray(14),
      );
      const [drops] = k.counts([CNT_DROP_IP_ADDRESS], () => k.deliver(frame));
      expect(drops).toBe(1);
      k.nothingSent();
    });

    test("TCP to a broadcast address is dropped without an answer (RFC 9293 MUST-57)", () => {
      const k = startKernel(build);
      k.listen(80);
      for (const destination of ["255.255.255.255", "10.0.0.255"]) {
        const segment = buildTcp(
          { sourcePort: 5, destinationPort: 80, flags: "S" },
          new Uint8Array(),
          { source: PEER.ip, destination },
        );
        k.deliver(ipFrame(path, { protocol: PROTOCOL_TCP, destination }, segment));
      }
      k.nothingSent();
    });
  });

  describe("protocols", () => {
    test("unknown ones are counted and answered with protocol unreachable", () => {
      const k = startKernel(build);
      const [unknown] = k.counts([CNT_DROP_IP_PROTOCOL], () =>
        k.deliver(ipFrame(path, { protocol: 132 }, pattern(40))),
      );
      expect(unknown).toBe(1);
      const [error] = k.sent();
      expect(error.icmp).toMatchObject({ type: 3, code: UNREACHABLE_PROTOCOL });
    });
  });

  describe("routes", () => {
    const routed = {
      gateway: GATEWAY.ip,
      routes: [
        { to: "192.168.0.0/16", via: "10.0.0.3" },
        { to: "192.168.7.0/24", via: "10.0.0.4" },
        { to: "192.168.7.9/32", via: "10.0.0.5" },
      ],
      neighbours: [
        PEER,
        GATEWAY,
        { ip: "10.0.0.3", mac: "02:00:00:00:00:03" },
        { ip: "10.0.0.4", mac: "02:00:00:00:00:04" },
        { ip: "10.0.0.5", mac: "02:00:00:00:00:05" },
      ],
    };

    test.each([
      ["the attached network", PEER.ip, PEER.mac],
      ["a route", "192.168.1.1", "02:00:00:00:00:03"],
      ["a longer prefix", "192.168.7.1", "02:00:00:00:00:04"],
      ["the longest prefix", "192.168.7.9", "02:00:00:00:00:05"],
      ["the default gateway", "8.8.8.8", GATEWAY.mac],
    ])("through %s", (_what, ip, mac) => {
      const k = startKernel(build, routed);
      const udp = k.udpBind(1000).handle;
      expect(k.udpSend(udp, text("x"), { ip, port: 9 })).toBe(1);
      const [packet] = k.sent();
      expect(packet.ethernet.destination).toBe(mac);
      expect(packet.ip!.destination).toBe(ip);
    });

    test("answers take them too", () => {
      const k = startKernel(build, routed);
      k.deliver(icmpFrame({ from: { mac: GATEWAY.mac, ip: "8.8.8.8" }, to: KERNEL }, echo));
      expect(k.sent()[0].ethernet.destination).toBe(GATEWAY.mac);
    });

    test("without one nothing is sent, and it is counted", () => {
      const k = startKernel(build);
      const udp = k.udpBind(1000).handle;
      const [unrouted] = k.counts([CNT_DROP_NO_ROUTE], () => {
        expect(k.udpSend(udp, text("x"), { ip: "8.8.8.8", port: 9 })).toBe(RC_UNREACHABLE);
      });
      expect(unrouted).toBe(1);
      k.deliver(icmpFrame({ from: { mac: PEER.mac, ip: "8.8.8.8" }, to: KERNEL }, echo));
      k.nothingSent();
    });

    test("what is for itself goes to its own MAC", () => {
      const k = startKernel(build, routed);
      const udp = k.udpBind(1000).handle;
      expect(k.udpSend(udp, text("x"), { ip: KERNEL.ip, port: 9 })).toBe(1);
      const [{ ethernet, ip }] = k.sent();
      expect(ethernet).toMatchObject({ source: KERNEL.mac, destination: KERNEL.mac });
      expect(ip).toMatchObject({ source: KERNEL.ip, destination: KERNEL.ip });
    });

    test.each(["127.0.0.1", "0.0.0.0", "240.0.0.1"])("there is none to %s", (ip) => {
      const k = startKernel(build, routed);
      const udp = k.udpBind(1000).handle;
      expect(k.udpSend(udp, text("x"), { ip, port: 9 })).toBeLessThan(0);
      k.nothingSent();
    });

    test.each(["255.255.255.255", "10.0.0.255"])("%s goes to all stations", (ip) => {
      const k = startKernel(build);
      const udp = k.udpBind(1000).handle;
      expect(k.udpSend(udp, text("x"), { ip, port: 9 })).toBe(1);
      expect(k.sent()[0].ethernet.destination).toBe(BROADCAST_MAC);
    });

    test.each([
      ["10.0.0.1/8", "10.200.3.4", true],
      ["10.0.0.1/30", "10.0.0.2", true],
      ["10.0.0.1/30", "10.0.0.4", false],
      ["10.0.0.1/31", "10.0.0.0", true],
      ["10.0.0.1/25", "10.0.0.129", false],
    ])("of %s, %s is attached: %s", (ip, destination, attached) => {
      const k = startKernel(build, { ip, neighbours: [] });
      const udp = k.udpBind(1000).handle;
      const result = k.udpSend(udp, text("x"), { ip: destination, port: 9 });
      expect(result).toBe(attached ? 1 : RC_UNREACHABLE);
      if (attached) expect(k.sent()[0].arp?.targetIp).toBe(destination);
    });
  });
});
