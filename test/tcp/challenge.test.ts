/** The rate limit of challenge ACKs (RFC 5961 section 7). */
import { describe, expect, test } from "vitest";
import { CNT_TCP_CHALLENGE_ACKS, CNT_TCP_CHALLENGES_LIMITED } from "../../assembly/abi.ts";
import { startKernel } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const SECOND = 1_000_000;
const COUNTERS = [CNT_TCP_CHALLENGE_ACKS, CNT_TCP_CHALLENGES_LIMITED];

describe.each(kernels)("$name kernel", (build) => {
  test("a flood gets from half to one and a half of the configured answers in a second", () => {
    const k = startKernel(build, { tcp: { challengeAcks: 40 } });
    const peers = [TcpPeer.established(k), TcpPeer.established(k)];
    const budgets = new Set<number>();
    for (let second = 0; second < 12; second++) {
      const [answered, limited] = k.counts(COUNTERS, () => {
        for (let i = 0; i < 50; i++) for (const peer of peers) peer.send({ flags: "R", seq: 100 });
      });
      expect(answered + limited).toBe(100);
      expect(peers.flatMap((peer) => peer.takeAll())).toHaveLength(answered);
      expect(answered).toBeGreaterThanOrEqual(20);
      expect(answered).toBeLessThan(60);
      budgets.add(answered);
      k.advance(SECOND);
    }
    // Nobody can count on how many it is.
    expect(budgets.size).toBeGreaterThan(4);
  });

  test("by default nobody notices", () => {
    const k = startKernel(build);
    const peer = TcpPeer.established(k);
    const counts = k.counts(COUNTERS, () => {
      for (let i = 0; i < 400; i++) peer.send({ flags: "R", seq: 100 });
    });
    expect(counts).toEqual([400, 0]);
    peer.takeAll();
  });
});
