/** `bench latency`: how long requests take, unloaded and under more and more load, in an open loop. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure, type Figure } from "../lib/results.ts";
import { counted, grouped, ranged } from "../lib/text.ts";
import { OPEN_LOAD_SYSTEMS, type OpenLoadSample, type OpenLoadSystem } from "./systems.ts";

interface LatencyOptions {
  readonly rates: readonly number[];
  readonly conns: number;
  readonly size: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly seed: number;
  readonly systems: readonly string[];
}

/** One system at one rate. */
interface Point {
  readonly system: OpenLoadSystem;
  readonly rate: number;
  readonly samples: OpenLoadSample[];
}

const NAMES = Object.keys(OPEN_LOAD_SYSTEMS);
/** Before each measurement, s; and how many requests a second there are then at least. */
const WARMUP = 0.7;
const WARMUP_RATE = 5000;
/** The paper's service level: 99 of 100 requests within this, µs. */
const SLA = 500;
/** A system that answers a smaller share of its requests, or half of them only after so many µs, is full. */
const ENOUGH = 0.98;
const TOO_LONG = 5000;

export const latency = defineExperiment<LatencyOptions>({
  name: "latency",
  figure: "table 2, and figure 5's axes",
  description: "how long requests take, unloaded and under more and more load, in an open loop",
  method:
    "Requests are due at random moments (Poisson) on random connections and are sent when due; latency " +
    "counts from then (no coordinated omission). A system is loaded more until it is full. Linux's " +
    "servers have the same C client, which has a core to itself. The two threads of ixwasm threaded poll: " +
    "where there are no more processors, whatever else runs, the engine's collector and compiler too, takes " +
    "the place of one of them for a while, and its p99 shows how long. The paper's points are of memcached.",
  options: (command) =>
    command
      .option("--rates <n>", "requests a second", integers(1, 1e8), [
        ...[1000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000],
      ])
      .option("--conns <n>", "connections", integer(1, 10_000), 64)
      .option("--size <bytes>", "bytes of a request and of its answer", integer(1, 200), 64)
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 1)
      .option("--seed <n>", "of the arrivals", integer(0, 2 ** 31), 1),
  turns: { systems: NAMES, repeats: 3 },
  examples: ["", "--rates 1000 --repeats 9", "--systems inline,epoll --conns 1000"],
  bounded: { repeats: 2 },
  run: runLatency,
  charts: [
    {
      kind: "lines",
      title: "p99 by requests answered",
      x: { metric: "answered_per_s", label: "requests/s", log: true },
      y: { metric: "p99_us", label: "p99, µs", log: true },
      paper: [
        { label: "IX, memcached USR", points: [[1.8e6, 152]] },
        { label: "Linux, memcached USR", points: [[5e5, 426]] },
      ],
    },
    {
      kind: "lines",
      title: "Median by requests answered",
      x: { metric: "answered_per_s", label: "requests/s", log: true },
      y: { metric: "p50_us", label: "median, µs", log: true },
    },
  ],
});

async function runLatency(options: LatencyOptions, reporter: Reporter): Promise<void> {
  const { conns, size, seconds, repeats, seed } = options;
  reporter.note(
    `latency: ${counted(conns, "connection")}, ${size} B, seed ${seed}; ` +
      `median (least–most) of ${repeats} × ${seconds} s`,
  );
  const systems = options.systems
    .map((name) => OPEN_LOAD_SYSTEMS[name])
    .filter((system) => {
      const reason = system.absence();
      if (reason !== null) reporter.absent(system.name, reason);
      return reason === null;
    });
  const points = await measureInTurn(systems, options, reporter);
  const measured = points.filter(({ samples }) => samples.length > 0);
  tableOf(reporter, "p50_us", "requests/s: p50 µs", measured);
  tableOf(reporter, "p99_us", "requests/s: p99 µs", measured);
  noteService(reporter, systems, measured);
  for (const point of measured) {
    const { system, rate, samples } = point;
    reporter.record({
      system: system.name,
      params: { rate, conns, size, seconds, seed, repeats: samples.length },
      metrics: metricsOf(point),
    });
  }
}

/** Rates upwards, the systems in turn; a system that is full gets no more. */
async function measureInTurn(
  systems: readonly OpenLoadSystem[],
  { rates, conns, size, seconds, repeats, seed }: LatencyOptions,
  reporter: Reporter,
): Promise<Point[]> {
  const points: Point[] = [];
  const full = new Set<OpenLoadSystem>();
  reporter.expect(rates.length * repeats * systems.length);
  for (const rate of rates.toSorted((a, b) => a - b)) {
    const row = systems.map((system): Point => ({ system, rate, samples: [] }));
    points.push(...row);
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const { system, samples } of row) {
        reporter.step(`${system.name}, ${grouped(rate)} requests/s`);
        if (full.has(system)) continue;
        const warming = { warmup: WARMUP, warmupRate: Math.max(rate, WARMUP_RATE) };
        const load = { rate, conns, size, seconds, ...warming, seed: seed + repeat };
        try {
          const sample = await system.measure(load);
          samples.push(sample);
          if (isFull(sample)) full.add(system);
        } catch (error) {
          // More than it can take; at the least load that would be a failure of another kind.
          if (rate === Math.min(...rates)) reporter.failed(system.name, (error as Error).message);
          full.add(system);
        }
      }
    }
  }
  return points;
}

function isFull({ sent, answered, p50_us }: OpenLoadSample): boolean {
  return answered < ENOUGH * sent || p50_us > TOO_LONG;
}

function metricsOf({ samples }: Point): Record<"answered_per_s" | "p50_us" | "p99_us", Figure> {
  const of = (value: (sample: OpenLoadSample) => number) => figure(samples.map(value));
  return {
    answered_per_s: of(({ answered, seconds }) => answered / seconds),
    p50_us: of(({ p50_us }) => p50_us),
    p99_us: of(({ p99_us }) => p99_us),
  };
}

/** A row for each rate and a column for each system. */
function tableOf(
  reporter: Reporter,
  metric: "p50_us" | "p99_us",
  label: string,
  points: readonly Point[],
): void {
  const names = [...new Set(points.map(({ system }) => system.name))];
  const rates = [...new Set(points.map(({ rate }) => rate))];
  const rows = rates.map((rate) => {
    const cells = names.map((name) => {
      const point = points.find((one) => one.rate === rate && one.system.name === name);
      return point === undefined ? "–" : ranged(metricsOf(point)[metric]);
    });
    return [grouped(rate), ...cells];
  });
  reporter.table([label, ...names], rows);
}

/** Table 2's two columns: unloaded, and the most at the service level. */
function noteService(
  reporter: Reporter,
  systems: readonly OpenLoadSystem[],
  points: readonly Point[],
): void {
  const rows = systems.flatMap((system) => {
    const own = points.filter((point) => point.system === system).map(metricsOf);
    if (own.length === 0) return [];
    const kept = own.filter(({ p99_us }) => p99_us.median <= SLA);
    const most = Math.max(0, ...kept.map(({ answered_per_s }) => answered_per_s.median));
    return [[system.name, ranged(own[0].p99_us), grouped(most)]];
  });
  reporter.table(["", "unloaded p99 µs", `most requests/s tried with p99 ≤ ${SLA} µs`], rows);
}
