/** How flows share a bottleneck, as `bench fairness` has it: 100 Mbit/s, 20 ms, a queue as long as the path. */
import { afterAll, describe, expect, it } from "vitest";
import { jainIndex, simulate } from "../../bench/flows/simulate.ts";
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

/** Jain's index and use of the link, in hundredths. */
function sharing(control: CongestionControl, flows: number): number[] {
  const { goodputs } = simulate({
    controls: Array.from({ length: flows }, () => control),
    rate: RATE,
    roundTrip: 20_000,
    loss: 0,
    queue: 1,
    warmup: 5,
    seconds: 30,
    seed: 1,
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
    "two of %s have a Jain index of 0.95 at least",
    { timeout: TIMEOUT },
    (control) => {
      const [jain, used] = golden.table[`${control}, 2`];
      expect(jain).toBeGreaterThanOrEqual(95);
      expect(used).toBeGreaterThan(85);
    },
  );
});
