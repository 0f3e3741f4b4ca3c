/** ARP and the neighbour table (RFC 826, RFC 1122 section 2.3.2, RFC 5227). */
import { describe, expect, test } from "vitest";
import {
  CNT_ARP_IN,
  CNT_ARP_OUT,
  CNT_DROP_ARP_MALFORMED,
  CNT_DROP_NEIGHBOUR_FAILED,
  CNT_DROP_NEIGHBOUR_PENDING,
  GAUGE_NEIGHBOUR_PENDING,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";
import { concat, pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  ARP_REPLY,
  ARP_REQUEST,
  arpReplyFrame,
  arpRequestFrame,
  BROADCAST_MAC,
  buildArp,
  buildEthernet,
  ETHERTYPE_ARP,
  icmpFrame,
  ICMP_ECHO_REQUEST,
  padded,
  udpFrame,
  ZERO_MAC,
  type ArpOverrides,
  type ArpPacket,
  type Host,
} from "../support/packet.ts";

const SECOND = 1_000_000;
const STRANGER: Host = { mac: "02:00:0a:00:00:33", ip: "10.0.0.33" };
const NOBODY = { neighbours: [] };

function arpFrame(arp: Partial<ArpPacket>, overrides: ArpOverrides = {}): Uint8Array {
  const packet = {
    operation: ARP_REQUEST,
    senderMac: PEER.mac,
    senderIp: PEER.ip,
    targetMac: ZERO_MAC,
    targetIp: KERNEL.ip,
    ...arp,
  };
  return buildEthernet(
    { source: PEER.mac, destination: BROADCAST_MAC, type: ETHERTYPE_ARP },
    buildArp(packet, overrides),
  );
}

/** A bound UDP port, for datagrams that need a neighbour. */
function bound(k: KernelHarness): number {
  return k.udpBind(5353).handle;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("answers", () => {
    test("a request for its address, to the asker alone", () => {
      const k = startKernel(build, NOBODY);
      const counts = k.counts([CNT_ARP_IN, CNT_ARP_OUT], () =>
        k.deliver(arpRequestFrame(PEER, KERNEL.ip)),
      );
      expect(counts).toEqual([1, 1]);
      const [reply] = k.sent();
      expect(reply.ethernet).toEqual({
        source: KERNEL.mac,
        destination: PEER.mac,
        type: ETHERTYPE_ARP,
      });
      expect(reply.arp).toEqual({
        operation: ARP_REPLY,
        senderMac: KERNEL.mac,
        senderIp: KERNEL.ip,
        targetMac: PEER.mac,
        targetIp: PEER.ip,
      });
      k.nothingSent();
    });

    test("a padded request", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(padded(arpRequestFrame(PEER, KERNEL.ip)));
      expect(k.sent()[0].arp?.operation).toBe(ARP_REPLY);
    });

    test("a probe, whose sender has no address yet (RFC 5227 section 1.1)", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpFrame({ senderIp: "0.0.0.0" }));
      expect(k.sent()[0].arp).toMatchObject({ operation: ARP_REPLY, targetMac: PEER.mac });
    });

    test("no request for another address", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpRequestFrame(PEER, "10.0.0.77"));
      k.nothingSent();
    });

    test("nobody who claims its own address", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpFrame({ senderIp: KERNEL.ip }));
      k.nothingSent();
    });
  });

  describe("refuses", () => {
    test.each([
      ["hardware other than Ethernet", {}, { hardware: 6 }],
      ["a protocol other than IPv4", {}, { protocol: 0x86dd }],
      ["another hardware address length", {}, { hardwareLength: 8 }],
      ["another protocol address length", {}, { protocolLength: 16 }],
      ["operation 0", { operation: 0 }, {}],
      ["operation 3", { operation: 3 }, {}],
      ["a sender with a group address", { senderMac: "03:00:00:00:00:01" }, {}],
      ["a sender with the broadcast address", { senderMac: BROADCAST_MAC }, {}],
      ["a sender without an address", { senderMac: ZERO_MAC }, {}],
      ["a sender with a multicast IP", { senderIp: "224.0.0.1" }, {}],
      ["a sender with the broadcast IP", { senderIp: "10.0.0.255" }, {}],
    ])("%s", (_what, arp, overrides) => {
      const k = startKernel(build, NOBODY);
      const [malformed] = k.counts([CNT_DROP_ARP_MALFORMED], () =>
        k.deliver(arpFrame(arp, overrides)),
      );
      expect(malformed).toBe(1);
      k.nothingSent();
    });

    test.each([0, 1, 8, 20, 27])("a packet of %i bytes", (length) => {
      const k = startKernel(build, NOBODY);
      const frame = arpRequestFrame(PEER, KERNEL.ip).subarray(0, 14 + length);
      const [malformed] = k.counts([CNT_DROP_ARP_MALFORMED], () => k.deliver(frame));
      expect(malformed).toBe(1);
      k.nothingSent();
    });
  });

  describe("asks", () => {
    test("by broadcast for a neighbour it does not know, and then sends what waited", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      k.udpSend(udp, text("one"), { ip: PEER.ip, port: 9 });
      k.udpSend(udp, text("two"), { ip: PEER.ip, port: 9 });
      const [request] = k.sent();
      expect(request.ethernet).toMatchObject({ source: KERNEL.mac, destination: BROADCAST_MAC });
      expect(request.arp).toEqual({
        operation: ARP_REQUEST,
        senderMac: KERNEL.mac,
        senderIp: KERNEL.ip,
        targetMac: ZERO_MAC,
        targetIp: PEER.ip,
      });
      expect(k.gauge(GAUGE_NEIGHBOUR_PENDING)).toBe(2);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      const datagrams = k.sent();
      expect(datagrams.map(({ payload }) => payload)).toEqual([text("one"), text("two")]);
      expect(datagrams.every(({ ethernet }) => ethernet.destination === PEER.mac)).toBe(true);
      expect(k.gauge(GAUGE_NEIGHBOUR_PENDING)).toBe(0);
      k.udpSend(udp, text("three"), { ip: PEER.ip, port: 9 });
      expect(k.sent()).toHaveLength(1);
    });

    test("once a second, three times, and gives up", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      const start = k.now;
      k.udpSend(udp, text("anybody?"), { ip: PEER.ip, port: 9 });
      const [failed] = k.counts([CNT_DROP_NEIGHBOUR_FAILED], () => k.advance(10 * SECOND));
      const requests = k.sent();
      expect(requests.map(({ arp }) => arp?.targetIp)).toEqual([PEER.ip, PEER.ip, PEER.ip]);
      requests.forEach(({ at }, index) => {
        expect(at - start - index * SECOND).toBeGreaterThanOrEqual(0);
        expect(at - start - index * SECOND).toBeLessThanOrEqual(100);
      });
      expect(failed).toBe(1);
      expect(k.gauge(GAUGE_NEIGHBOUR_PENDING)).toBe(0);
      expect(k.deadline()).toBeUndefined();
    });

    test("anew when another packet wants to go out after that", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      k.udpSend(udp, text("one"), { ip: PEER.ip, port: 9 });
      k.advance(5 * SECOND);
      k.sent();
      k.udpSend(udp, text("two"), { ip: PEER.ip, port: 9 });
      expect(k.sent()[0].arp?.operation).toBe(ARP_REQUEST);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      expect(k.sent()[0].payload).toEqual(text("two"));
    });

    test("a late answer is as good", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      k.udpSend(udp, text("patience"), { ip: PEER.ip, port: 9 });
      k.advance(2.5 * SECOND);
      expect(k.sent()).toHaveLength(3);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      expect(k.sent()[0].payload).toEqual(text("patience"));
      k.advance(5 * SECOND);
      k.nothingSent();
    });

    test("keeps the latest packets when too many wait (RFC 1122 section 2.3.2.2)", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      const [dropped] = k.counts([CNT_DROP_NEIGHBOUR_PENDING], () => {
        for (let i = 0; i < 200; i++) k.udpSend(udp, Uint8Array.of(i), { ip: PEER.ip, port: 9 });
      });
      k.sent();
      k.deliver(arpReplyFrame(PEER, KERNEL));
      const order = k.sent().map(({ payload }) => payload[0]);
      expect(order.length).toBe(200 - dropped);
      expect(order.length).toBeGreaterThanOrEqual(1);
      expect(order.length).toBeLessThanOrEqual(64);
      expect(order.at(-1)).toBe(199);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    });

    test("packets to several unknown neighbours wait apart", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      k.udpSend(udp, text("peer"), { ip: PEER.ip, port: 9 });
      k.udpSend(udp, text("stranger"), { ip: STRANGER.ip, port: 9 });
      expect(k.sent().map(({ arp }) => arp?.targetIp)).toEqual([PEER.ip, STRANGER.ip]);
      k.deliver(arpReplyFrame(STRANGER, KERNEL));
      expect(k.sent().map(({ payload }) => payload)).toEqual([text("stranger")]);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      expect(k.sent().map(({ payload }) => payload)).toEqual([text("peer")]);
    });

    test("many TCP connections are opened at once through an unknown neighbour", () => {
      const k = startKernel(build, NOBODY);
      for (let i = 0; i < 64; i++) k.connect(PEER.ip, 7);
      expect(k.sent()[0].arp?.operation).toBe(ARP_REQUEST);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      expect(k.sent().filter(({ tcp }) => tcp?.flags === "S")).toHaveLength(64);
    });

    test("a TCP connection is opened through an unknown neighbour", () => {
      const k = startKernel(build, NOBODY);
      k.connect(PEER.ip, 7);
      expect(k.sent()[0].arp?.operation).toBe(ARP_REQUEST);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      const [syn] = k.sent();
      expect(syn.tcp?.flags).toBe("S");
      expect(syn.ethernet.destination).toBe(PEER.mac);
    });

    test("a connection whose neighbour does not answer is unreachable", () => {
      const k = startKernel(build, NOBODY);
      const { handle } = k.connect(PEER.ip, 7);
      k.advance(4 * SECOND);
      expect(k.event("connected")).toMatchObject({ handle, outcome: RC_UNREACHABLE });
    });
  });

  test("announces itself by a gratuitous request (RFC 5227 section 2.3)", () => {
    const k = startKernel(build, NOBODY);
    k.dataplane.cores[0].kernel.announce();
    k.poll();
    const [packet] = k.sent();
    expect(packet.ethernet.destination).toBe(BROADCAST_MAC);
    expect(packet.arp).toMatchObject({
      operation: ARP_REQUEST,
      senderMac: KERNEL.mac,
      senderIp: KERNEL.ip,
      targetIp: KERNEL.ip,
    });
  });

  test("answers go out through ARP when the asker is unknown", () => {
    const k = startKernel(build, NOBODY);
    const ping = icmpFrame(
      { from: PEER, to: KERNEL },
      { type: ICMP_ECHO_REQUEST, id: 1, sequence: 1, data: text("ping") },
    );
    k.deliver(ping);
    expect(k.sent()[0].arp?.targetIp).toBe(PEER.ip);
    k.deliver(arpReplyFrame(PEER, KERNEL));
    expect(k.sent()[0].icmp?.data).toEqual(text("ping"));
  });

  test("frames that wait survive the buffers they came in", () => {
    const k = startKernel(build, NOBODY);
    const udp = k.udpBind(7).handle;
    const frame = udpFrame(
      { from: PEER, to: KERNEL },
      { sourcePort: 9, destinationPort: 7 },
      pattern(500),
    );
    k.deliver(frame);
    const { token, data } = k.event("udp_recv");
    k.udpSend(udp, data, { ip: PEER.ip, port: 9 });
    k.udpRecvDone(udp, token);
    const noise = icmpFrame({ from: PEER, to: KERNEL }, { type: 13 });
    for (let i = 0; i < 300; i++) k.deliver(noise);
    k.deliver(arpReplyFrame(PEER, KERNEL));
    expect(k.sent().at(-1)?.payload).toEqual(concat(pattern(500)));
  });
});
