/** What the load generators of the kv experiment have in common: the loads, when requests are due, the measure. */
import { describe, expect, it } from "vitest";
import { cellOf, CELLS, latencyOf } from "../../bench/kv/histogram.ts";
import { pointsOf } from "../../bench/kv/points.ts";
import { DONE, RESULT_WORDS, Schedule } from "../../bench/kv/schedule.ts";
import { DRAIN, SETTLE, WARMUP } from "../../bench/kv/system.ts";
import { KEYS, record } from "../../bench/kv/workload.ts";
import { Random } from "../../bench/lib/random.ts";

describe("the loads", () => {
  const all = (load: "usr" | "etc") => Array.from({ length: KEYS }, (_, i) => record(load, i));
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v) / values.length;

  it("have a key of their own for each number", () => {
    for (const load of ["usr", "etc"] as const) {
      expect(new Set(all(load).map(({ key }) => key)).size).toBe(KEYS);
    }
  });

  it("are of the paper's sizes", () => {
    for (const { key, length } of all("usr")) expect([key.length, length]).toEqual([19, 2]);
    const etc = all("etc");
    const outside = etc.filter(
      ({ key, length }) => key.length < 20 || key.length > 70 || length < 1 || length > 1024,
    );
    expect(outside).toEqual([]);
    // Means of the distributions, cut off as the load is.
    expect(mean(etc.map(({ key }) => key.length))).toBeCloseTo(36, -1);
    expect(mean(etc.map(({ length }) => length))).toBeGreaterThan(230);
    expect(mean(etc.map(({ length }) => length))).toBeLessThan(330);
  });
});

describe("latencies in cells", () => {
  it("are told within a hundredth", () => {
    for (let value = 300; value < 2 ** 31; value = Math.ceil(value * 1.37)) {
      const cells = new Float64Array(CELLS);
      cells[cellOf(value)] = 5;
      expect(Math.abs(latencyOf(cells).p50_us * 1000 - value) / value).toBeLessThan(0.01);
    }
  });

  it("keep values that are out of range at its ends", () => {
    expect(cellOf(-1)).toBe(0);
    expect(cellOf(1e12)).toBe(CELLS - 1);
  });

  it("have the percentiles of what they count", () => {
    const cells = new Float64Array(CELLS);
    for (let i = 1; i <= 1000; i++) cells[cellOf(i * 1000)]++;
    const { p50_us, p99_us, avg_us } = latencyOf(cells);
    expect(p50_us / 500).toBeCloseTo(1, 1);
    expect(p99_us / 990).toBeCloseTo(1, 1);
    expect(avg_us / 500).toBeCloseTo(1, 1);
  });
});

describe("the schedule", () => {
  const seconds = 0.5;

  /** Runs the saturation and one load, each answer coming `delay(now)` µs after its request. */
  function run(delay: (now: number) => number, fraction = 0.5) {
    const results = new SharedArrayBuffer(8 * (1 + 2 * RESULT_WORDS));
    const params = { load: "usr" as const, conns: 1, depth: 1, seconds, seed: 1, results };
    const schedule = new Schedule(
      { ...params, fractions: [fraction], server: "", port: 0 },
      new Random(1),
    );
    const flying: { due: number; at: number }[] = [];
    let now = 0;
    while (new Int32Array(results)[0] !== DONE) {
      now += 10;
      schedule.advance(now);
      while (flying.length > 0 && flying[0].at <= now) schedule.answered(flying.shift()!.due, now);
      // One at a time, so that a server of 100 000 requests a second is modelled by steps of 10 µs.
      if (flying.length === 0 && schedule.hasDue(now)) {
        flying.push({ due: schedule.takeDue(now), at: now + delay(now) });
      }
      if (now > 1e7) throw new Error("the schedule does not end");
    }
    return pointsOf(new Float64Array(results, 8), 2);
  }

  it("finds saturation, and offers parts of it at random times", () => {
    const [saturated, half] = run(() => 10);
    expect(saturated.offered).toBe(0);
    expect(saturated.achieved / 100_000).toBeCloseTo(1, 1);
    expect(half.offered / 50_000).toBeCloseTo(1, 1);
    expect(half.achieved / 50_000).toBeCloseTo(1, 1);
    expect(half.p99_us).toBeGreaterThan(half.p50_us);
    expect(half.p99_us).toBeLessThan(500);
  });

  it("counts what waits while the server stands still", () => {
    const load = (WARMUP + seconds + SETTLE) * 1e6;
    const pause = { from: load + 200_000, to: load + 300_000 };
    const stalled = (now: number) => (now > pause.from && now < pause.to ? pause.to - now : 10);
    const [, half] = run(stalled);
    // A fifth of the requests were due while it stood still, most of them not sent before it went on.
    expect(half.p99_us).toBeGreaterThan(50_000);
  });

  it("counts what is never answered", () => {
    const load = (WARMUP + seconds + SETTLE) * 1e6;
    const [, half] = run((now) => (now > load + 300_000 ? 1e9 : 10));
    expect(half.p99_us / (DRAIN * 1e6)).toBeCloseTo(1, 1);
    expect(half.achieved).toBeLessThan(0.8 * half.offered);
  });
});
