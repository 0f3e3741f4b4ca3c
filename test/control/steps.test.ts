/** The configurations that IX's policies step through. */
import { describe, expect, it } from "vitest";
import {
  consolidation,
  energyProportionality,
  minimumMaximum,
  plainMachine,
  type MachineShape,
  type Step,
} from "../../host/control/steps.ts";

/** The SoCC paper's machine, with fewer frequencies. */
const MACHINE: MachineShape = {
  cores: 4,
  frequencies: [1.2, 1.8, 2.4],
  turbo: 3.1,
  hyperthreads: true,
};

function show({ cores, frequency, hyperthreads }: Step): string {
  return `${cores}${hyperthreads ? "×2" : ""} @ ${frequency}`;
}

describe("energy proportionality", () => {
  const steps = energyProportionality(MACHINE);

  it("adds slow cores, then hyperthreads, then frequency, then turbo", () => {
    expect(steps.map(show)).toEqual([
      "1 @ 1.2",
      "2 @ 1.2",
      "3 @ 1.2",
      "4 @ 1.2",
      "4×2 @ 1.2",
      "4×2 @ 1.8",
      "4×2 @ 2.4",
      "4×2 @ 3.1",
    ]);
  });

  it("leaves a step when 1.2 times what it added is idle", () => {
    const thresholds = steps.map(({ threshold }) => threshold);
    expect(thresholds[0]).toBe(2);
    // A core of n adds 1/n, hyperthreads 1 - 1/1.3, a frequency its part, turbo a tenth.
    const added = [1 / 2, 1 / 3, 1 / 4, 1 - 1 / 1.3, 1 / 3, 1 / 4, 0.1];
    for (const [i, share] of added.entries()) expect(thresholds[i + 1]).toBeCloseTo(1.2 * share);
  });

  it("grows in capacity from step to step", () => {
    for (const [i, { capacity }] of steps.slice(1).entries()) {
      expect(capacity).toBeGreaterThan(steps[i].capacity);
    }
  });
});

it("consolidation adds whole cores at nominal frequency, then turbo", () => {
  expect(consolidation(MACHINE).map(show)).toEqual([
    "1×2 @ 2.4",
    "2×2 @ 2.4",
    "3×2 @ 2.4",
    "4×2 @ 2.4",
    "4×2 @ 3.1",
  ]);
});

it("minimum-maximum knows two steps, and a way back from the second", () => {
  const steps = minimumMaximum(MACHINE);
  expect(steps.map(show)).toEqual(["1 @ 1.2", "4×2 @ 3.1"]);
  expect(steps[1].threshold).toBeGreaterThan(1 - steps[0].capacity / steps[1].capacity);
  expect(steps[1].threshold).toBeLessThan(1);
});

describe("a machine of which only cores can be given", () => {
  it("has a step for each of them", () => {
    for (const policy of [energyProportionality, consolidation]) {
      const steps = policy(plainMachine(3));
      expect(steps.map(show)).toEqual(["1 @ 1", "2 @ 1", "3 @ 1"]);
    }
    expect(minimumMaximum(plainMachine(3)).map(show)).toEqual(["1 @ 1", "3 @ 1"]);
  });
});

describe("a machine that cannot be", () => {
  it.each([
    [{ cores: 0, frequencies: [1] }, /cores/],
    [{ cores: 1.5, frequencies: [1] }, /cores/],
    [{ cores: 1, frequencies: [] }, /frequencies/],
    [{ cores: 1, frequencies: [2, 1] }, /frequencies: 1 GHz/],
    [{ cores: 1, frequencies: [1, 2], turbo: 2 }, /frequencies: 2 GHz/],
  ])("is refused: %j", (machine, message) => {
    expect(() => energyProportionality(machine)).toThrow(message);
    expect(() => energyProportionality(machine)).toThrow(RangeError);
  });
});
