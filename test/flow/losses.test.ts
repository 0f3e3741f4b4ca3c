/**
 * Threads are lost at random while flow groups move and connections talk: every byte that arrives is the
 * right one, a connection ends orderly or is reset, nothing hangs, and in the end no core holds anything.
 * PROPERTY_SEED draws other runs, PROPERTY_RUNS more of them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RC_MOVED, RC_OK, RC_RESET } from "../../assembly/abi.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { connectAll, finishAll, SCENARIO, type Scenario } from "./connections.ts";

const SEED = Number(process.env.PROPERTY_SEED ?? 20_141_006);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 25);

const scenario: fc.Arbitrary<Scenario> = fc.record({
  ...SCENARIO,
  every: fc.constantFrom(0, 100, 500, 3000),
  losses: fc.constantFrom(500, 5000, 50_000),
});

/** Runs a scenario; returns how many threads were lost, and how many connections ended orderly. */
function simulate(build: KernelBuild, drawn: Scenario): { lost: number; orderly: number } {
  const { connections } = drawn;
  // One that is accepted may be on its way again.
  const all = connectAll(build, drawn, [RC_OK, RC_MOVED]);
  all.run(600_000_000);

  let orderly = 0;
  for (const [index, { outcome }] of all.clients.talkers.entries()) {
    const [, back] = connections[index];
    if (outcome.reason === RC_RESET) continue;
    expect(outcome, all.log()).toEqual({ received: back, ended: true, reason: RC_OK });
    orderly++;
  }
  finishAll(all);
  return { lost: all.losses!.count, orderly };
}

describe.each(kernels)("$name kernel", (build) => {
  test(`${RUNS} dataplanes whose threads are lost at random`, { timeout: 120_000 }, () => {
    let lost = 0;
    let orderly = 0;
    fc.assert(
      fc.property(scenario, (drawn) => {
        const outcome = simulate(build, drawn);
        lost += outcome.lost;
        orderly += outcome.orderly;
      }),
      { seed: SEED, numRuns: RUNS, endOnFailure: true },
    );
    expect(lost).toBeGreaterThan(RUNS);
    expect(orderly).toBeGreaterThan(RUNS);
  });
});
