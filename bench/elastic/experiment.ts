/** `bench elastic`: policies for elastic cores under loads that change, all in simulated time. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, someOf } from "../lib/options.ts";
import type { Finding, Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { grouped, rounded } from "../lib/text.ts";
import { runTask } from "../lib/task.ts";
import { PATTERNS } from "./patterns.ts";
import { POLICIES, type ScenarioOptions } from "./policies.ts";
import { GOAL } from "./scenario.ts";
import type { ElasticOutcome, ElasticTask } from "./task.ts";

interface ElasticOptions extends ScenarioOptions {
  readonly policies: readonly string[];
  readonly patterns: readonly string[];
}

const TASK = new URL("task.js", import.meta.url);
/** A simulated second takes at most so many real ones. */
const PATIENCE = 60;
const POLICY_NAMES = Object.keys(POLICIES);
const PATTERN_NAMES = Object.keys(PATTERNS);

export const elastic = defineExperiment<ElasticOptions>({
  name: "elastic",
  figure: "energy and consolidation, SoCC '15 and TOCS '16",
  description: "cores that come and go with the load, under several policies, in simulated time",
  method:
    "Everything is simulated: time by a cost model, energy by a model of power. The load goes from " +
    "10 % to 100 % of its highest and back: slope, step or sine.",
  options: (command) =>
    command
      .option("--cores <n>", "cores of the simulated server", integer(2, 64), 8)
      .option("--service <µs>", "time the application needs for a request", decimal(0.5, 1e4), 200)
      .option("--seconds <s>", "simulated length of a run", decimal(0.01, 3600), 60)
      .option("--load <share>", "highest load, of what all cores can do", decimal(0.01, 1), 0.75)
      .option("--batch <n>", "B, packets per iteration", integer(1, 256), 4)
      .option("--conns <n>", "connections", integer(1, 10_000), 512)
      .option("--seed <n>", "seed of the arrivals", integer(0, 2 ** 31), 1)
      .option(
        "--policies <names>",
        `which ones, of ${POLICY_NAMES.join(",")}`,
        someOf(POLICY_NAMES),
        [...POLICY_NAMES],
      )
      .option(
        "--patterns <names>",
        `which ones, of ${PATTERN_NAMES.join(",")}`,
        someOf(PATTERN_NAMES),
        [...PATTERN_NAMES],
      ),
  examples: ["", "--policies delay --patterns step --cores 16 --service 2 --seconds 0.3"],
  bounded: { seconds: 12 },
  tour: { seconds: 3, patterns: ["step"], policies: ["delay", "energy", "all"] },
  run: runElastic,
  charts: [
    {
      kind: "bars",
      title: "Energy by the model, of what all cores take all the time",
      y: { metric: "energyShare", label: "%", scale: 100 },
      per: "pattern",
      by: ["policy"],
      paper: [
        { label: "SoCC '15, the best of its loads", value: 46 },
        { label: "SoCC '15, the worst", value: 56 },
      ],
    },
    {
      kind: "series",
      title: "Load, cores and latency over time",
      x: { column: "at", label: "s", scale: 1e-6 },
      y: [
        { column: "offered", label: "requests/s, thousands", scale: 1e-3 },
        { column: "cores", label: "cores" },
        { column: "p99", label: "p99, ms", scale: 1e-3 },
      ],
      per: "pattern",
      by: ["policy"],
      where: ({ params }) => params.policy !== "all",
    },
  ],
});

async function runElastic(options: ElasticOptions, reporter: Reporter): Promise<void> {
  const { patterns, policies, cores, service, seconds, load, batch, conns, seed } = options;
  reporter.note(
    `elastic, simulated: ${cores} cores, requests of ${service} µs (Poisson) on ${grouped(conns)} ` +
      `connections, at most ${(100 * load).toFixed(0)} % load, B = ${batch}, ${seconds} s a run`,
  );
  reporter.expect(patterns.length * policies.length);
  for (const pattern of patterns) {
    const rows: string[][] = [];
    for (const policy of policies) {
      reporter.step(`${pattern}: ${policy}`);
      const run: ScenarioOptions = { cores, service, seconds, load, batch, conns, seed };
      const task: ElasticTask = { options: run, policy, pattern };
      const outcome = await runTask<ElasticOutcome>(TASK, task, seconds * PATIENCE);
      rows.push(rowOf(outcome));
      reporter.record(findingOf(task, outcome));
    }
    const goal = `≤ ${GOAL} services`;
    const head = [`${pattern}, simulated`, "p50 µs", "p99 µs", goal, "mean cores", "energy, model"];
    reporter.table([...head, "changes", "step answered in ms"], rows);
  }
}

function rowOf({ name, result, reaction }: ElasticOutcome): string[] {
  return [
    name,
    rounded(result.p50),
    grouped(result.p99),
    `${(100 * result.withinGoal).toFixed(1)} %`,
    result.meanCores.toFixed(2),
    `${(100 * result.energyShare).toFixed(0)} %`,
    `${result.changes.length}`,
    reaction === undefined ? "–" : rounded(reaction / 1000),
  ];
}

function findingOf(
  { options, policy, pattern }: ElasticTask,
  { result, reaction }: ElasticOutcome,
): Finding {
  const { changes, intervals, ...metrics } = result;
  return {
    system: "ixwasm simulated",
    params: { policy, pattern, ...options },
    metrics: single({
      ...metrics,
      changes: changes.length,
      ...(reaction !== undefined && { reaction_us: reaction }),
    }),
    simulated: true,
    series: {
      at: intervals.map(({ at }) => at),
      offered: intervals.map(({ offered }) => offered),
      cores: intervals.map(({ cores }) => cores),
      p99: intervals.map(({ p99 }) => p99),
    },
  };
}
