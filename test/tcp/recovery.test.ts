/** Loss recovery by duplicate ACKs (RFC 5681 section 3.2, RFC 6582, RFC 3042). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_PATH,
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_TIMEOUTS,
  RC_OK,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MSS = 1000;
const MILLISECOND = 1000;

/** Sequence number of the segment with that index. */
function at(index: number): number {
  return 1 + index * MSS;
}

/** A connection with ten segments in flight, as the initial window has it, and more to send. */
function tenInFlight(build: KernelBuild, more = 20): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build);
  const peer = TcpPeer.established(k, { mss: MSS, windowScale: 3, window: 500_000 });
  const length = (10 + more) * MSS;
  expect(k.send(peer.handle, pattern(length))).toBe(length);
  expect(peer.takeAll().map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, i) => at(i)));
  return { k, peer };
}

/** A duplicate ACK of everything before the segment with that index. */
function duplicate(peer: TcpPeer, index: number): void {
  peer.send({ ack: at(index) });
}

describe.each(kernels)("$name kernel", (build) => {
  test("the third duplicate sends the lost segment again, at once", () => {
    const { k, peer } = tenInFlight(build, 0);
    duplicate(peer, 0);
    duplicate(peer, 0);
    peer.expectNothing();
    const counts = k.counts([CNT_TCP_FAST_RETRANSMITS, CNT_TCP_RETRANSMITS], () =>
      duplicate(peer, 0),
    );
    expect(counts).toEqual([1, 1]);
    expect(peer.expect({ seq: at(0) }).payload).toEqual(pattern(MSS));
    peer.expectNothing();
  });

  test("the first two let a new segment out each (RFC 3042)", () => {
    const { peer } = tenInFlight(build);
    duplicate(peer, 0);
    peer.expect({ seq: at(10), length: MSS });
    peer.expectNothing();
    duplicate(peer, 0);
    peer.expect({ seq: at(11), length: MSS });
    peer.expectNothing();
    duplicate(peer, 0);
    peer.expect({ seq: at(0), length: MSS });
  });

  test("one loss is repaired without a timeout, and cwnd is halved", () => {
    const { k, peer } = tenInFlight(build, 40);
    // Segment 0 is lost; 1 to 9 arrive and make nine duplicates.
    const [timeouts] = k.counts([CNT_TCP_TIMEOUTS], () => {
      for (let i = 0; i < 9; i++) duplicate(peer, 0);
      const sent = peer.takeAll();
      expect(sent.filter(({ seq }) => seq === at(0))).toHaveLength(1);
      const highest = Math.max(...sent.map(({ seq }) => seq));
      // The retransmission fills the gap: everything sent so far is acknowledged.
      peer.send({ ack: highest + MSS });
    });
    expect(timeouts).toBe(0);
    // Ten segments were in flight and two more by limited transmit: half of it is 5 or 6.
    const flight = peer.takeAll().length;
    expect(flight).toBeGreaterThanOrEqual(1);
    expect(flight).toBeLessThanOrEqual(7);
  });

  test("later duplicates inflate the window: new data keeps the ACKs coming", () => {
    const { peer } = tenInFlight(build);
    for (let i = 0; i < 3; i++) duplicate(peer, 0);
    peer.takeAll();
    let fresh = 0;
    for (let i = 3; i < 11; i++) {
      duplicate(peer, 0);
      fresh += peer.takeAll().filter(({ seq }) => seq >= at(10)).length;
    }
    expect(fresh).toBeGreaterThan(0);
    expect(fresh).toBeLessThanOrEqual(8);
  });

  test("partial ACKs repair one loss a round trip (RFC 6582 section 3.2 step 3)", () => {
    const { k, peer } = tenInFlight(build, 0);
    // 0, 3 and 6 are lost.
    const [timeouts] = k.counts([CNT_TCP_TIMEOUTS], () => {
      for (let i = 0; i < 7; i++) duplicate(peer, 0);
      peer.expect({ seq: at(0) });
      peer.expectNothing();
      k.advance(10 * MILLISECOND);
      duplicate(peer, 3);
      peer.expect({ seq: at(3), length: MSS });
      peer.expectNothing();
      k.advance(10 * MILLISECOND);
      duplicate(peer, 6);
      peer.expect({ seq: at(6), length: MSS });
      peer.expectNothing();
      k.advance(10 * MILLISECOND);
      duplicate(peer, 10);
    });
    expect(timeouts).toBe(0);
    peer.rcvNxt = at(10);
    expect(k.shutdown(peer.handle)).toBe(RC_OK);
    peer.expect({ flags: "FA", seq: at(10) });
  });

  test("after recovery segments and ACKs take the short path again", () => {
    const { k, peer } = tenInFlight(build, 0);
    for (let i = 0; i < 9; i++) duplicate(peer, 0);
    peer.send({ ack: at(10) });
    peer.takeAll();
    const [fast] = k.counts([CNT_TCP_FAST_PATH], () => {
      peer.send({ payload: text("data") });
      k.send(peer.handle, text("answer"));
      peer.takeAll();
      peer.ack();
    });
    expect(fast).toBe(2);
  });

  test("a lost retransmission is left to the timeout", () => {
    const { k, peer } = tenInFlight(build, 0);
    for (let i = 0; i < 5; i++) duplicate(peer, 0);
    expect(peer.takeAll().filter(({ seq }) => seq === at(0))).toHaveLength(1);
    const [timeouts] = k.counts([CNT_TCP_TIMEOUTS], () => k.advance(250 * MILLISECOND));
    expect(timeouts).toBe(1);
    peer.expect({ seq: at(0) });
  });

  test("duplicates of one loss do not start a second recovery (RFC 6582 section 3.2 step 1)", () => {
    const { k, peer } = tenInFlight(build, 0);
    const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
      for (let i = 0; i < 9; i++) duplicate(peer, 0);
      duplicate(peer, 5);
      for (let i = 0; i < 4; i++) duplicate(peer, 5);
    });
    expect(fast).toBe(1);
  });

  test("a second loss after recovery starts a second one", () => {
    const { k, peer } = tenInFlight(build, 50);
    for (let i = 0; i < 9; i++) duplicate(peer, 0);
    const highest = Math.max(...peer.takeAll().map(({ seq }) => seq)) + MSS;
    peer.send({ ack: highest });
    const sent = peer.takeAll();
    expect(sent.length).toBeGreaterThan(0);
    // Let the flight grow, then lose its first segment.
    let acked = highest;
    for (let i = 0; i < 4; i++) {
      const next = Math.max(acked, ...sent.map(({ seq }) => seq + MSS));
      peer.send({ ack: next });
      sent.splice(0, sent.length, ...peer.takeAll());
      acked = next;
    }
    expect(sent.length).toBeGreaterThanOrEqual(4);
    const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
      for (let i = 0; i < 3; i++) peer.send({ ack: acked });
    });
    expect(fast).toBe(1);
    expect(peer.takeAll().some(({ seq }) => seq === acked)).toBe(true);
  });

  test("duplicates after a timeout start no fast retransmit (RFC 6582 section 4)", () => {
    const { k, peer } = tenInFlight(build, 0);
    k.advance(210 * MILLISECOND);
    peer.expect({ seq: at(0) });
    const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
      for (let i = 0; i < 6; i++) duplicate(peer, 0);
    });
    expect(fast).toBe(0);
  });

  describe("is no duplicate (RFC 5681 section 2):", () => {
    test("an ACK with data", () => {
      const { k, peer } = tenInFlight(build, 0);
      const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
        for (let i = 0; i < 5; i++) peer.send({ ack: at(0), payload: text("x") });
      });
      expect(fast).toBe(0);
    });

    test("an ACK that changes the window", () => {
      const { k, peer } = tenInFlight(build, 0);
      const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
        for (let i = 0; i < 5; i++) peer.send({ ack: at(0), window: 400_000 - i * 1000 });
      });
      expect(fast).toBe(0);
    });

    test("an ACK with nothing in flight", () => {
      const k = startKernel(build);
      const peer = TcpPeer.established(k);
      const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
        for (let i = 0; i < 5; i++) peer.ack();
      });
      expect(fast).toBe(0);
      peer.expectNothing();
    });

    test("an ACK with FIN", () => {
      const { k, peer } = tenInFlight(build, 0);
      const [fast] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
        for (let i = 0; i < 3; i++) peer.send({ flags: "FA", seq: 1, ack: at(0) });
      });
      expect(fast).toBe(0);
    });
  });

  test.each([
    [0],
    [4],
    [9],
    [0, 1],
    [0, 9],
    [3, 4, 5],
    [0, 2, 4, 6, 8],
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  ])("losing %j of ten segments, the stream arrives", (...lost) => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k, { mss: MSS });
    const total = 30 * MSS;
    expect(k.send(peer.handle, pattern(total))).toBe(total);
    // A receiver in miniature: acknowledges each segment that arrives, early ones by a duplicate.
    const arrived = new Set<number>();
    let pending = peer.takeAll().filter((_, index) => !lost.includes(index));
    let next = 0;
    for (let round = 0; round < 200 && next < 30; round++) {
      for (const { seq, payload } of pending) {
        for (let at = seq; at < seq + payload.length; at += MSS) arrived.add((at - 1) / MSS);
        while (arrived.has(next)) next++;
        peer.send({ ack: at(next) });
      }
      k.advance(10 * MILLISECOND);
      pending = peer.takeAll();
      if (pending.length === 0) k.advance(300 * MILLISECOND);
      pending.push(...peer.takeAll());
    }
    expect(next).toBe(30);
    assertSameBytes(peer.stream(), pattern(total));
  });
});
