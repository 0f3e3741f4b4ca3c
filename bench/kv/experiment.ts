/** `bench kv`: a memcached server under the loads of figure 5: latency by throughput, and the most within the SLA. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, decimals, integer, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import { spread } from "../lib/statistics.ts";
import { grouped, ranged, rounded } from "../lib/text.ts";
import { IxwasmKv } from "./ixwasm-systems.ts";
import { IxwasmTap, Memcached } from "./linux-systems.ts";
import type { KvParams, KvPoint, KvSystem } from "./system.ts";
import { type LoadName, LOADS } from "./workload.ts";

interface KvOptions {
  readonly loads: readonly LoadName[];
  readonly conns: number;
  readonly depth: number;
  readonly fractions: readonly number[];
  readonly seconds: number;
  readonly repeats: number;
  readonly seed: number;
  readonly systems: readonly string[];
}

const SYSTEMS: Readonly<Record<string, () => KvSystem>> = {
  threaded: () => new IxwasmKv(true),
  inline: () => new IxwasmKv(false),
  memcached: () => new Memcached(),
  tap: () => new IxwasmTap(),
};
const NAMES = Object.keys(SYSTEMS);

/** The paper's bound of the 99th percentile, µs, and how much of what is offered must be answered. */
const SLA = 500;
const KEPT_UP = 0.97;

export const kv = defineExperiment<KvOptions>({
  name: "kv",
  figure: "figure 5",
  description:
    "a memcached server under ETC and USR loads: latency by throughput, the most at 500 µs",
  method:
    "Requests are due at the times of a Poisson process whatever has been answered, and are timed from then " +
    "on; those that are not answered, or not even sent, count too. All answers are checked. First the rate is " +
    "found at which a system is saturated, then parts of it are offered. A server has one core and its load " +
    "generator another, but for ixwasm inline, where one thread does everything. memcached (one thread) and " +
    "ixwasm on TAP are loaded through Linux's TCP by the same C program on epoll, which polls without " +
    "sleeping; ixwasm threaded and inline by a dataplane. Cores of dataplanes never sleep. All make the same load by the same rules.",
  options: (command) =>
    command
      .option("--loads <names>", `which ones, of ${LOADS.join(",")}`, someOf([...LOADS]), [
        ...LOADS,
      ])
      .option("--conns <n>", "connections", integer(1, 10_000), 64)
      .option("--depth <n>", "requests in flight per connection, at most", integer(1, 64), 4)
      .option("--fractions <parts>", "loads, as parts of saturation", decimals(0.001, 2), [
        ...[0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1],
      ])
      .option("--seconds <s>", "length of each measurement", decimal(0.05, 600), 1)
      .option("--seed <n>", "of the random numbers", integer(1, 1e9), 1),
  turns: { systems: NAMES, repeats: 3 },
  examples: ["", "--loads usr --systems threaded,memcached", "--conns 1476 --repeats 5"],
  help: ["Systems:", ...NAMES.map((name) => `  ${name.padEnd(11)} ${SYSTEMS[name]().description}`)],
  bounded: { seconds: 0.4, repeats: 1, fractions: [0.1, 0.4, 0.6, 0.7, 0.8, 0.9, 1] },
  run: runKv,
  charts: [
    {
      kind: "lines",
      title: "p99 by throughput",
      note: "The paper's service-level agreement is 500 µs at the 99th percentile.",
      per: "load",
      where: ({ metrics }) => "p99_us" in metrics,
      x: { metric: "achieved", label: "requests/s" },
      y: { metric: "p99_us", label: "µs", log: true },
      paper: [
        { label: "USR, IX, 6 cores, 10 GbE", points: [[1_800_000, 152]] },
        { label: "USR, Linux, 8 cores", points: [[500_000, 426]] },
        { label: "ETC, IX, 6 cores, 10 GbE", points: [[1_550_000, 245]] },
        { label: "ETC, Linux, 8 cores", points: [[550_000, 463]] },
      ],
    },
    {
      kind: "lines",
      title: "Mean latency by throughput",
      per: "load",
      where: ({ metrics }) => "avg_us" in metrics,
      x: { metric: "achieved", label: "requests/s" },
      y: { metric: "avg_us", label: "µs", log: true },
    },
    {
      kind: "bars",
      title: "Most requests/s with p99 ≤ 500 µs",
      per: "load",
      where: ({ metrics }) => "at_sla" in metrics,
      y: { metric: "at_sla", label: "requests/s" },
      paper: [
        { label: "USR, IX, 6 cores", value: 1_800_000 },
        { label: "USR, Linux, 8 cores", value: 500_000 },
        { label: "ETC, IX, 6 cores", value: 1_550_000 },
        { label: "ETC, Linux, 8 cores", value: 550_000 },
      ],
    },
  ],
});

/** Of a system and a load the points of each repeat: saturation, then the fractions. */
type Measured = Map<KvSystem, Map<LoadName, KvPoint[][]>>;

async function runKv(options: KvOptions, reporter: Reporter): Promise<void> {
  const { conns, depth, seconds, repeats, loads } = options;
  reporter.note(
    `kv: ${conns} connections, at most ${depth} requests in flight on each; ` +
      `median (least–most) of ${repeats} × ${seconds} s for each load`,
  );
  const measured: Measured = new Map();
  for (const system of options.systems.map((name) => SYSTEMS[name]())) {
    const reason = await system.absence();
    if (reason === null) measured.set(system, new Map(loads.map((load) => [load, []])));
    else reporter.absent(system.name, reason);
  }
  await measureInTurn(measured, options, reporter);
  for (const load of loads) {
    tableOf(reporter, load, measured);
    for (const [system, runs] of measured) {
      if (runs.get(load)!.length > 0) record(reporter, system, options, load, runs.get(load)!);
    }
  }
}

async function measureInTurn(
  measured: Measured,
  options: KvOptions,
  reporter: Reporter,
): Promise<void> {
  const { conns, depth, seconds, repeats, fractions, loads } = options;
  reporter.expect(repeats * measured.size * loads.length);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const load of loads) {
      for (const [system, runs] of measured) {
        reporter.step(`${system.name}, ${load.toUpperCase()}`);
        const seed = options.seed + repeat;
        const params: KvParams = { load, conns, depth, fractions, seconds, seed };
        try {
          runs.get(load)!.push(await system.measure(params));
        } catch (error) {
          reporter.failed(system.name, (error as Error).message);
          measured.delete(system);
        }
      }
    }
  }
}

/** The highest rate of a run at which the bound was kept, and what was offered answered; 0: there was none. */
function atSla(points: readonly KvPoint[]): number {
  const kept = points.filter(
    ({ offered, achieved, p99_us }) =>
      offered > 0 && p99_us <= SLA && achieved >= KEPT_UP * offered,
  );
  return Math.max(0, ...kept.map(({ achieved }) => achieved));
}

function tableOf(reporter: Reporter, load: LoadName, measured: Measured): void {
  const all = [...measured].flatMap(([system, runs]) => {
    const points = runs.get(load)!;
    return points.length === 0 ? [] : [{ name: system.name, points }];
  });
  const base = all.find(({ name }) => name === "memcached");
  const baseRate = base && spread(base.points.map(atSla)).median;
  const rows = all.map(({ name, points }) => {
    const most = spread(points.map(atSla));
    const unloaded = points.map((run) => run[1]);
    return [
      name,
      ranged(most, grouped),
      baseRate ? rounded(most.median / baseRate) : "–",
      ranged(spread(points.map(([saturated]) => saturated.achieved)), grouped),
      ranged(spread(unloaded.map(({ avg_us }) => avg_us))),
      ranged(spread(unloaded.map(({ p99_us }) => p99_us))),
    ];
  });
  const head = [`${load.toUpperCase()}: requests/s with p99 ≤ ${SLA} µs`, "× memcached"];
  head.push("saturated", "least load: avg µs", "p99 µs");
  reporter.table(["system", ...head], rows);
}

function record(
  reporter: Reporter,
  { name }: KvSystem,
  { conns, depth, seconds, repeats, fractions }: KvOptions,
  load: LoadName,
  runs: readonly KvPoint[][],
): void {
  const params = { load, conns, depth, seconds, repeats };
  for (const [at, fraction] of fractions.entries()) {
    const of = (metric: keyof KvPoint) => figure(runs.map((points) => points[at + 1][metric]));
    const metrics = {
      offered: of("offered"),
      achieved: of("achieved"),
      avg_us: of("avg_us"),
      p50_us: of("p50_us"),
      p99_us: of("p99_us"),
      p999_us: of("p999_us"),
    };
    reporter.record({ system: name, params: { ...params, fraction }, metrics });
  }
  const saturated = figure(runs.map(([point]) => point.achieved));
  const metrics = { at_sla: figure(runs.map(atSla)), saturated };
  reporter.record({ system: name, params, metrics });
}
