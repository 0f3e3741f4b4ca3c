/**
 * Whatever moves, and whenever: every byte arrives once and in order, nothing is sent twice, and in the
 * end no core holds anything. PROPERTY_SEED draws other runs, PROPERTY_RUNS more of them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CNT_DROP_FOREIGN_GROUP,
  CNT_DROP_TCP_DUPLICATE,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_OUT_OF_ORDER,
  CNT_TCP_RETRANSMITS,
  CNT_TCP_TIMEOUTS,
  CORE_MIGRATIONS_ENDED,
  RC_OK,
} from "../../assembly/abi.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { connectAll, finishAll, SCENARIO, streamBack, type Scenario } from "./connections.ts";

const SEED = Number(process.env.PROPERTY_SEED ?? 20_140_813);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 25);

const scenario: fc.Arbitrary<Scenario> = fc.record({
  ...SCENARIO,
  every: fc.constantFrom(100, 500, 3000),
});

/** What must not happen on a perfect link, on either side. */
const FAULTS = [
  CNT_TCP_RETRANSMITS,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_OUT_OF_ORDER,
  CNT_TCP_TIMEOUTS,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_FOREIGN_GROUP,
];

/** Runs a scenario; returns how many migrations ended and how often a connection moved. */
function simulate(build: KernelBuild, drawn: Scenario): { migrations: number; moves: number } {
  const { connections } = drawn;
  const all = connectAll(build, drawn, [RC_OK]);
  const { cores, client } = all;
  all.run(60_000_000);

  const travellers = [...all.travellers.values()];
  for (const [index, talker] of all.clients.talkers.entries()) {
    const [there, back] = connections[index];
    expect(talker.outcome, all.log()).toEqual({ received: back, ended: true, reason: RC_OK });
    const traveller = travellers.find(({ stream }) => stream === streamBack(index));
    expect(traveller, all.log()).toMatchObject({ received: there, sent: back });
  }
  expect(travellers.map(({ reason }) => reason)).toEqual(connections.map(() => RC_OK));
  const faults = FAULTS.map((offset) => cores.counter(offset) + client.counter(offset));
  expect(faults, all.log()).toEqual(FAULTS.map(() => 0));
  finishAll(all);
  return {
    migrations: cores.all.reduce((sum, k) => sum + k.word(CORE_MIGRATIONS_ENDED), 0),
    moves: travellers.reduce((sum, { moves }) => sum + moves, 0),
  };
}

describe.each(kernels)("$name kernel", (build) => {
  test(`${RUNS} dataplanes whose groups move at random`, { timeout: 120_000 }, () => {
    let moves = 0;
    fc.assert(
      fc.property(scenario, (drawn) => {
        moves += simulate(build, drawn).moves;
      }),
      { seed: SEED, numRuns: RUNS, endOnFailure: true },
    );
    expect(moves).toBeGreaterThan(RUNS);
  });

  test("a long stream each way, moved all the time", { timeout: 60_000 }, () => {
    const { migrations, moves } = simulate(build, {
      seed: 5,
      cores: 4,
      delay: 100,
      every: 300,
      steering: 100,
      connections: [
        [400_000, 400_000],
        [400_000, 0],
      ],
    });
    expect(migrations).toBeGreaterThan(20);
    expect(moves).toBeGreaterThan(10);
  });
});
