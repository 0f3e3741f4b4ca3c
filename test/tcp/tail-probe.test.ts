/** Tail loss probes (RFC 8985 section 7). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_TAIL_PROBES,
  CNT_TCP_TIMEOUTS,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";
import { at, blocks, inFlight, MILLISECOND, MSS, RTT } from "./flight.ts";

/** Two round trips, and what is allowed for hosts that are late. */
const PROBE = 2 * RTT + 2 * MILLISECOND;
const TICKS = 100;

function sent(peer: TcpPeer): number[] {
  return peer.takeAll().map(({ seq }) => (seq - 1) / MSS);
}

describe.each(kernels)("$name kernel", (build) => {
  test("a lost tail: the last segment goes again after two round trips, and SACK repairs the rest", () => {
    const { k, peer } = inFlight(build, 10, 0);
    const counts = k.counts([CNT_TCP_TAIL_PROBES, CNT_TCP_TIMEOUTS, CNT_TCP_RETRANSMITS], () => {
      peer.send({ ack: at(7) });
      k.advance(PROBE - TICKS);
      peer.expectNothing();
      k.advance(2 * TICKS);
      expect(sent(peer)).toEqual([9]);
      k.advance(RTT);
      // Nothing that was sent only once tells of reordering: what is before the probe is lost.
      peer.send({ ack: at(7), sack: blocks([9]) });
      k.advance(RTT / 4 + TICKS);
      expect(sent(peer)).toEqual([7]);
      k.advance(RTT);
      peer.send({ ack: at(8), sack: blocks([9]) });
      expect(sent(peer)).toEqual([8]);
      k.advance(RTT);
      peer.send({ ack: at(10) });
    });
    expect(counts).toEqual([1, 0, 3]);
    peer.expectNothing();
  });

  test("with everything kept back by a full TX ring there is no tail to probe", () => {
    const { k, peer } = inFlight(build, 10, 0);
    peer.send({ ack: at(10) });
    k.nic.stalled = true;
    const noise = new TcpPeer(k);
    for (let i = 0; i < 5000; i++) noise.send({ flags: "A" });
    const probes = k.counts([CNT_TCP_TAIL_PROBES], () => {
      expect(k.send(peer.handle, pattern(3 * MSS, at(10)))).toBe(3 * MSS);
      for (let i = 0; i < 20; i++) k.advance(50 * MILLISECOND);
    });
    expect(probes).toEqual([0]);
    k.nic.stalled = false;
    for (let i = 0; i < 40; i++) k.advance(PROBE);
    expect(sent(peer)).toContain(10);
  });

  test("a probe that finds no room in the TX ring is no timeout, which comes in its own time", () => {
    const { k, peer } = inFlight(build, 10, 0);
    k.nic.stalled = true;
    const noise = new TcpPeer(k);
    for (let i = 0; i < 5000; i++) noise.send({ flags: "A" });
    const counted = [CNT_TCP_TAIL_PROBES, CNT_TCP_TIMEOUTS, CNT_TCP_RETRANSMITS];
    expect(k.counts(counted, () => k.advance(PROBE + TICKS))).toEqual([0, 0, 0]);
    k.nic.stalled = false;
    expect(k.counts(counted, () => k.advance(180 * MILLISECOND))).toEqual([0, 0, 0]);
    expect(k.counts(counted, () => k.advance(50 * MILLISECOND))).toEqual([0, 1, 1]);
    expect(sent(peer)).toEqual([0]);
  });

  test("new data is the better probe", () => {
    // The window is full, and all of it is lost.
    const { k, peer } = inFlight(build, 10, 20);
    k.advance(PROBE);
    expect(sent(peer)).toEqual([10]);
    peer.send({ ack: at(10) });
    peer.takeAll();
  });

  test("there is one probe; after it the timeout", () => {
    const { k, peer } = inFlight(build, 10, 0);
    const counts = k.counts([CNT_TCP_TAIL_PROBES, CNT_TCP_TIMEOUTS], () => {
      k.advance(PROBE);
      expect(sent(peer)).toEqual([9]);
      k.advance(400 * MILLISECOND);
      expect(sent(peer)[0]).toBe(0);
    });
    expect(counts).toEqual([1, 1]);
  });

  test("a lone segment waits for its delayed ACK: its probe comes when the timeout would", () => {
    const { k, peer } = inFlight(build, 1, 0);
    const counts = k.counts([CNT_TCP_TAIL_PROBES, CNT_TCP_TIMEOUTS], () => {
      k.advance(200 * MILLISECOND - TICKS);
      peer.expectNothing();
      k.advance(2 * TICKS);
      expect(sent(peer)).toEqual([0]);
    });
    expect(counts).toEqual([1, 0]);
  });

  test("what is sent later pushes the probe back", () => {
    const { k, peer } = inFlight(build, 4, 0);
    peer.send({ ack: at(2) });
    k.advance(PROBE / 2);
    k.send(peer.handle, pattern(MSS, 4 * MSS));
    expect(sent(peer)).toEqual([4]);
    k.advance(PROBE - TICKS);
    peer.expectNothing();
    k.advance(2 * TICKS);
    expect(sent(peer)).toEqual([4]);
  });

  /** How many segments may go out after a probe of which the peer says `answer`. */
  function windowAfter(answer: (peer: TcpPeer) => void): number {
    const { k, peer } = inFlight(build, 10, 0);
    peer.send({ ack: at(9) });
    k.advance(300 * MILLISECOND);
    expect(sent(peer)).toEqual([9]);
    answer(peer);
    peer.takeAll();
    let offered = 0;
    for (let i = 0; i < 10; i++)
      offered += Math.max(k.send(peer.handle, pattern(5000, 10 * MSS + offered)), 0);
    return sent(peer).length;
  }

  test("a probe that repaired the loss itself is a sign of congestion (section 7.4.2)", () => {
    const whole = windowAfter((peer) => peer.send({ ack: at(10), sack: [[at(9), at(10)]] }));
    const reduced = windowAfter((peer) => {
      peer.send({ ack: at(10) });
      // The next ACK decides: it tells of no duplicate.
      peer.k.send(peer.handle, pattern(MSS, 10 * MSS));
      peer.takeAll();
      peer.send({ ack: at(11) });
    });
    expect(whole).toBeGreaterThanOrEqual(10);
    expect(reduced).toBeLessThan(whole);
  });

  test("without SACK there is none", () => {
    const { k, peer } = inFlight(build, 10, 0, { tcp: { sack: false } });
    const [probes] = k.counts([CNT_TCP_TAIL_PROBES, CNT_TCP_FAST_RETRANSMITS], () => {
      k.advance(PROBE + RTT);
      peer.expectNothing();
      k.advance(200 * MILLISECOND);
      expect(sent(peer)[0]).toBe(0);
    });
    expect(probes).toBe(0);
  });
});
