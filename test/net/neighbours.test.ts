/** What is learned about neighbours, kept, and asked again (RFC 826, RFC 1122 section 2.3.2.1). */
import { describe, expect, test } from "vitest";
import { pattern, text } from "../support/bytes.ts";
import { KERNEL, PEER, startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import {
  ARP_REQUEST,
  arpReplyFrame,
  arpRequestFrame,
  BROADCAST_MAC,
  type Host,
} from "../support/packet.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
const STRANGER: Host = { mac: "02:00:0a:00:00:33", ip: "10.0.0.33" };
const NOBODY = { neighbours: [] };

/** A bound UDP port, for datagrams that need a neighbour. */
function bound(k: KernelHarness): number {
  return k.udpBind(5353).handle;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("learns", () => {
    test("from a request for its address: the asker will want an answer", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpRequestFrame(PEER, KERNEL.ip));
      k.sent();
      k.udpSend(bound(k), text("hello"), { ip: PEER.ip, port: 9 });
      expect(k.sent()[0].payload).toEqual(text("hello"));
    });

    test("nothing from requests for others (RFC 826: merge only)", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpRequestFrame(PEER, "10.0.0.77"));
      k.udpSend(bound(k), text("hello"), { ip: PEER.ip, port: 9 });
      expect(k.sent()[0].arp?.operation).toBe(ARP_REQUEST);
    });

    test("nothing from a reply it did not ask for", () => {
      const k = startKernel(build, NOBODY);
      k.deliver(arpReplyFrame(STRANGER, KERNEL));
      k.udpSend(bound(k), text("hello"), { ip: STRANGER.ip, port: 9 });
      expect(k.sent()[0].arp?.operation).toBe(ARP_REQUEST);
    });

    test("nothing about addresses beyond its own network", () => {
      const k = startKernel(build, { ...NOBODY, gateway: "10.0.0.254" });
      k.deliver(arpRequestFrame({ mac: STRANGER.mac, ip: "192.0.2.5" }, KERNEL.ip));
      k.sent();
      k.udpSend(bound(k), text("hello"), { ip: "192.0.2.5", port: 9 });
      expect(k.sent()[0].arp?.targetIp).toBe("10.0.0.254");
    });

    test("a new address from a gratuitous announcement", () => {
      const k = startKernel(build, NOBODY);
      const udp = bound(k);
      k.deliver(arpRequestFrame(PEER, KERNEL.ip));
      k.sent();
      const moved = { mac: "02:00:0a:00:00:99", ip: PEER.ip };
      k.deliver(arpRequestFrame(moved, moved.ip));
      k.udpSend(udp, text("hello"), { ip: PEER.ip, port: 9 });
      expect(k.sent()[0].ethernet.destination).toBe(moved.mac);
    });

    test("nothing that contradicts a static entry", () => {
      const k = startKernel(build);
      const impostor = { mac: "02:66:66:66:66:66", ip: PEER.ip };
      k.deliver(arpRequestFrame(impostor, KERNEL.ip));
      k.deliver(arpReplyFrame(impostor, KERNEL));
      k.deliver(arpRequestFrame(impostor, impostor.ip));
      k.sent();
      k.udpSend(bound(k), text("hello"), { ip: PEER.ip, port: 9 });
      expect(k.sent()[0].ethernet.destination).toBe(PEER.mac);
    });

    test("more neighbours than the table holds, one after the other", () => {
      const k = startKernel(build, { neighbours: [], tables: { neighbours: 16 } });
      const udp = bound(k);
      for (let i = 2; i < 200; i++) {
        const host = {
          mac: `02:00:0a:00:01:${i.toString(16).padStart(2, "0")}`,
          ip: `10.0.0.${i}`,
        };
        k.udpSend(udp, text(host.ip), { ip: host.ip, port: 9 });
        k.deliver(arpReplyFrame(host, KERNEL));
        expect(k.sent().at(-1)).toMatchObject({
          payload: text(host.ip),
          ethernet: { destination: host.mac },
        });
      }
    });
  });

  describe("refreshes", () => {
    const REFRESH = { neighbours: [], neighbourRefresh: 10 * SECOND };

    test("a neighbour in use is asked again, at its own address, while packets go on", () => {
      const k = startKernel(build, REFRESH);
      const udp = bound(k);
      k.udpSend(udp, text("x"), { ip: PEER.ip, port: 9 });
      k.deliver(arpReplyFrame(PEER, KERNEL));
      k.sent();
      const requests = [];
      for (let i = 0; i < 25; i++) {
        k.udpSend(udp, text("x"), { ip: PEER.ip, port: 9 });
        k.advance(SECOND);
        const sent = k.sent();
        expect(sent.filter(({ udp }) => udp)).toHaveLength(1);
        for (const packet of sent.filter(({ arp }) => arp)) {
          requests.push(packet);
          k.deliver(arpReplyFrame(PEER, KERNEL));
        }
      }
      expect(requests.length).toBeGreaterThanOrEqual(2);
      expect(requests.length).toBeLessThanOrEqual(4);
      for (const { ethernet } of requests) expect(ethernet.destination).toBe(PEER.mac);
    });

    test("one that does not answer any more is forgotten", () => {
      const k = startKernel(build, REFRESH);
      const udp = bound(k);
      k.udpSend(udp, text("x"), { ip: PEER.ip, port: 9 });
      k.deliver(arpReplyFrame(PEER, KERNEL));
      for (let i = 0; i < 14; i++) {
        k.udpSend(udp, text("x"), { ip: PEER.ip, port: 9 });
        k.advance(SECOND);
      }
      const last = k.sent().at(-1)!;
      expect(last.arp?.operation).toBe(ARP_REQUEST);
      expect(last.ethernet.destination).toBe(BROADCAST_MAC);
    });

    test.each([
      ["copied", 700, {}],
      ["referenced", 4000, {}],
      ["referenced, with checksums by the NIC", 4000, { txChecksum: true }],
    ])("data that is %s waits while a lost neighbour is asked for", (_what, length, nic) => {
      const k = startKernel(build, {
        ...REFRESH,
        offloads: { rxChecksum: false, txChecksum: false, rxHash: false, ...nic },
      });
      k.deliver(arpRequestFrame(PEER, KERNEL.ip));
      k.sent();
      const peer = TcpPeer.established(k);
      // Nobody answers the probes, so the address is forgotten; then there is data to send.
      k.advance(15 * SECOND);
      k.sent();
      expect(k.send(peer.handle, pattern(length))).toBe(length);
      peer.expectNothing();
      expect(k.sent().map(({ arp }) => arp?.targetIp)).toEqual([PEER.ip]);
      k.deliver(arpReplyFrame(PEER, KERNEL));
      for (let i = 0; i < 4; i++) {
        peer.takeAll();
        peer.ack();
        k.advance(SECOND);
      }
      expect(peer.stream()).toEqual(pattern(length));
    });

    test.each([
      ["copied", 700],
      ["referenced", 3000],
    ])("%s data outlives a neighbour that is silent for a minute", (_what, length) => {
      const k = startKernel(build, REFRESH);
      k.deliver(arpRequestFrame(PEER, KERNEL.ip));
      k.sent();
      const peer = TcpPeer.established(k);
      k.advance(15 * SECOND);
      expect(k.send(peer.handle, pattern(length))).toBe(length);
      k.advance(60 * SECOND);
      k.noEvents();
      k.sent();
      k.deliver(arpReplyFrame(PEER, KERNEL));
      for (let i = 0; i < 10; i++) {
        k.advance(20 * SECOND);
        for (const { arp } of k.outbox) if (arp) k.deliver(arpReplyFrame(PEER, KERNEL));
        peer.takeAll();
        peer.ack();
      }
      expect(peer.stream()).toEqual(pattern(length));
    });

    test("progress of TCP confirms a neighbour without asking", () => {
      const k = startKernel(build, REFRESH);
      k.deliver(arpRequestFrame(PEER, KERNEL.ip));
      k.sent();
      const peer = TcpPeer.established(k);
      for (let i = 0; i < 60; i++) {
        k.send(peer.handle, pattern(10, i * 10));
        k.advance(10_000);
        peer.takeAll();
        peer.ack();
        k.advance(SECOND);
      }
      expect(k.sent().filter(({ arp }) => arp)).toEqual([]);
    });

    test("a network that is silent comes to rest", () => {
      const k = startKernel(build, REFRESH);
      k.udpSend(bound(k), text("x"), { ip: PEER.ip, port: 9 });
      k.deliver(arpReplyFrame(PEER, KERNEL));
      k.sent();
      k.advance(100 * SECOND);
      k.nothingSent();
      expect(k.deadline()).toBeUndefined();
    });
  });
});
