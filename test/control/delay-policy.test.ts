/** Cores by queuing delay. */
import { describe, expect, it } from "vitest";
import { delayPolicy } from "../../host/control/delay-policy.ts";
import { coreMetrics, observation, runPolicy } from "./support.ts";

const HOLD = 20_000;

/** A policy for 16 cores that has `cores`, and what it asks for after packets waited `waited` µs. */
function after(cores: number, ...waits: number[]): number {
  const policy = delayPolicy({ max: 16 }, cores);
  let state = policy.initial;
  waits.forEach((waited, i) => {
    const seen = Array.from({ length: cores }, () => coreMetrics({ waited }));
    state = policy.decide(state, observation(100 * (i + 1), { cores: seen }));
  });
  return policy.demand(state).cores;
}

describe("congestion", () => {
  /** So many observations, 100 µs apart, are 1 ms. */
  const long = (waited: number): number[] => Array.from({ length: 11 }, () => waited);

  it("is that packets wait for longer than 100 µs, for a millisecond", () => {
    expect(after(2, ...long(100))).toBe(2);
    expect(after(2, ...long(101))).toBe(3);
    expect(after(2, ...long(101).slice(1))).toBe(2);
  });

  it("is seen in the ring as well as in the last batch", () => {
    const policy = delayPolicy({ max: 4 });
    const cores = [coreMetrics({ delayNow: 300 })];
    let state = policy.initial;
    for (let now = 0; now <= 1000; now += 100) {
      state = policy.decide(state, observation(now, { cores }));
    }
    expect(policy.demand(state).cores).toBe(2);
  });

  it("is answered at once where more arrives than the cores can do", () => {
    const policy = delayPolicy({ max: 16 }, 2);
    const cores = [coreMetrics({ waited: 101 }), coreMetrics({ waited: 90 })];
    // Both were busy all the time and did 20 packets; 100 came, of which 15 may be chance. That is 8.5
    // cores' worth, at most 80 % busy.
    const seen = { cores, interval: 100, busy: 200, processed: 20, arrived: 100 };
    const state = policy.decide(policy.initial, observation(100, seen));
    expect(policy.demand(state).cores).toBe(11);
  });

  it("asks for no more while it is being worked off", () => {
    expect(after(2, ...Array.from({ length: 30 }, (_, i) => 5000 - 10 * i))).toBe(2);
    expect(after(2, ...long(500), 400, 300, 200)).toBe(3);
  });

  it("asks for no more than there are", () => {
    expect(after(16, ...long(5000), ...long(6000))).toBe(16);
  });
});

describe("a load that steps from 1.6 to 12 cores and back", () => {
  const BEGIN = 50_000;
  const END = 150_000;
  const load = (now: number): number => (now > BEGIN && now <= END ? 12 : 1.6);
  const changes = runPolicy(delayPolicy({ max: 16 }, 2), load, 300_000);

  it("is answered within a millisecond", () => {
    const [first] = changes.filter(({ at }) => at > BEGIN);
    expect(first.at - BEGIN).toBeLessThanOrEqual(1000);
    const enough = changes.find(({ at, cores }) => at > BEGIN && cores >= 12);
    expect(enough!.at - BEGIN).toBeLessThanOrEqual(1000);
  });

  it("gives the cores back once they have not been needed for 20 ms", () => {
    const down = changes.find(({ at }) => at > END)!;
    expect(down.at - END).toBeGreaterThanOrEqual(HOLD);
    expect(down.at - END).toBeLessThan(2 * HOLD);
    expect(changes.at(-1)!.cores).toBeLessThanOrEqual(3);
  });
});

it("keeps its cores at a steady load, whatever it is", () => {
  for (const cores of [0.5, 1, 2.5, 7, 11.9]) {
    const changes = runPolicy(delayPolicy({ max: 16 }), () => cores, 1e6);
    expect(changes.filter(({ at }) => at > 100_000)).toEqual([]);
  }
});

it("never gives cores back sooner than its hold after any change", () => {
  for (const swing of [200, 1000, 5000, 20_000, 45_000]) {
    const load = (now: number): number => (Math.floor(now / swing) % 2 === 0 ? 14 : 0.2);
    const changes = runPolicy(delayPolicy({ max: 16 }), load, 1e6);
    let last = { at: -Infinity, cores: 1 };
    for (const change of changes) {
      if (change.cores < last.cores) expect(change.at - last.at).toBeGreaterThanOrEqual(HOLD);
      last = change;
    }
  }
});

it("does not go below what it must keep", () => {
  const changes = runPolicy(delayPolicy({ max: 8, min: 3 }, 8), () => 0, 1e6);
  expect(changes.at(-1)).toMatchObject({ cores: 3 });
  expect(() => delayPolicy({ max: 2, min: 3 })).toThrow(RangeError);
});
