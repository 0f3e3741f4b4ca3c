/**
 * Threads are lost at random while flow groups move and connections talk: every byte that arrives is the
 * right one, a connection ends orderly or is reset, nothing hangs, and in the end no core holds anything.
 * PROPERTY_SEED draws other runs, PROPERTY_RUNS more of them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RC_MOVED, RC_OK, RC_RESET } from "../../assembly/abi.ts";
import { Talker } from "../property/application.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { Random } from "../support/random.ts";
import { MovingCores, SERVER, Traveller } from "./traffic.ts";

const SEED = Number(process.env.PROPERTY_SEED ?? 20_141_006);
const RUNS = Number(process.env.PROPERTY_RUNS ?? 25);

interface Scenario {
  readonly seed: number;
  readonly cores: number;
  readonly delay: number;
  readonly every: number;
  readonly steering: number;
  readonly losses: number;
  readonly connections: readonly (readonly [number, number])[];
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(2 ** 31),
  cores: fc.constantFrom(2, 3, 4),
  delay: fc.constantFrom(0, 20, 200, 1000),
  every: fc.constantFrom(0, 100, 500, 3000),
  steering: fc.constantFrom(0, 50, 1000),
  losses: fc.constantFrom(500, 5000, 50_000),
  connections: fc.array(fc.tuple(fc.nat(40_000), fc.nat(40_000)), { minLength: 1, maxLength: 6 }),
});

/** Runs a scenario; returns how many threads were lost, and how many connections ended orderly. */
function simulate(build: KernelBuild, drawn: Scenario): { lost: number; orderly: number } {
  const { seed, connections, cores: count } = drawn;
  const random = new Random(seed);
  const all = new MovingCores(build, count, random, drawn, { applicationWindow: 1 << 21 });
  const { cores, client } = all;
  cores.listen(80);
  const draw = (): Random => new Random(random.below(2 ** 31));
  all.onKnock = ({ handle, remotePort }, k) => {
    const index = remotePort - 5000;
    const [, sends] = connections[index];
    const traveller = new Traveller(cores.at(0), draw(), sends, 2 * index + 1, 2 * index);
    traveller.handle = handle;
    traveller.k = k;
    all.travellers.set(handle, traveller);
    // It may be on its way again.
    expect([RC_OK, RC_MOVED]).toContain(k.accept(handle));
  };
  connections.forEach(([sends], index) => {
    const talker = new Talker(client, draw(), sends, 2 * index, 2 * index + 1);
    talker.attach(client.connect(SERVER.ip, 80, { sourcePort: 5000 + index }).handle, false);
    all.clients.talkers.push(talker);
  });
  all.run(600_000_000);

  let orderly = 0;
  for (const [index, { outcome }] of all.clients.talkers.entries()) {
    const [, back] = connections[index];
    if (outcome.reason === RC_RESET) continue;
    expect(outcome, all.log()).toEqual({ received: back, ended: true, reason: RC_OK });
    orderly++;
  }
  client.finish();
  for (const k of cores.all) k.finish();
  expect(Object.values(cores.held())).toEqual([0, 0, 0, 0]);
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
