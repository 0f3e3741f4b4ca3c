/** The goodput grid of `bench grid`, in virtual time: per cent of the link by loss, round trip and control. */
import { afterAll, describe, expect, it } from "vitest";
import { simulate } from "../../bench/flows/simulate.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { all, differences, GoldenFile } from "./golden.ts";

/** Per cent, of the frames each way. */
const LOSSES = [0, 0.1, 1, 3, 5];
const ROUND_TRIPS = [1, 10, 50, 100];
const CONTROLS: readonly CongestionControl[] = ["cubic", "newreno"];
/** Mbit/s. */
const RATES = [100, 1000];
/** What is looked at every time: a second each at 100 Mbit/s, many at 1 Gbit/s. */
const SOME_LOSSES = [0, 1];
const SOME_RATES = [100];
/** Per cent of the link: below that, figures are noise. */
const LEAST = 1.5;
const TIMEOUT = 300_000;

const golden = new GoldenFile("grid");
afterAll(() => golden.write());

/** Payload in per cent of the link, to a tenth. */
function share(
  control: CongestionControl,
  rate: number,
  roundTrip: number,
  loss: number,
  [warmup, seconds] = [5, 10],
): number {
  const { goodputs } = simulate({
    controls: [control],
    rate: rate * 1e6,
    roundTrip: roundTrip * 1000,
    loss: loss / 100,
    queue: 1,
    warmup,
    seconds,
    seed: 1,
  });
  return Math.round(goodputs[0] / (rate * 1000)) / 10;
}

const rows = (all ? RATES : SOME_RATES).flatMap((rate) =>
  ROUND_TRIPS.flatMap((roundTrip) =>
    CONTROLS.map(
      (control) =>
        [`${rate} Mbit/s, ${roundTrip} ms, ${control}`, control, rate, roundTrip] as const,
    ),
  ),
);

describe("one flow gets of the link what it always got", () => {
  it.each(rows)("%s", { timeout: TIMEOUT }, (name, control, rate, roundTrip) => {
    const losses = all ? LOSSES : SOME_LOSSES;
    const found = losses.map((loss) => share(control, rate, roundTrip, loss));
    if (all) golden.note(name, found);
    const expected = losses.map((loss) => golden.table[name][LOSSES.indexOf(loss)]);
    expect(differences(found, expected, LEAST)).toBe("");
  });
});

describe("one flow over 1 Gbit/s and 100 ms", () => {
  it.each(CONTROLS)("under %s fills nine tenths of it", { timeout: TIMEOUT }, (control) => {
    expect(share(control, 1000, 100, 0, [3, 2])).toBeGreaterThanOrEqual(90);
  });
});
