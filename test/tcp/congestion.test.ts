/** Congestion control (RFC 5681, RFC 6928): how much is in flight, round trip by round trip. */
import { describe, expect, test } from "vitest";
import { pattern } from "../support/bytes.ts";
import { Bulk, MSS } from "../support/bulk.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MILLISECOND = 1000;
const SECOND = 1_000_000;
const RENO = { tcp: { congestionControl: "newreno" } } as const;

/** Brings a connection into congestion avoidance by one loss in a flight of 40. */
function afterLoss(build: KernelBuild): { bulk: Bulk; window: number } {
  const bulk = Bulk.start(build, RENO);
  bulk.flight();
  bulk.ackEach();
  bulk.flight();
  bulk.ackEach();
  expect(bulk.flight()).toBe(40);
  for (let i = 0; i < 39; i++) bulk.duplicate(30 * MSS + 1);
  bulk.flight();
  bulk.ackOnce();
  const sent = bulk.flight();
  // Growth by whole flights from here on.
  let window = sent;
  for (let round = 0; round < 8 && window < 18; round++) {
    bulk.ackOnce();
    window = bulk.flight();
  }
  return { bulk, window };
}

describe.each(kernels)("$name kernel", (build) => {
  describe("initial window (RFC 6928)", () => {
    test("ten segments", () => {
      expect(Bulk.start(build).flight()).toBe(10);
    });

    test("as configured", () => {
      expect(Bulk.start(build, { tcp: { initialWindow: 3 } }).flight()).toBe(3);
    });

    test("one segment after a SYN-ACK that was lost (RFC 5681 section 3.1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.listening(k, { mss: MSS });
      peer.sendSyn();
      k.advance(1.5 * SECOND);
      expect(peer.takeAll()).toHaveLength(2);
      peer.ack();
      peer.handle = k.event("knock").handle;
      k.accept(peer.handle);
      expect(new Bulk(k, peer).flight()).toBe(1);
    });
  });

  describe("slow start (RFC 5681 section 3.1)", () => {
    test("an ACK for each segment doubles the window every round trip", () => {
      const bulk = Bulk.start(build);
      let window = bulk.flight();
      for (let round = 0; round < 4; round++) {
        bulk.k.advance(10 * MILLISECOND);
        bulk.ackEach();
        const sent = bulk.flight();
        expect(sent).toBeGreaterThanOrEqual(2 * window - 1);
        expect(sent).toBeLessThanOrEqual(2 * window + 1);
        window = sent;
      }
    });

    test("never more than doubles, however few the ACKs", () => {
      const bulk = Bulk.start(build);
      let window = bulk.flight();
      for (let round = 0; round < 4; round++) {
        bulk.k.advance(10 * MILLISECOND);
        bulk.ackOnce();
        const sent = bulk.flight();
        expect(sent).toBeLessThanOrEqual(2 * window);
        expect(sent).toBeGreaterThan(window);
        window = sent;
      }
    });

    test("ACKs of bytes instead of segments gain nothing (ACK division)", () => {
      const bulk = Bulk.start(build);
      bulk.flight();
      for (let i = 1; i <= 20; i++) bulk.peer.send({ ack: 1 + i * (MSS / 20) });
      // A segment was acknowledged: one for it and one of growth.
      expect(bulk.flight()).toBeLessThanOrEqual(2);
    });

    test("a window that is not used does not grow (RFC 7661 section 4.1)", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k, { mss: MSS, windowScale: 7, window: 4 << 20 });
      for (let i = 0; i < 100; i++) {
        k.send(peer.handle, pattern(MSS, i * MSS));
        peer.takeAll();
        peer.ack();
      }
      expect(new Bulk(k, peer).flight()).toBeLessThanOrEqual(12);
    });
  });

  describe("congestion avoidance", () => {
    test("the window after recovery is half of what was in flight", () => {
      const { window } = afterLoss(build);
      expect(window).toBeGreaterThanOrEqual(17);
      expect(window).toBeLessThanOrEqual(23);
    });

    test("grows by about one segment a round trip", () => {
      const { bulk, window: first } = afterLoss(build);
      let window = first;
      for (let round = 0; round < 10; round++) {
        bulk.k.advance(10 * MILLISECOND);
        bulk.ackEach();
        const sent = bulk.flight();
        expect(sent - window).toBeGreaterThanOrEqual(0);
        expect(sent - window).toBeLessThanOrEqual(2);
        window = sent;
      }
      expect(window - first).toBeGreaterThanOrEqual(8);
      expect(window - first).toBeLessThanOrEqual(12);
    });
  });

  describe("timeout", () => {
    test("collapses the window to one segment; slow start ends at half of the flight", () => {
      const bulk = Bulk.start(build, RENO);
      bulk.flight();
      bulk.ackEach();
      expect(bulk.flight()).toBe(20);
      bulk.lose();
      bulk.k.advance(250 * MILLISECOND);
      expect(bulk.flight()).toBe(1);
      const windows: number[] = [];
      for (let round = 0; round < 8; round++) {
        bulk.k.advance(10 * MILLISECOND);
        bulk.ackEach();
        windows.push(bulk.flight());
      }
      expect(windows.slice(0, 3)).toEqual([2, 4, 8]);
      // ssthresh is 10 segments: growth slows down there.
      expect(windows[3]).toBeLessThanOrEqual(11);
      for (let i = 4; i < windows.length; i++) {
        expect(windows[i] - windows[i - 1]).toBeLessThanOrEqual(2);
      }
    });

    test("repeated timeouts of one flight lower ssthresh once", () => {
      const bulk = Bulk.start(build, RENO);
      bulk.flight();
      bulk.ackEach();
      expect(bulk.flight()).toBe(20);
      bulk.lose();
      bulk.k.advance(1500 * MILLISECOND);
      // The same segment at 200, 600 and 1400 ms.
      expect(bulk.flight()).toBe(3);
      const windows: number[] = [];
      for (let round = 0; round < 4; round++) {
        bulk.ackEach();
        windows.push(bulk.flight());
      }
      expect(windows.slice(0, 3)).toEqual([2, 4, 8]);
    });
  });

  describe("after a pause (RFC 5681 section 4.1)", () => {
    /** A window of forty segments, and nothing to send. */
    function window40(): Bulk {
      const k = startKernel(build);
      const bulk = new Bulk(
        k,
        TcpPeer.established(k, { mss: MSS, windowScale: 7, window: 4 << 20 }),
      );
      for (const segments of [10, 20]) {
        k.send(bulk.peer.handle, pattern(segments * MSS));
        expect(bulk.peer.takeAll()).toHaveLength(segments);
        bulk.peer.ack();
      }
      return bulk;
    }

    test("shorter than a timeout the window is as it was", () => {
      const bulk = window40();
      bulk.k.advance(150 * MILLISECOND);
      expect(bulk.flight()).toBe(40);
    });

    test("each timeout halves it, down to the initial window", () => {
      const bulk = window40();
      bulk.k.advance(250 * MILLISECOND);
      expect(bulk.flight()).toBe(20);
    });

    test("a long one leaves the initial window", () => {
      const bulk = window40();
      bulk.k.advance(10 * SECOND);
      expect(bulk.flight()).toBe(10);
    });

    test("what it was comes back by slow start", () => {
      const bulk = window40();
      bulk.k.advance(10 * SECOND);
      bulk.flight();
      bulk.ackEach();
      expect(bulk.flight()).toBe(20);
    });
  });
});
