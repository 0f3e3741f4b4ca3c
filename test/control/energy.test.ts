/** The energy model: what its figures do, not what they are. */
import { describe, expect, it } from "vitest";
import { EnergyMeter, MODEL_ENERGY, modelledWatts } from "../../host/control/energy.ts";

const ALL = { active: 8, cores: 8, frequency: 2.4 };

describe("modelled power", () => {
  it("falls with every core that is given back, and with the frequency", () => {
    const watts = [8, 4, 1].map((active) => modelledWatts({ ...ALL, active }));
    expect(watts).toEqual(watts.toSorted((a, b) => b - a));
    expect(modelledWatts({ ...ALL, frequency: 1.2 })).toBeLessThan(modelledWatts(ALL) / 1.5);
    expect(modelledWatts({ ...ALL, hyperthreads: true })).toBeGreaterThan(modelledWatts(ALL));
  });

  it("makes many slow cores cheaper than few fast ones that do as much", () => {
    const slow = modelledWatts({ active: 8, cores: 8, frequency: 1.2 });
    const fast = modelledWatts({ active: 4, cores: 8, frequency: 2.4 });
    expect(slow).toBeLessThan(fast);
  });

  it("is what is shared when no core is active", () => {
    const watts = modelledWatts({ active: 0, cores: 8, frequency: 1 });
    expect(watts).toBe(MODEL_ENERGY.package + 8 * MODEL_ENERGY.sleeping);
  });
});

it("an energy meter adds up watts over time, in joules", () => {
  const meter = new EnergyMeter(1_000_000, ALL);
  meter.change(3_000_000, { ...ALL, active: 1 });
  expect(meter.joules).toBeCloseTo(2 * modelledWatts(ALL));
  meter.change(3_500_000, ALL);
  const one = modelledWatts({ ...ALL, active: 1 });
  expect(meter.joules).toBeCloseTo(2 * modelledWatts(ALL) + one / 2);
});
