/** Flows over a bottleneck in virtual time: a part of what `bench grid` and `bench fairness` measure. */
import { describe, expect, it } from "vitest";
import { jainIndex, simulate } from "../../bench/flows/simulate.ts";
import type { Scenario } from "../../bench/flows/simulate.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";

/** 50 Mbit/s and 20 ms, with a queue as long as the path. */
const PATH: Omit<Scenario, "controls"> = {
  rate: 50e6,
  roundTrip: 20_000,
  loss: 0,
  queue: 1,
  warmup: 3,
  seconds: 5,
  seed: 1,
};

/** Payload in per cent of the link. */
function share(control: CongestionControl, change: Partial<Scenario>): number {
  const scenario = { ...PATH, ...change, controls: [control] };
  return (100 * simulate(scenario).goodputs[0]) / scenario.rate;
}

/**
 * Per cent of the link by control, for losses of 0, 0.1, 1 and 3 %. What changes loss recovery or a
 * control on purpose changes this table too: to within TOLERANCE it is the same otherwise.
 */
const GOLDEN: readonly (readonly [CongestionControl, readonly number[]])[] = [
  ["newreno", [94, 51, 15, 9]],
  ["cubic", [94, 59, 16, 12]],
  ["bbr", [94, 93, 93, 91]],
];
const LOSSES = [0, 0.001, 0.01, 0.03];
const TOLERANCE = 6;

describe("one flow", () => {
  it.each(GOLDEN)("under %s gets of the link what it always got", (control, shares) => {
    const found = LOSSES.map((loss) => share(control, { loss }));
    for (const [index, expected] of shares.entries()) {
      expect(Math.abs(found[index] - expected), found.join()).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  it("is the same in every run with the same seed", () => {
    const scenario: Scenario = { ...PATH, loss: 0.01, seconds: 1, controls: ["bbr", "cubic"] };
    expect(simulate(scenario)).toEqual(simulate(scenario));
    expect(simulate({ ...scenario, seed: 2 })).not.toEqual(simulate(scenario));
  });

  it("fills more than half of 100 Mbit/s over 10 ms with 1 % of random loss under bbr", () => {
    expect(share("bbr", { rate: 100e6, loss: 0.01 })).toBeGreaterThan(50);
  });

  it("under dctcp fills a link that marks, and loses nothing", () => {
    const scenario: Scenario = { ...PATH, controls: ["dctcp"], ecnThreshold: 20 };
    const { goodputs, retransmits } = simulate(scenario);
    expect(goodputs[0] / PATH.rate).toBeGreaterThan(0.85);
    expect(retransmits).toBe(0);
  });
});

describe("flows that share", () => {
  it.each<CongestionControl>(["newreno", "cubic", "bbr"])(
    "under %s get about as much",
    (control) => {
      const controls = Array.from({ length: 4 }, () => control);
      const { goodputs } = simulate({ ...PATH, controls, seconds: 10 });
      expect(jainIndex(goodputs)).toBeGreaterThan(0.8);
      const total = goodputs.reduce((sum, goodput) => sum + goodput, 0);
      expect(total / PATH.rate).toBeGreaterThan(0.85);
    },
  );

  it("Jain's index is 1 for equals and 1/n for one that has all", () => {
    expect(jainIndex([3, 3, 3])).toBeCloseTo(1);
    expect(jainIndex([5, 0, 0, 0])).toBeCloseTo(0.25);
  });
});
