/**
 * Two runs side by side: for every figure that both have, the ratio of the medians and how far it can
 * be trusted. With enough values that is a 95 % interval by bootstrap (Efron 1979): the ratio is taken
 * of many samples drawn from both runs' values, with repetition. With fewer it is everything from the
 * least to the greatest ratio of two values.
 */
import { Random } from "../lib/random.ts";
import type { Figure, Params, ResultLine } from "../lib/results.ts";
import { spread } from "../lib/statistics.ts";

export interface Ratio {
  readonly experiment: string;
  readonly system: string;
  /** The parameters that tell the lines of an experiment and system apart. */
  readonly params: Params;
  readonly metric: string;
  readonly old: Figure;
  readonly new: Figure;
  /** New by old: of the medians, and the bounds of what it may be. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** The bounds do not include 1. */
  readonly differs: boolean;
}

/** Values of each run from which on the bootstrap means something. */
const ENOUGH = 5;
const RESAMPLES = 2000;
/** How long and how often was measured does not change what was measured. */
const EFFORT = new Set(["repeats", "seconds"]);

/** All ratios, in the order of the old run. */
export function ratiosOf(old: readonly ResultLine[], fresh: readonly ResultLine[]): Ratio[] {
  const byKey = new Map(fresh.map((line) => [keyOf(line), line]));
  const random = new Random(1);
  return old.flatMap((line) => {
    const other = byKey.get(keyOf(line));
    if (other === undefined) return [];
    const params = distinguishing(line, old);
    return Object.entries(line.metrics).flatMap(([metric, figure]) => {
      const now = other.metrics[metric];
      if (now === undefined || !(figure.median > 0) || !(now.median > 0)) return [];
      const { experiment, system } = line;
      const found = { experiment, system, params, metric, old: figure, new: now };
      return [{ ...found, ...compare(figure, now, random) }];
    });
  });
}

function compare(old: Figure, fresh: Figure, random: Random) {
  const ratio = fresh.median / old.median;
  const isEnough = Math.min(old.values.length, fresh.values.length) >= ENOUGH;
  const [low, high] = isEnough
    ? bootstrap(old.values, fresh.values, random)
    : [fresh.min / old.max, fresh.max / old.min];
  return { ratio, low, high, differs: low > 1 || high < 1 };
}

function bootstrap(
  old: readonly number[],
  fresh: readonly number[],
  random: Random,
): [low: number, high: number] {
  const draw = (values: readonly number[]): number =>
    spread(values.map(() => values[random.below(values.length)])).median;
  const ratios = Array.from({ length: RESAMPLES }, () => draw(fresh) / draw(old));
  ratios.sort((a, b) => a - b);
  return [ratios[Math.floor(0.025 * RESAMPLES)], ratios[Math.ceil(0.975 * RESAMPLES) - 1]];
}

function keyOf({ experiment, system, params }: ResultLine): string {
  const kept = Object.entries(params).filter(([name]) => !EFFORT.has(name));
  return JSON.stringify([experiment, system, kept.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

/** The parameters that are not the same in all lines of the experiment and system. */
export function distinguishing(line: ResultLine, all: readonly ResultLine[]): Params {
  const { experiment, system, params } = line;
  const kin = all.filter((one) => one.experiment === experiment && one.system === system);
  const differing = Object.entries(params).filter(
    ([name, value]) => !EFFORT.has(name) && kin.some((one) => one.params[name] !== value),
  );
  return Object.fromEntries(differing);
}
