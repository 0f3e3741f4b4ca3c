/**
 * What the paper's figures show, as statements that a run either bears out or does not: ratios within
 * one run, so that the machine cancels out.
 */
import type { ResultLine } from "../lib/results.ts";

export interface Shape {
  readonly claim: string;
  /** What it is in the paper. */
  readonly paper: string;
  /** The least that is expected here, or with `most` the greatest. */
  readonly bound: number;
  readonly isMost?: boolean;
  /** What came of it; undefined: not measured. */
  readonly value: number | undefined;
  readonly holds: boolean | undefined;
}

const RATE = "msgs_per_s";

type Ask = Omit<Shape, "value" | "holds"> & {
  readonly of: (lines: Lines) => number | undefined;
};

const SHAPES: readonly Ask[] = [
  {
    claim: "one way of 64 B, node:net or C, whichever is faster, by ixwasm",
    paper: "24 µs / 5.7 µs = 4.2",
    bound: 4,
    of: (lines) =>
      ratio(
        least([
          lines.at("netpipe", "node:net", { size: 64 }, "one_way_us"),
          lines.at("netpipe", "C, blocking", { size: 64 }, "one_way_us"),
        ]),
        least(lines.ours("netpipe", { size: 64 }, "one_way_us")),
      ),
  },
  ...[1, 1024].flatMap((rounds): Ask[] => [
    {
      claim: `messages/s with n = ${rounds}, by node:net`,
      paper: "no Node there",
      bound: 15,
      of: (lines) => overBaseline(lines, "rounds", "node:net", { rounds }),
    },
    {
      claim: `messages/s with n = ${rounds}, by C with epoll`,
      paper: rounds === 1 ? "about 8" : "8.8",
      bound: rounds === 1 ? 8 : 8.8,
      of: (lines) => overBaseline(lines, "rounds", "epoll", { rounds }),
    },
  ]),
  {
    claim: "messages/s with n = 1024, by n = 1",
    paper: "8.78 M / 1.74 M = 5",
    bound: 1.5,
    of: (lines) => {
      const system = "ixwasm inline";
      const [one, many] = [1, 1024].map((rounds) => lines.at("rounds", system, { rounds }, RATE));
      return ratio(many, one);
    },
  },
  {
    claim: "USR requests/s with p99 ≤ 500 µs, by memcached",
    paper: "1.8 M / 500 k = 3.6",
    bound: 3.6,
    of: (lines) => overMemcached(lines, "usr"),
  },
  {
    claim: "ETC requests/s with p99 ≤ 500 µs, by memcached",
    paper: "1.55 M / 550 k = 2.8",
    bound: 2.8,
    of: (lines) => overMemcached(lines, "etc"),
  },
  {
    claim: "messages/s with B = 64, by B = 1, at saturation",
    paper: "1.29",
    bound: 1.2,
    of: (lines) => overBatches(lines, RATE),
  },
  {
    claim: "unloaded p99 with B = 64, by B = 1",
    paper: "1.0",
    bound: 1.2,
    isMost: true,
    of: (lines) => overBatches(lines, "p99_us"),
  },
  {
    claim: "messages/s over 250 000 connections, of the most",
    paper: "0.47",
    bound: 0.6,
    of: (lines) => {
      const all = lines.values("connections", "ixwasm inline", RATE);
      const most = lines.at("connections", "ixwasm inline", { conns: 250_000 }, RATE);
      return all.length === 0 ? undefined : ratio(most, Math.max(...all));
    },
  },
];

/** What each statement comes to with these results. */
export function shapesOf(results: readonly ResultLine[]): Shape[] {
  const lines = new Lines(results);
  return SHAPES.map(({ of, ...shape }) => {
    const value = of(lines);
    const { bound, isMost } = shape;
    const holds = value === undefined ? undefined : isMost ? value <= bound : value >= bound;
    return { ...shape, value, holds };
  });
}

class Lines {
  readonly #lines: readonly ResultLine[];

  constructor(lines: readonly ResultLine[]) {
    this.#lines = lines;
  }

  /** The median of a metric where the parameters are so. */
  at(experiment: string, system: string, params: object, metric: string): number | undefined {
    return this.#of(experiment, params).find((line) => line.system === system)?.metrics[metric]
      ?.median;
  }

  /** The medians of all that is ixwasm and not simulated. */
  ours(experiment: string, params: object, metric: string): number[] {
    return this.#of(experiment, params).flatMap(({ system, simulated, metrics }) =>
      system.startsWith("ixwasm") && !simulated && metric in metrics
        ? [metrics[metric].median]
        : [],
    );
  }

  /** All medians of a system where the parameters are so. */
  values(experiment: string, system: string, metric: string, params: object = {}): number[] {
    return this.#of(experiment, params).flatMap((line) =>
      line.system === system && metric in line.metrics ? [line.metrics[metric].median] : [],
    );
  }

  #of(experiment: string, params: object): ResultLine[] {
    return this.#lines.filter(
      (line) =>
        line.experiment === experiment &&
        Object.entries(params).every(([name, value]) => line.params[name] === value),
    );
  }
}

/** The best of ixwasm, which is loaded by a dataplane, by memcached, which is loaded through Linux. */
function overMemcached(lines: Lines, load: string): number | undefined {
  const ours = lines.ours("kv", { load }, "at_sla");
  const theirs = lines.values("kv", "memcached", "at_sla", { load });
  return ours.length === 0 ? undefined : ratio(Math.max(...ours), theirs[0]);
}

function overBaseline(lines: Lines, experiment: string, system: string, params: object) {
  const ours = lines.ours(experiment, params, RATE);
  const theirs = lines.at(experiment, system, params, RATE);
  return ours.length === 0 ? undefined : ratio(Math.max(...ours), theirs);
}

function overBatches(lines: Lines, metric: string): number | undefined {
  const [one, many] = [1, 64].map((batch) => lines.at("batch", "ixwasm inline", { batch }, metric));
  return ratio(many, one);
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
