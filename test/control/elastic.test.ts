/**
 * Policies, controllers, migrations and the kernel together, on simulated cores: the figures that the
 * benchmarks show are simulated, so they are the same everywhere and can be asserted.
 */
import { describe, expect, it } from "vitest";
import { reactionTime, scenarioOf } from "../../bench/elastic/policies.ts";
import { runScenario, type ScenarioResult } from "../../bench/elastic/scenario.ts";
import { simulateEcho } from "../../bench/cores/simulated.ts";
import { REFERENCE_COSTS } from "../../host/dataplane/cost-model.ts";
import { IX_STEP_RULE } from "../../host/control/step-policy.ts";

const TIMEOUT = 120_000;
const BASE = { service: 2, seconds: 0.15, load: 0.75, batch: 16, conns: 512, seed: 1 };

/** What holds in every run: every request is answered, and migrations cost no segment. */
function expectIntact(result: ScenarioResult): void {
  expect(result.answered).toBe(result.requests);
  expect(result.retransmissions).toBe(0);
  expect(result.drops).toBe(0);
}

describe("simulated echo", () => {
  const rate = (cores: number): number =>
    simulateEcho({
      cores,
      conns: 1024,
      size: 64,
      batch: 64,
      costs: REFERENCE_COSTS,
      micros: 5000,
    }).messagesPerSecond;

  it(
    "does 1.9 times as much on two cores as on one, 7.5 times on eight",
    { timeout: TIMEOUT },
    () => {
      const one = rate(1);
      expect(rate(2) / one).toBeGreaterThanOrEqual(1.9);
      expect(rate(8) / one).toBeGreaterThanOrEqual(7.5);
    },
  );
});

describe.each([8, 16])("queuing delay, %i cores, a step from 10 %% to 100 %% and back", (cores) => {
  const scenario = scenarioOf({ ...BASE, cores }, "delay", "step");

  it("has the cores that are needed within 5 ms", { timeout: TIMEOUT }, async () => {
    const result = await runScenario(scenario);
    expectIntact(result);
    expect(reactionTime(scenario, result)).toBeLessThanOrEqual(5000);
    const step = (BASE.seconds * 1e6) / 3;
    const [decided] = result.changes.filter(({ decided }) => decided > step);
    expect(decided.decided - step).toBeLessThanOrEqual(1000);
    // And gives them back, after the hold.
    expect(result.changes.at(-1)!.cores).toBeLessThanOrEqual(cores / 4);
    expect(result.meanCores).toBeLessThan(0.75 * cores);
  });

  it("comes out the same in every run", { timeout: TIMEOUT }, async () => {
    const short = scenarioOf({ ...BASE, cores, seconds: 0.03 }, "delay", "step");
    expect(await runScenario(short)).toEqual(await runScenario(short));
  });
});

it("queuing delay follows a slope on 64 cores", { timeout: TIMEOUT }, async () => {
  const options = { ...BASE, cores: 64, service: 20, seconds: 0.1, conns: 1024 };
  const result = await runScenario(scenarioOf(options, "delay", "slope"));
  expectIntact(result);
  const most = Math.max(...result.intervals.map(({ cores }) => cores));
  expect(most).toBeGreaterThanOrEqual(0.75 * 64);
  expect(result.meanCores).toBeLessThan(56);
});

describe("IX's steps, 8 cores", () => {
  const options = { ...BASE, cores: 8, service: 500, seconds: 24, conns: 256 };

  it("keep to their published constants", { timeout: TIMEOUT }, async () => {
    const scenario = scenarioOf(options, "consolidation", "step");
    const result = await runScenario(scenario);
    expectIntact(result);
    let last = { decided: -Infinity, capacity: 0, up: true };
    for (const { decided, capacity } of result.changes) {
      const up = capacity > last.capacity;
      const { upAfterUp, upAfterDown, downAfter } = IX_STEP_RULE;
      const least = up ? (last.up ? upAfterUp : upAfterDown) : downAfter;
      expect(decided - last.decided).toBeGreaterThanOrEqual(least - 1);
      last = { decided, capacity, up };
    }
    // From one core to five of 1.3: five steps of 0.2 s, and up to two periods of the average.
    expect(reactionTime(scenario, result)).toBeLessThanOrEqual(1_500_000);
    expect(result.energyShare).toBeLessThan(1);
  });
});
