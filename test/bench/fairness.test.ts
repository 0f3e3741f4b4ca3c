/** How flows share a bottleneck, as `bench fairness` has it: 100 Mbit/s, 20 ms, a queue as long as the path. */
import { afterAll, describe, expect, it } from "vitest";
import { jainIndex, SHARING, simulate } from "../../bench/flows/simulate.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { all, differences, GoldenFile } from "./golden.ts";

const RATE = 100e6;
const CONTROLS: readonly CongestionControl[] = ["cubic", "newreno", "bbr"];
const FLOWS = [1, 2, 4, 8, 16, 32, 64];
/** Rows that are looked at every time. */
const SOME = [2, 16];
/** Jain's index, and the share of the link, in hundredths. */
const LEAST = 3;
const TIMEOUT = 300_000;

const golden = new GoldenFile("fairness");
afterAll(() => golden.write());

/** Seeds of the runs that two flows are looked at in. */
const SEEDS = [1, 2, 3];

/** Jain's index and use of the link, in hundredths. */
function sharing(control: CongestionControl, flows: number, seed = 1): number[] {
  const { goodputs } = simulate({
    ...SHARING,
    controls: Array.from({ length: flows }, () => control),
    rate: RATE,
    roundTrip: 20_000,
    loss: 0,
    queue: 1,
    seed,
  });
  const total = goodputs.reduce((sum, goodput) => sum + goodput, 0);
  return [jainIndex(goodputs), total / RATE].map((figure) => Math.round(figure * 1000) / 10);
}

const rows = CONTROLS.flatMap((control) =>
  (all ? FLOWS : SOME).map((flows) => [`${control}, ${flows}`, control, flows] as const),
);

describe("flows that share", () => {
  it.each(rows)("%s: as fair as ever", { timeout: TIMEOUT }, (name, control, flows) => {
    const found = sharing(control, flows);
    if (all) golden.note(name, found);
    expect(differences(found, golden.table[name], LEAST)).toBe("");
  });

  it.each(CONTROLS)(
    "two of %s have a Jain index of 0.95 at least, in every run",
    { timeout: TIMEOUT },
    (control) => {
      const name = `${control}, 2, runs`;
      const found = all ? SEEDS.map((seed) => sharing(control, 2, seed)[0]) : golden.table[name];
      if (all) golden.note(name, found);
      expect(found).toHaveLength(SEEDS.length);
      for (const jain of found) expect(jain).toBeGreaterThanOrEqual(95);
      expect(golden.table[`${control}, 2`][1]).toBeGreaterThan(85);
    },
  );
});
