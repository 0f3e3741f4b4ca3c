/** Loss recovery with SACK (RFC 6675, RFC 8985 section 6, RFC 6937). */
import { describe, expect, test } from "vitest";
import {
  CNT_TCP_FAST_PATH,
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_LOST_RETRANSMITS,
  CNT_TCP_RENEGES,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_SACK_IGNORED,
  CNT_TCP_TIMEOUTS,
} from "../../assembly/abi.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import type { KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import type { TcpPeer } from "../support/peer.ts";
import { at, blocks, inFlight, MILLISECOND, MSS, RTT } from "./flight.ts";

/** Indices of the segments that the kernel has sent since the last look. */
function sent(peer: TcpPeer): number[] {
  return peer.takeAll().map(({ seq }) => (seq - 1) / MSS);
}

/** Acknowledges everything before segment `ack`, and the segments of `list`. */
function answer(peer: TcpPeer, ack: number, ...list: number[]): number[] {
  peer.send({ ack: at(ack), sack: blocks(list) });
  return sent(peer);
}

function timeouts(k: KernelHarness, action: () => void): number {
  return k.counts([CNT_TCP_TIMEOUTS], action)[0];
}

describe.each(kernels)("$name kernel", (build) => {
  describe("a segment is lost", () => {
    test("when three behind it have arrived: at once", () => {
      const { k, peer } = inFlight(build, 10, 0);
      const [recoveries] = k.counts([CNT_TCP_FAST_RETRANSMITS], () => {
        expect(answer(peer, 0, 1)).toEqual([]);
        expect(answer(peer, 0, 2, 1)).toEqual([]);
        expect(answer(peer, 0, 3, 2, 1)).toEqual([0]);
      });
      expect(recoveries).toBe(1);
    });

    test("when one behind it has arrived and a quarter of a round trip has passed", () => {
      const { k, peer } = inFlight(build, 10, 0);
      expect(answer(peer, 0, 9)).toEqual([]);
      k.advance(RTT / 4 - MILLISECOND);
      expect(sent(peer)).toEqual([]);
      k.advance(2 * MILLISECOND);
      expect(sent(peer)[0]).toBe(0);
    });

    test("not when it was only late: what it delays arrives in time", () => {
      const { k, peer } = inFlight(build, 10, 0);
      const [again] = k.counts([CNT_TCP_RETRANSMITS], () => {
        expect(answer(peer, 0, 1, 2)).toEqual([]);
        k.advance(RTT / 8);
        expect(answer(peer, 10)).toEqual([]);
        k.advance(RTT);
      });
      expect(again).toBe(0);
    });

    test("not by a later one alone, once reordering was seen", () => {
      const { k, peer } = inFlight(build, 10, 30);
      // Segment 0 arrives after 1 and 2 did.
      answer(peer, 0, 1, 2);
      k.advance(MILLISECOND);
      expect(answer(peer, 3).every((index) => index >= 10)).toBe(true);
      k.advance(RTT);
      expect(answer(peer, 3, 4, 5, 6, 7, 8, 9).filter((index) => index < 10)).toEqual([]);
      k.advance(RTT / 2);
      expect(sent(peer)).toContain(3);
    });
  });

  test("many losses of one flight are repaired in one round trip", () => {
    const { k, peer } = inFlight(build, 10, 0);
    expect(
      timeouts(k, () => {
        const again = [
          ...answer(peer, 0, 1),
          ...answer(peer, 0, 3, 1),
          ...answer(peer, 0, 5, 3, 1),
          ...answer(peer, 0, 7, 5, 3),
          ...answer(peer, 0, 9, 7, 5),
        ];
        expect(again).toEqual([0, 2, 4, 6, 8].slice(0, again.length));
        expect(again.length).toBeGreaterThanOrEqual(3);
        k.advance(RTT);
        again.push(...answer(peer, 2, 3, 5, 7), ...answer(peer, 4, 5, 7, 9));
        k.advance(RTT);
        again.push(...answer(peer, 6, 7, 9));
        expect(again).toEqual([0, 2, 4, 6, 8]);
        expect(answer(peer, 10)).toEqual([]);
      }),
    ).toBe(0);
  });

  test("nothing that has arrived is sent again, not even after a timeout", () => {
    const { k, peer } = inFlight(build, 10, 0);
    answer(peer, 0, 4, 5);
    peer.send({ ack: at(0), sack: [[at(8), at(10)]] });
    const again = sent(peer);
    expect(
      timeouts(k, () => {
        k.advance(2500 * MILLISECOND);
        again.push(...sent(peer));
        for (const index of [1, 2, 3, 6, 7]) {
          again.push(
            ...answer(peer, index === 6 ? 6 : index, ...(index < 6 ? [4, 5, 8, 9] : [8, 9])),
          );
        }
      }),
    ).toBeGreaterThan(0);
    expect(again.filter((index) => [4, 5, 8, 9].includes(index))).toEqual([]);
    expect(new Set(again)).toEqual(new Set([0, 1, 2, 3, 6, 7]));
  });

  test("a retransmission that is lost too is found by what was sent after it", () => {
    const { k, peer } = inFlight(build, 10, 30);
    const [lost, expired] = k.counts([CNT_TCP_LOST_RETRANSMITS, CNT_TCP_TIMEOUTS], () => {
      expect(answer(peer, 0, 1, 2, 3)).toContain(0);
      const fresh = [4, 5, 6, 7, 8, 9].flatMap((last) => answer(peer, 0, ...upTo(last)));
      const behind = fresh.filter((index) => index >= 10);
      expect(behind.length).toBeGreaterThan(0);
      // A round trip later what was sent after the retransmission arrives, the retransmission does not.
      k.advance(RTT);
      expect(answer(peer, 0, ...upTo(behind.at(-1)!))).toContain(0);
    });
    expect([lost, expired]).toEqual([1, 0]);
  });

  test("the window shrinks in proportion to what arrives (RFC 6937 section 3)", () => {
    const { k, peer } = inFlight(build, 20, 40);
    let out = 0;
    const perAck: number[] = [];
    for (let last = 1; last < 20; last++) {
      const now = answer(peer, 0, ...upTo(last)).length;
      perAck.push(now);
      out += now;
    }
    // Segment 0 again and new ones: about seven tenths of what arrives (CUBIC), never in a burst.
    expect(Math.max(...perAck)).toBeLessThanOrEqual(2);
    expect(out).toBeGreaterThanOrEqual(11);
    expect(out).toBeLessThanOrEqual(17);
    k.advance(RTT);
    answer(peer, 20 + out - 1);
  });

  test("after recovery segments take the short path again", () => {
    const { k, peer } = inFlight(build, 10, 0);
    answer(peer, 0, 1, 2, 3);
    answer(peer, 10);
    const [fast] = k.counts([CNT_TCP_FAST_PATH], () => {
      peer.send({ payload: text("data") });
      k.send(peer.handle, text("answer"));
      peer.take();
      peer.rcvNxt = at(10) + 6;
      peer.ack();
    });
    expect(fast).toBe(2);
  });

  test("duplicates that report nothing are no sign of a loss", () => {
    const { k, peer } = inFlight(build, 10, 0);
    const [again] = k.counts([CNT_TCP_RETRANSMITS], () => {
      for (let i = 0; i < 9; i++) expect(answer(peer, 0)).toEqual([]);
    });
    expect(again).toBe(0);
  });

  test.each<[string, readonly (readonly [number, number])[]]>([
    ["of what was never sent", [[at(9), at(11)]]],
    ["that end before they begin", [[at(3), at(2)]]],
    ["of nothing", [[at(3), at(3)]]],
    ["half around the circle", [[at(3), 0x8000_0000]]],
  ])("blocks %s are ignored", (_what, list) => {
    const { k, peer } = inFlight(build, 10, 0);
    const [ignored, again] = k.counts([CNT_TCP_SACK_IGNORED, CNT_TCP_RETRANSMITS], () => {
      for (let i = 0; i < 5; i++) peer.send({ ack: at(0), sack: list });
      k.advance(RTT);
    });
    expect([ignored, again]).toEqual([5, 0]);
    expect(sent(peer)).toEqual([]);
  });

  test("parts of segments count for nothing", () => {
    const { peer } = inFlight(build, 10, 0);
    for (let i = 1; i < 6; i++) {
      peer.send({ ack: at(0), sack: [[at(i) + 1, at(i + 1) - 1]] });
      expect(sent(peer)).toEqual([]);
    }
  });

  test("a peer that takes back what it had acknowledged gets it again after a timeout", () => {
    const { k, peer } = inFlight(build, 10, 0);
    answer(peer, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    const [reneges] = k.counts([CNT_TCP_RENEGES], () => {
      // The gap is filled, but what lay behind it is gone.
      answer(peer, 1);
      k.advance(1000 * MILLISECOND);
      const again = sent(peer);
      for (let next = 1; next < 10; next++) again.push(...answer(peer, next + 1));
      expect(again).toEqual(expect.arrayContaining([1, 2, 3, 4, 5, 6, 7, 8, 9]));
    });
    expect(reneges).toBeGreaterThan(0);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    "losses at random, seed %i: only what is missing is sent again",
    (seed) => {
      const { k, peer } = inFlight(build, 10, 50, { timestamps: seed % 2 === 0 });
      // A receiver in miniature, and the scoreboard that its own ACKs imply.
      let state = seed;
      const chance = (): number => (state = (state * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
      const arrived = new Set<number>();
      const reported = new Set<number>();
      let pending = Array.from({ length: 10 }, (_, index) => index);
      let next = 0;
      const [expired] = k.counts([CNT_TCP_TIMEOUTS], () => {
        for (let round = 0; round < 400 && next < 60; round++) {
          const sentNow: number[] = [];
          for (const index of pending) {
            if (chance() < 0.1) continue;
            arrived.add(index);
            while (arrived.has(next)) next++;
            const runs = runsOf(arrived, next, index);
            for (const [left, right] of runs) for (let i = left; i < right; i++) reported.add(i);
            peer.send({ ack: at(next), sack: runs.map(([left, right]) => [at(left), at(right)]) });
            for (const again of sent(peer)) {
              expect(reported.has(again) || again < next).toBe(false);
              sentNow.push(again);
            }
          }
          k.advance(RTT);
          pending = [...sentNow, ...sent(peer)];
          if (pending.length === 0) k.advance(RTT);
        }
      });
      expect(next).toBe(60);
      assertSameBytes(peer.stream(), pattern(60 * MSS));
      // Nearly all is repaired without: a tail and its probe can be lost together.
      expect(expired).toBeLessThanOrEqual(6);
    },
  );
});

/** Segments 1 to `last`. */
function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** Runs of what has arrived behind `next`: that of `newest` first, three at most. */
function runsOf(arrived: Set<number>, next: number, newest: number): [number, number][] {
  const runs: [number, number][] = [];
  for (const index of [...arrived].toSorted((a, b) => a - b)) {
    if (index < next) continue;
    const last = runs.at(-1);
    if (last && last[1] === index) last[1]++;
    else runs.push([index, index + 1]);
  }
  const first = runs.findIndex(([left, right]) => left <= newest && newest < right);
  if (first > 0) runs.unshift(...runs.splice(first, 1));
  return runs.slice(0, 3);
}
