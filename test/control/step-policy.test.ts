/** IX's rule for steps, and its constants. */
import { describe, expect, it } from "vitest";
import {
  decideStep,
  firstStep,
  IX_STEP_RULE,
  stepPolicy,
  type StepState,
} from "../../host/control/step-policy.ts";
import { energyProportionality, minimumMaximum, plainMachine } from "../../host/control/steps.ts";
import { coreMetrics, observation, runPolicy, type CoreFigures } from "./support.ts";

const STEPS = energyProportionality(plainMachine(8));
const LONG_AGO = -Infinity;

/** The step after an observation of cores with these figures, ten seconds after the start. */
function after(state: Partial<StepState>, ...cores: CoreFigures[]): number {
  const before = { step: 3, lastUp: LONG_AGO, lastDown: LONG_AGO, ...state };
  const seen = observation(NOW, { cores: cores.map(coreMetrics) });
  return decideStep(STEPS, before, seen).step;
}

const NOW = 10_000_000;
const QUEUED = { queue: 33, idle: 0 };
const IDLE = { queue: 0, idle: 0.9 };

it("has the published constants", () => {
  expect(IX_STEP_RULE).toEqual({
    period: 100_000,
    upQueue: 32,
    upAfterUp: 200_000,
    upAfterDown: 2_000_000,
    downQueue: 8,
    downAfter: 4_000_000,
  });
});

describe("a step up", () => {
  it("needs one core with more than 32 packets queued", () => {
    expect(after({}, IDLE, { queue: 33 })).toBe(4);
    expect(after({}, { queue: 32 }, { queue: 32 })).toBe(3);
  });

  it("comes 0.2 s after the last one up, and 2 s after the last one down, at the soonest", () => {
    expect(after({ lastUp: NOW - 199_999 }, QUEUED)).toBe(3);
    expect(after({ lastUp: NOW - 200_000 }, QUEUED)).toBe(4);
    expect(after({ lastDown: NOW - 1_999_999 }, QUEUED)).toBe(3);
    expect(after({ lastDown: NOW - 2_000_000 }, QUEUED)).toBe(4);
  });

  it("ends at the last step", () => {
    expect(after({ step: 7 }, QUEUED)).toBe(7);
  });
});

describe("a step down", () => {
  it("needs more idle time than 1.2 times what the step added, and hardly any queue", () => {
    // Step 3 is the fourth core: a quarter, and a fifth of that.
    expect(after({}, { idle: 0.31 })).toBe(2);
    expect(after({}, { idle: 0.3 })).toBe(3);
    expect(after({}, { idle: 0.9, queue: 8 })).toBe(3);
    expect(after({}, { idle: 0.9, queue: 14 }, { idle: 0.9, queue: 1 })).toBe(2);
    expect(after({}, { idle: 0.1 }, { idle: 0.5 }, { idle: 0.36 })).toBe(2);
  });

  it("comes 4 s after any other at the soonest", () => {
    expect(after({ lastUp: NOW - 3_999_999 }, IDLE)).toBe(3);
    expect(after({ lastDown: NOW - 3_999_999 }, IDLE)).toBe(3);
    expect(after({ lastUp: NOW - 4_000_000, lastDown: NOW - 4_000_000 }, IDLE)).toBe(2);
  });

  it("ends at the first step", () => {
    expect(after({ step: 0 }, { idle: 1 })).toBe(0);
  });
});

describe("a load that steps from 0.4 to 6.5 cores and back", () => {
  const load = (now: number): number => (now > 5e6 && now < 20e6 ? 6.5 : 0.4);
  const changes = runPolicy(stepPolicy("cores", STEPS), load, 60e6);
  const [ups, downs] = [
    changes.filter(({ at }) => at <= 20e6),
    changes.filter(({ at }) => at > 20e6),
  ];

  it("is followed up core by core, 0.2 s each, until the queue is gone", () => {
    expect(ups.map(({ cores }) => cores).slice(0, 6)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(ups[0].at).toBeLessThanOrEqual(5.2e6);
    for (const [i, { at }] of ups.slice(1, 6).entries()) expect(at - ups[i].at).toBe(200_000);
  });

  it("is followed down core by core, 4 s each", () => {
    expect(downs.map(({ cores }) => cores).at(-1)).toBeLessThanOrEqual(2);
    for (const [i, { at, cores }] of downs.slice(1).entries()) {
      expect(at - downs[i].at).toBe(4_000_000);
      expect(cores).toBe(downs[i].cores - 1);
    }
  });

  it("is answered at once by minimum-maximum", () => {
    const steps = minimumMaximum(plainMachine(8));
    const both = runPolicy(stepPolicy("minimum-maximum", steps), load, 60e6);
    expect(both.map(({ cores }) => cores)).toEqual([8, 1]);
    expect(both[0].at).toBeLessThanOrEqual(5.2e6);
    expect(both[1].at).toBeLessThanOrEqual(20.2e6);
  });
});

it("never changes direction faster than its constants allow, whatever the load does", () => {
  // Loads that swing as fast as the rule is applied, and slower, around every size.
  for (const swing of [1, 3, 7, 25, 45]) {
    const load = (now: number): number =>
      Math.floor(now / (swing * 100_000)) % 2 === 0 ? 7.9 : 0.1;
    const changes = runPolicy(stepPolicy("cores", STEPS), load, 120e6);
    let last = { at: LONG_AGO, cores: 1, up: true };
    for (const { at, cores } of changes) {
      const up = cores > last.cores;
      const least = up ? (last.up ? 200_000 : 2_000_000) : 4_000_000;
      expect(at - last.at).toBeGreaterThanOrEqual(least);
      last = { at, cores, up };
    }
  }
});

it("refuses to begin at a step that is not there", () => {
  expect(() => stepPolicy("cores", STEPS, 8)).toThrow(RangeError);
});

describe("the step to begin with", () => {
  it("is the first that has the cores which run", () => {
    for (const cores of [1, 3, 8]) {
      const first = firstStep(STEPS, cores);
      expect(STEPS[first].cores).toBe(cores);
      expect(STEPS.slice(0, first).every((step) => step.cores < cores)).toBe(true);
    }
  });

  it("is the very first where no step has so many", () => {
    expect(firstStep(STEPS, 9)).toBe(0);
  });
});
