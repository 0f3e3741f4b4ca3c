/** IPv6 in and out: every check with its counter, extension headers, errors, routes (RFC 8200, RFC 4443). */
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_ETHERTYPE,
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_EXTENSION,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_NO_ROUTE,
  CNT_DROP_UDP_CHECKSUM,
  CNT_ICMP_LIMITED,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { hex, pattern, text } from "../support/bytes.ts";
import {
  KERNEL,
  KERNEL6,
  PEER,
  startKernel,
  type HarnessOptions,
  type KernelHarness,
} from "../support/kernel.ts";
import { NEAR, PEER6, startKernel6 } from "../support/kernel6.ts";
import { kernels } from "../support/kernels.ts";
import {
  groupMac,
  icmpv6Frame,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ip6Frame,
  linkLocal,
  optionsExtension,
  parseQuote6,
  routingExtension,
  udpFrame,
  type Extension,
  type Host,
  type Ipv6Fields,
  type Path,
} from "../support/packet.ts";

const path: Path = { from: PEER6, to: KERNEL6 };
const echo = { type: ICMPV6_ECHO_REQUEST, word: 0x0007_0009, data: text("ping") };

/** An echo request: whatever reaches the upper layers is answered. */
function ping(ip6: Partial<Ipv6Fields> = {}): Uint8Array {
  return icmpv6Frame({ ...path, ip6 }, echo);
}

describe.each(kernels)("$name kernel", (build) => {
  const start = (options?: HarnessOptions): KernelHarness => startKernel6(build, options);

  test("without the option there is no IPv6", () => {
    const k = startKernel(build);
    const [drops] = k.counts([CNT_DROP_ETHERTYPE], () => k.deliver(ping()));
    expect(drops).toBe(1);
    expect(k.udpSend(k.udpBind(53).handle, text("x"), { ip: PEER6.ip, port: 9 })).toBe(
      RC_UNREACHABLE,
    );
    k.advance(5_000_000);
    k.nothingSent();
  });

  test.each([
    ["a global address", path],
    ["a link-local one", { from: NEAR, to: { mac: KERNEL.mac, ip: linkLocal(KERNEL.mac) } }],
  ])("an echo is answered from %s", (_what, way) => {
    const k = start();
    k.deliver(icmpv6Frame(way, echo));
    const [reply] = k.sent();
    expect(reply.ip6).toMatchObject({
      source: way.to.ip,
      destination: way.from.ip,
      hopLimit: 64,
      extensions: [],
    });
    expect(reply.ethernet.destination).toBe(PEER.mac);
    expect(reply.icmp6).toMatchObject({
      type: ICMPV6_ECHO_REPLY,
      word: 0x0007_0009,
      data: echo.data,
    });
  });

  test("an echo to all nodes is answered from our own address", () => {
    const k = start();
    k.deliver(icmpv6Frame({ from: NEAR, to: { mac: groupMac("ff02::1"), ip: "ff02::1" } }, echo));
    expect(k.sent()[0].ip6).toMatchObject({
      source: linkLocal(KERNEL.mac),
      destination: NEAR.ip,
    });
  });

  test.each([
    ["version 4", { version: 4 }, CNT_DROP_IP_HEADER],
    ["a payload beyond the frame", { payloadLength: 13 }, CNT_DROP_IP_HEADER],
    ["a payload of 64 KiB", { payloadLength: 65_535 }, CNT_DROP_IP_HEADER],
    ["another destination", { destination: "2001:db8::9" }, CNT_DROP_IP_ADDRESS],
    ["a group as source", { source: "ff02::1" }, CNT_DROP_IP_ADDRESS],
    ["no source", { source: "::" }, CNT_DROP_IP_ADDRESS],
    ["loopback as source", { source: "::1" }, CNT_DROP_IP_ADDRESS],
    ["an IPv4-mapped source", { source: "::ffff:a00:2" }, CNT_DROP_IP_ADDRESS],
    ["our own address as source", { source: KERNEL6.ip }, CNT_DROP_IP_ADDRESS],
    ["a group in a frame for us alone", { destination: "ff02::1" }, CNT_DROP_IP_ADDRESS],
  ] as const)("with %s it is dropped and counted", (_what, fields, counter) => {
    const k = start();
    const [drops] = k.counts([counter], () => k.deliver(ping(fields)));
    expect(drops).toBe(1);
    k.nothingSent();
  });

  test.each([0, 1, 39])("of %i bytes it is dropped", (length) => {
    const k = start();
    const [drops] = k.counts([CNT_DROP_IP_HEADER], () =>
      k.deliver(ping().subarray(0, 14 + length)),
    );
    expect(drops).toBe(1);
  });

  test("a damaged message, and UDP without a checksum, are dropped", () => {
    const k = start();
    k.udpBind(53);
    const damaged = ping();
    damaged[60] ^= 1;
    const bare = udpFrame(
      path,
      { sourcePort: 9, destinationPort: 53, checksum: "none" },
      text("x"),
    );
    const offsets = [CNT_DROP_ICMP_CHECKSUM, CNT_DROP_UDP_CHECKSUM];
    expect(k.counts(offsets, () => k.deliver(damaged, bare))).toEqual([1, 1]);
    k.noEvents();
  });

  test("a verified checksum is taken on the NIC's word, but not behind extension headers", () => {
    const k = start({ offloads: { rxChecksum: true, txChecksum: true, rxHash: true } });
    const { handle } = k.udpBind(53);
    const wrong = { sourcePort: 9, destinationPort: 53, checksum: 1 };
    k.inject(udpFrame(path, wrong, text("x")), { checksumOk: true });
    k.poll();
    expect(k.event("udp_recv").data).toEqual(text("x"));
    const extensions = [optionsExtension(60, hex("1e00"))];
    const behind = udpFrame({ ...path, ip6: { extensions } }, wrong, text("x"));
    const [drops] = k.counts([CNT_DROP_UDP_CHECKSUM], () => {
      k.inject(behind, { checksumOk: true });
      k.poll();
    });
    expect(drops).toBe(1);
    // Sent ones are completed by the NIC: the parser would refuse them otherwise.
    expect(k.udpSend(handle, pattern(1200), { ip: PEER6.ip, port: 9 })).toBe(1200);
    expect(k.udpSend(handle, pattern(20), { ip: PEER6.ip, port: 9 })).toBe(20);
    expect(k.sent().map(({ payload }) => payload.length)).toEqual([1200, 20]);
  });

  describe("extension headers", () => {
    const behind = (...extensions: Extension[]): Uint8Array => ping({ extensions });

    test("are walked over", () => {
      const k = start();
      const skipped = optionsExtension(60, hex("1e0401020304"));
      k.deliver(behind(optionsExtension(0, hex("05020000")), skipped, routingExtension(0, 0)));
      expect(k.sent()[0].icmp6?.type).toBe(ICMPV6_ECHO_REPLY);
    });

    test.each([
      ["an option that nobody knows", [optionsExtension(60, hex("9e00"))], 2, 42],
      ["a route that goes on", [routingExtension(0, 1)], 0, 42],
      [
        "hop-by-hop in the wrong place",
        [optionsExtension(60, hex("")), optionsExtension(0, hex(""))],
        1,
        40,
      ],
    ] as const)("%s is told of, with a pointer", (_what, extensions, code, pointer) => {
      const k = start();
      const frame = behind(...extensions);
      const [drops] = k.counts([CNT_DROP_IP_EXTENSION], () => k.deliver(frame));
      expect(drops).toBe(1);
      const [error] = k.sent();
      expect(error.icmp6).toMatchObject({ type: 4, code, word: pointer });
      expect(error.icmp6!.data).toEqual(frame.slice(14));
    });

    test("an option that asks for it is dropped in silence", () => {
      const k = start();
      k.deliver(behind(optionsExtension(60, hex("5e00"))));
      k.nothingSent();
    });
  });

  describe("errors", () => {
    test("a protocol that nobody speaks", () => {
      const k = start();
      const frame = ip6Frame(path, { protocol: 132 }, pattern(20));
      const [drops] = k.counts([CNT_DROP_IP_PROTOCOL], () => k.deliver(frame));
      expect(drops).toBe(1);
      expect(k.sent()[0].icmp6).toMatchObject({ type: 4, code: 1, word: 6 });
      k.deliver(ip6Frame(path, { protocol: 59 }, pattern(20)));
      k.nothingSent();
    });

    test("a port that nobody has bound; as much quoted as 1280 bytes take", () => {
      const k = start();
      k.deliver(udpFrame(path, { sourcePort: 9, destinationPort: 53 }, pattern(1400)));
      const [error] = k.sent();
      expect(error.icmp6).toMatchObject({ type: 1, code: 4 });
      expect(error.frame.length).toBe(14 + 1280);
      expect(parseQuote6(error.icmp6!).header).toMatchObject({
        source: PEER6.ip,
        destination: KERNEL6.ip,
        protocol: 17,
      });
    });

    test("none to a group, about an error, or to nobody", () => {
      const k = start();
      const all: Path = { from: PEER6, to: { mac: groupMac("ff02::1"), ip: "ff02::1" } };
      k.deliver(udpFrame(all, { sourcePort: 9, destinationPort: 53 }));
      k.deliver(ip6Frame(all, { protocol: 132 }, pattern(20)));
      const extensions = [optionsExtension(60, hex("9e00"))];
      k.deliver(icmpv6Frame({ ...path, ip6: { extensions } }, { type: 1, data: pattern(60) }));
      expect(k.sent()).toHaveLength(1);
    });

    test("no more of them than the rate limit lets out", () => {
      const k = start();
      const frame = udpFrame(path, { sourcePort: 9, destinationPort: 53 });
      const [limited] = k.counts([CNT_ICMP_LIMITED], () =>
        k.deliver(...Array.from({ length: 80 }, () => frame)),
      );
      expect(limited).toBe(30);
      expect(k.sent()).toHaveLength(50);
    });
  });

  describe("routes", () => {
    const via: Host = { mac: "02:00:0a:00:00:fe", ip: "2001:db8::fe" };
    const other: Host = { mac: "02:00:0a:00:00:fd", ip: "fe80::fd" };

    test("through a prefix, the longest one, and the default gateway", () => {
      const k = start({
        neighbours: [PEER6, via, other],
        gateway6: via.ip,
        routes: [
          { to: "2001:db8:7::/48", via: other.ip },
          { to: "10.1.0.0/16", via: "10.0.0.9" },
          { to: "2001:db8:7:1::/64", via: via.ip },
        ],
      });
      const { handle } = k.udpBind(53);
      for (const [ip, mac] of [
        [PEER6.ip, PEER6.mac],
        ["2001:db8:7::1", other.mac],
        ["2001:db8:7:1::1", via.mac],
        ["2a00::1", via.mac],
      ]) {
        expect(k.udpSend(handle, text("x"), { ip, port: 9 })).toBe(1);
        const [packet] = k.sent();
        expect(packet.ethernet.destination).toBe(mac);
        expect(packet.ip6).toMatchObject({ source: KERNEL6.ip, destination: ip });
      }
    });

    test("without one nothing is sent, and it is counted", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      for (const ip of ["2a00::1", "::", "::1"]) {
        const [unrouted] = k.counts([CNT_DROP_NO_ROUTE], () => {
          expect(k.udpSend(handle, text("x"), { ip, port: 9 })).toBe(RC_UNREACHABLE);
        });
        expect(unrouted).toBe(1);
      }
      k.nothingSent();
    });

    test("to the link from the link-local address, to a group by its MAC with hop limit 1", () => {
      const k = start();
      const { handle } = k.udpBind(53);
      k.udpSend(handle, text("x"), { ip: NEAR.ip, port: 9 });
      k.udpSend(handle, text("x"), { ip: "ff02::fb", port: 9 });
      const [near, group] = k.sent();
      expect(near.ip6).toMatchObject({ source: linkLocal(KERNEL.mac), hopLimit: 64 });
      expect(group.ip6).toMatchObject({ source: linkLocal(KERNEL.mac), hopLimit: 1 });
      expect(group.ethernet.destination).toBe(groupMac("ff02::fb"));
    });
  });

  test("datagrams go both ways", () => {
    const k = start();
    const { handle } = k.udpBind(53);
    k.deliver(udpFrame(path, { sourcePort: 9999, destinationPort: 53 }, pattern(700)));
    const event = k.event("udp_recv");
    expect(event).toMatchObject({ remoteIp: PEER6.ip, remotePort: 9999, data: pattern(700) });
    k.udpRecvDone(handle, event.token);
    for (const size of [0, 1, 1023, 1024, 1452]) {
      expect(k.udpSend(handle, pattern(size), { ip: PEER6.ip, port: 9999 })).toBe(size);
      const [packet] = k.sent();
      expect(packet.ip6).toMatchObject({ source: KERNEL6.ip, destination: PEER6.ip });
      expect(packet.udp).toMatchObject({ sourcePort: 53, destinationPort: 9999 });
      expect(packet.payload).toEqual(pattern(size));
    }
  });
});
