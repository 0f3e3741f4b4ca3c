/** `bench elastic`: policies for elastic cores under loads that change, all in simulated time. */
import {
  consolidation,
  delayPolicy,
  energyProportionality,
  minimumMaximum,
  REFERENCE_COSTS,
  stepPolicy,
} from "../../host/node/index.ts";
import type { MachineShape, Policy } from "../../host/node/index.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, someOf } from "../lib/options.ts";
import type { Finding, Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { grouped, rounded } from "../lib/text.ts";
import { PATTERNS } from "./patterns.ts";
import { GOAL, runScenario, type Scenario, type ScenarioResult } from "./scenario.ts";

interface ElasticOptions {
  readonly cores: number;
  readonly service: number;
  readonly seconds: number;
  readonly load: number;
  readonly batch: number;
  readonly conns: number;
  readonly seed: number;
  readonly policies: readonly string[];
  readonly patterns: readonly string[];
}

/**
 * By the name that --policies knows them by. What is congestion depends on how long a request takes,
 * `service` µs.
 */
const POLICIES: Readonly<Record<string, (machine: MachineShape, service: number) => Policy>> = {
  delay: ({ cores }, service) => {
    const scale = Math.max(service / 20, 1);
    const times = { period: 100 * scale, congested: 100 * scale };
    const waits = { patience: 1000 * scale, hold: 20_000 * scale };
    return erased(delayPolicy({ max: cores, ...times, ...waits }, Math.ceil(cores / 8)));
  },
  energy: (machine) => erased(stepPolicy("energy proportionality", energyProportionality(machine))),
  consolidation: (machine) => erased(stepPolicy("consolidation", consolidation(machine))),
  minmax: (machine) => erased(stepPolicy("minimum-maximum", minimumMaximum(machine))),
  all: ({ cores }) => ({
    name: "all cores, always",
    period: 1e6,
    initial: null,
    decide: () => null,
    demand: () => ({ cores }),
  }),
};

/** Who runs a policy need not know its state. */
function erased<State>(policy: Policy<State>): Policy {
  return policy as Policy;
}

/** The SoCC 2015 paper's processor, with fewer frequencies and as many cores as are asked for. */
function machineOf(cores: number): MachineShape {
  return { cores, frequencies: [1.2, 1.8, 2.4], turbo: 3.1, hyperthreads: true };
}

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
      .option("--load <share>", "highest load, of what all cores can do", decimal(0, 1), 0.75)
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
  const { cores, service, seconds, load, batch, conns, patterns, policies } = options;
  reporter.note(
    `elastic, simulated: ${cores} cores, requests of ${service} µs (Poisson) on ${grouped(conns)} ` +
      `connections, at most ${(100 * load).toFixed(0)} % load, B = ${batch}, ${seconds} s a run`,
  );
  reporter.expect(patterns.length * policies.length);
  for (const pattern of patterns) {
    const rows: string[][] = [];
    for (const policy of policies) {
      reporter.step(`${pattern}: ${policy}`);
      const scenario = scenarioOf(options, policy, pattern);
      const result = await runScenario(scenario);
      rows.push(rowOf(scenario, result, pattern));
      reporter.record(findingOf(options, policy, pattern, scenario, result));
    }
    const goal = `≤ ${GOAL} services`;
    const head = [`${pattern}, simulated`, "p50 µs", "p99 µs", goal, "mean cores", "energy, model"];
    reporter.table([...head, "changes", "step answered in ms"], rows);
  }
}

/** The run that a policy and a pattern make of the options. */
export function scenarioOf(
  options: Omit<ElasticOptions, "policies" | "patterns">,
  policy: string,
  pattern: string,
): Scenario {
  const { cores, service, seconds, load, batch, conns, seed } = options;
  const machine = machineOf(cores);
  return {
    machine,
    policy: POLICIES[policy](machine, service),
    pattern: PATTERNS[pattern],
    peak: (load * cores * 1e6) / (service + requestCost()),
    ...{ service, seconds, conns, batch, seed },
  };
}

/** What the kernel's part of a request costs, µs. */
function requestCost(): number {
  const { packetIn, packetOut, call, event } = REFERENCE_COSTS;
  return (packetIn + packetOut + 2 * call + event) / 1000;
}

/**
 * How long after the load's step there was room for it, µs: until cores were there whose capacity is
 * what arrives. Undefined when that never came.
 */
export function reactionTime(scenario: Scenario, result: ScenarioResult): number | undefined {
  const { pattern, seconds, peak, service } = scenario;
  const needed = (peak * (service + requestCost())) / 1e6 - 1e-6;
  const step = (seconds * 1e6) / 3;
  if (pattern !== PATTERNS.step) return undefined;
  const change = result.changes.find(({ done, capacity }) => done > step && capacity >= needed);
  return change && change.done - step;
}

function rowOf(scenario: Scenario, result: ScenarioResult, pattern: string): string[] {
  const reaction = reactionTime(scenario, result);
  return [
    scenario.policy.name,
    rounded(result.p50),
    grouped(result.p99),
    `${(100 * result.withinGoal).toFixed(1)} %`,
    result.meanCores.toFixed(2),
    `${(100 * result.energyShare).toFixed(0)} %`,
    `${result.changes.length}`,
    pattern === "step" && reaction !== undefined ? rounded(reaction / 1000) : "–",
  ];
}

function findingOf(
  options: ElasticOptions,
  policy: string,
  pattern: string,
  scenario: Scenario,
  result: ScenarioResult,
): Finding {
  const { cores, service, seconds, load, batch, conns, seed } = options;
  const { changes, intervals, ...metrics } = result;
  const reaction = reactionTime(scenario, result);
  return {
    system: "ixwasm simulated",
    params: { policy, pattern, cores, service, seconds, load, batch, conns, seed },
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
