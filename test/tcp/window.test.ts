/** The peer's window: obeyed, probed, not filled by crumbs (RFC 9293 section 3.8.6). */
import { describe, expect, test } from "vitest";
import { CNT_TCP_FAST_PATH, CNT_TCP_PROBES, RC_TIMEOUT } from "../../assembly/abi.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer, type Received } from "../support/peer.ts";

const SECOND = 1_000_000;

function bytesOf(segments: readonly Received[]): number {
  return segments.reduce((sum, { payload }) => sum + payload.length, 0);
}

describe.each(kernels)("$name kernel", (build) => {
  describe("the peer's window (section 3.8.6.1)", () => {
    test("bounds what is in flight", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 4000 });
      expect(k.send(peer.handle, pattern(10_000))).toBe(10_000);
      expect(bytesOf(peer.takeAll())).toBeLessThanOrEqual(4000);
      for (let i = 0; i < 20; i++) {
        peer.ack();
        const flight = peer.takeAll();
        expect(bytesOf(flight)).toBeLessThanOrEqual(4000);
        k.advance(300_000);
        peer.takeAll();
      }
      assertSameBytes(peer.stream(), pattern(10_000));
    });

    test("when it shrinks, nothing beyond it is sent", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 20_000 });
      k.send(peer.handle, pattern(30_000));
      const before = bytesOf(peer.takeAll());
      expect(before).toBeGreaterThan(10_000);
      peer.send({ ack: 1461, window: 2000 });
      peer.expectNothing();
    });

    test("an older segment does not change it (SND.WL1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 2920 });
      peer.send({ payload: pattern(100) });
      k.send(peer.handle, pattern(6000));
      expect(bytesOf(peer.takeAll())).toBe(2920);
      // Sent before the data, with another window, and overtaken by it.
      peer.send({ seq: 1, ack: 1, window: 60_000 });
      expect(bytesOf(peer.takeAll())).toBe(0);
    });

    test("an update lets data go on", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 1460 });
      k.send(peer.handle, pattern(4000));
      peer.expect({ length: 1460 });
      peer.send({ window: 0 });
      peer.expectNothing();
      peer.send({ window: 10_000 });
      expect(bytesOf(peer.takeAll())).toBe(2540);
    });

    test("scaling up to a gigabyte window", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { windowScale: 14, window: 65_535 * 2 ** 14 });
      k.send(peer.handle, pattern(14_600));
      expect(bytesOf(peer.takeAll())).toBe(14_600);
    });
  });

  describe("zero window (section 3.8.6.1)", () => {
    test("probes with back-off until the window opens, for ever if need be", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      expect(k.send(peer.handle, pattern(1000))).toBe(1000);
      peer.expectNothing();
      const times: number[] = [];
      const [probes] = k.counts([CNT_TCP_PROBES], () => {
        for (let i = 0; i < 12; i++) {
          while (!k.outbox.length) k.advanceToDeadline();
          const probe = peer.take()!;
          times.push(probe.at);
          peer.expectNothing();
          // The peer lives and says so.
          peer.send({ window: 0 });
        }
      });
      expect(probes).toBe(12);
      for (let i = 1; i < times.length; i++) {
        expect(times[i] - times[i - 1]).toBeLessThanOrEqual(60 * SECOND + 64);
      }
      peer.send({ window: 65_535 });
      assertSameBytes(peer.expect({ seq: 1 }).payload, pattern(1000));
    });

    test("once it is open again, ACKs take the short path", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(1000));
      k.advance(SECOND);
      peer.takeAll();
      peer.send({ window: 65_535 });
      peer.expect({ seq: 1, length: 1000 });
      expect(k.counts([CNT_TCP_FAST_PATH], () => peer.ack())).toEqual([1]);
    });

    test("the intervals between probes double", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(1000));
      const times = [k.now];
      for (let i = 0; i < 6; i++) {
        while (!k.outbox.length) k.advanceToDeadline();
        times.push(peer.take()!.at);
      }
      const intervals = times.slice(1).map((at, index) => at - times[index]);
      for (let i = 2; i < intervals.length; i++) {
        expect(intervals[i] / intervals[i - 1]).toBeGreaterThan(1.8);
        expect(intervals[i] / intervals[i - 1]).toBeLessThan(2.2);
      }
    });

    test("a peer that does not answer probes is given up", () => {
      const k = startKernel(build, { tcp: { dataRetries: 4 } });
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(1000));
      k.advance(300 * SECOND);
      expect(k.event("dead")).toMatchObject({ handle: peer.handle, reason: RC_TIMEOUT });
      expect(peer.takeAll().length).toBeGreaterThanOrEqual(4);
    });

    test("a probe never carries data beyond what the peer may have to drop", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.send(peer.handle, pattern(3000));
      k.advance(2 * SECOND);
      for (const { payload } of peer.takeAll()) expect(payload.length).toBeLessThanOrEqual(1);
    });

    test("the window closes over data in flight: it is sent again until acknowledged", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(2920));
      peer.takeAll();
      peer.send({ ack: 1461, window: 0 });
      k.advance(2 * SECOND);
      expect(peer.takeAll().length).toBeGreaterThan(0);
      peer.send({ ack: 1461, window: 65_535 });
      k.advance(20 * SECOND);
      peer.takeAll();
      assertSameBytes(peer.stream(), pattern(2920));
      expect(k.events().every(({ kind }) => kind === "sent")).toBe(true);
    });

    test("a FIN goes out although the window is closed, or as soon as it opens", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 0 });
      k.shutdown(peer.handle);
      k.advance(3 * SECOND);
      peer.send({ ack: 1, window: 65_535 });
      k.advance(SECOND);
      const flags = peer.takeAll().map((segment) => segment.flags);
      expect(flags.some((text) => text.includes("F"))).toBe(true);
    });
  });

  describe("silly windows (section 3.8.6.2.1)", () => {
    test("a small window is not filled by a small segment while more waits", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      k.send(peer.handle, pattern(1460));
      peer.takeAll();
      peer.send({ window: 100 });
      k.send(peer.handle, pattern(5000, 1460));
      peer.expectNothing();
      peer.send({ window: 5000 });
      expect(peer.expect().payload).toHaveLength(1460);
    });

    test("but is when that is all the peer ever offers: half its largest window", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { window: 200 });
      k.send(peer.handle, pattern(1000));
      expect(peer.expect().payload).toHaveLength(200);
    });

    test("and is after the override time", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      peer.send({ window: 100 });
      k.send(peer.handle, pattern(1000));
      peer.expectNothing();
      k.advance(2 * SECOND);
      const sent = peer.takeAll().filter(({ payload }) => payload.length > 0);
      expect(sent.length).toBeGreaterThan(0);
      expect(sent[0].payload).toHaveLength(100);
      // In the end everything arrives through the keyhole.
      for (let i = 0; i < 40; i++) {
        peer.send({ window: 100 });
        k.advance(2 * SECOND);
        peer.takeAll();
      }
      assertSameBytes(peer.stream(), pattern(1000));
    });
  });
});
