/** Reductions that are taken back (RFC 3522, RFC 3708, RFC 5682), and what D-SACKs teach (RFC 8985). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_DSACKS_IN,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_SPURIOUS_TIMEOUTS,
  CNT_TCP_TIMEOUTS,
  CNT_TCP_UNDOS,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import type { KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import type { TcpPeer } from "../support/peer.ts";
import { at, blocks, inFlight, MILLISECOND, MSS, RTT } from "./flight.ts";

function sent(peer: TcpPeer): number[] {
  return peer.takeAll().map(({ seq }) => (seq - 1) / MSS);
}

/** How many segments go out when all is acknowledged and there is plenty to send. */
function window(k: KernelHarness, peer: TcpPeer, acked: number): number {
  peer.takeAll();
  let offered = acked * MSS;
  for (let i = 0; i < 12; i++) offered += Math.max(k.send(peer.handle, pattern(5000, offered)), 0);
  return sent(peer).length;
}

describe.each(kernels)("$name kernel", (build) => {
  describe("a recovery is taken back", () => {
    test("when the echo is older than what was sent again (Eifel)", () => {
      const { k, peer } = inFlight(build, 10, 0, { timestamps: true });
      const before = peer.tsSeen;
      peer.send({ ack: at(0), sack: blocks([1, 2, 3]) });
      expect(sent(peer)).toEqual([0]);
      expect(peer.tsSeen).toBeGreaterThan(before);
      const [undos] = k.counts([CNT_TCP_UNDOS], () => {
        k.advance(MILLISECOND);
        peer.send({ ack: at(10), tsEcho: before });
      });
      expect(undos).toBe(1);
      expect(window(k, peer, 10)).toBeGreaterThanOrEqual(10);
    });

    test("not when the echo is that of what was sent again", () => {
      const { k, peer } = inFlight(build, 10, 0, { timestamps: true });
      peer.send({ ack: at(0), sack: blocks([1, 2, 3]) });
      expect(sent(peer)).toEqual([0]);
      const [undos] = k.counts([CNT_TCP_UNDOS], () => {
        k.advance(RTT);
        peer.send({ ack: at(10) });
      });
      expect(undos).toBe(0);
      expect(window(k, peer, 10)).toBeLessThanOrEqual(8);
    });

    test("when D-SACKs show that all that was sent again had arrived, even after its end", () => {
      const { k, peer } = inFlight(build, 10, 0);
      peer.send({ ack: at(0), sack: blocks([2, 3, 4]) });
      expect(sent(peer)).toEqual([0, 1]);
      const [undos, duplicates] = k.counts([CNT_TCP_UNDOS, CNT_TCP_DSACKS_IN], () => {
        peer.send({ ack: at(10) });
        peer.send({ ack: at(10), sack: [[at(0), at(1)]] });
        expect(k.counter(CNT_TCP_UNDOS)).toBe(0);
        peer.send({ ack: at(10), sack: [[at(1), at(2)]] });
      });
      expect([undos, duplicates]).toEqual([1, 2]);
      expect(window(k, peer, 10)).toBeGreaterThanOrEqual(10);
    });

    test("not by D-SACKs of some of it", () => {
      const { k, peer } = inFlight(build, 10, 0);
      peer.send({ ack: at(0), sack: blocks([2, 3, 4]) });
      const [undos] = k.counts([CNT_TCP_UNDOS], () => {
        peer.send({ ack: at(10) });
        peer.send({ ack: at(10), sack: [[at(0), at(1)]] });
      });
      expect(undos).toBe(0);
      expect(window(k, peer, 10)).toBeLessThanOrEqual(8);
    });
  });

  describe("a timeout is taken back", () => {
    /** Ten segments whose timer has run out: the first has gone again. */
    function timedOut(timestamps = false): ReturnType<typeof inFlight> {
      const flight = inFlight(build, 10, 0, { timestamps });
      const [expired] = flight.k.counts([CNT_TCP_TIMEOUTS], () => {
        flight.k.advance(500 * MILLISECOND);
      });
      expect(expired).toBe(1);
      expect(sent(flight.peer).at(-1)).toBe(0);
      return flight;
    }

    test("when what was sent before it arrives after all (F-RTO)", () => {
      const { k, peer } = timedOut();
      const [spurious, again] = k.counts([CNT_TCP_SPURIOUS_TIMEOUTS, CNT_TCP_RETRANSMITS], () => {
        peer.send({ ack: at(2) });
        for (let i = 3; i <= 10; i++) peer.send({ ack: at(i) });
      });
      expect([spurious, again]).toEqual([1, 0]);
      expect(window(k, peer, 10)).toBeGreaterThanOrEqual(10);
    });

    test("by SACK too", () => {
      const { k, peer } = timedOut();
      const [spurious] = k.counts([CNT_TCP_SPURIOUS_TIMEOUTS], () => {
        peer.send({ ack: at(0), sack: blocks([1]) });
      });
      expect(spurious).toBe(1);
    });

    test("when the echo is older, though only the first has arrived", () => {
      const { k, peer } = timedOut(true);
      const [spurious, again] = k.counts([CNT_TCP_SPURIOUS_TIMEOUTS, CNT_TCP_RETRANSMITS], () => {
        peer.send({ ack: at(1), tsEcho: peer.tsSeen - 500 });
      });
      expect([spurious, again]).toEqual([1, 0]);
    });

    test("not when only what was sent again arrives: everything goes again, in slow start", () => {
      const { k, peer } = timedOut();
      const flights: number[][] = [];
      const [spurious] = k.counts([CNT_TCP_SPURIOUS_TIMEOUTS], () => {
        for (let next = 1; next < 10; next = flights.at(-1)!.at(-1)! + 1) {
          k.advance(RTT);
          peer.send({ ack: at(next) });
          flights.push(sent(peer));
        }
      });
      expect(spurious).toBe(0);
      expect(flights).toEqual([
        [1, 2],
        [3, 4, 5, 6],
        [7, 8, 9],
      ]);
    });
  });

  test("a D-SACK widens the reordering window, up to a round trip", () => {
    const { k, peer } = inFlight(build, 10, 30);
    /** After how long a segment counts as lost behind one that arrived. */
    const patience = (first: number): number => {
      peer.send({ ack: at(first), sack: blocks([first + 1]) });
      peer.takeAll();
      const from = k.now;
      for (let waited = 0; waited < 2 * RTT; waited += MILLISECOND) {
        k.advance(MILLISECOND);
        if (sent(peer).includes(first)) break;
      }
      return k.now - from;
    };
    const narrow = patience(0);
    // It was late, not lost: the repeated one arrives twice.
    peer.send({ ack: at(10) });
    k.advance(RTT);
    const flying = sent(peer);
    expect(flying.length).toBeGreaterThan(3);
    peer.send({ ack: at(flying[0]), sack: [[at(0), at(1)]] });
    expect(narrow).toBeLessThanOrEqual(RTT / 4 + MILLISECOND);
    expect(patience(flying[0])).toBeGreaterThan(narrow);
  });
});
