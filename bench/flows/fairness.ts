/** `bench fairness`: how flows share one bottleneck, alike or under two controls. */
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import type { Figure } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { grouped, ranged } from "../lib/text.ts";
import { jainIndex, SHARING } from "./simulate.ts";
import type { Outcome, Scenario } from "./simulate.ts";

interface FairnessOptions {
  readonly cc: readonly CongestionControl[];
  readonly mixed: boolean;
  readonly flows: readonly number[];
  readonly rate: number;
  readonly rtt: number;
  readonly queue: number;
  readonly ecn?: number;
  readonly jitter: number;
  readonly spread: number;
  readonly warmup: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly seed: number;
}

const TASK = new URL("task.js", import.meta.url);
const CONTROLS: readonly string[] = CONGESTION_CONTROLS;
const PATIENCE = 900;

export const fairness = defineExperiment<FairnessOptions>({
  name: "fairness",
  description: "flows that share one bottleneck, in virtual time: Jain's index and use of the link",
  method:
    "Flows begin at random within the spread, and are measured after the warming up, when they have " +
    "found their shares. Hosts hold frames up for a random part of the jitter: without, who loses at a " +
    "full queue is a matter of phase, and the same flow again and again. Each repeat has another seed; " +
    "with the same seed every figure is the same, on any machine.",
  options: (command) =>
    command
      .option("--cc <names>", `which ones, of ${CONTROLS.join(",")}`, someOf(CONTROLS), [
        ...CONTROLS,
      ])
      .option("--mixed", "let the flows have the controls in turn, not all the same", false)
      .option("--flows <n>", "how many", integers(1, 512), [1, 2, 4, 8, 16, 32, 64])
      .option("--rate <mbit>", "of the link, Mbit/s", decimal(0.1, 10_000), 100)
      .option("--rtt <ms>", "round trip", decimal(0.01, 10_000), 20)
      .option("--queue <n>", "frames the link holds, in contents of the path", decimal(0, 100), 1)
      .option("--ecn <frames>", "waiting frames from which on the link marks", integer(0, 1 << 20))
      .option(
        "--jitter <ms>",
        "most that hosts hold a frame up",
        decimal(0, 10_000),
        SHARING.jitter / 1000,
      )
      .option(
        "--spread <s>",
        "virtual seconds within which flows begin",
        // What a timer of the kernel's can be set for.
        decimal(0, 256),
        SHARING.spread,
      )
      .option("--warmup <s>", "virtual seconds before measuring", decimal(0, 3600), SHARING.warmup)
      .option("--seconds <s>", "virtual seconds measured", decimal(0.1, 3600), SHARING.seconds)
      .option("--repeats <n>", "runs of each, with other seeds", integer(1, 100), 3)
      .option("--seed <n>", "of the first run's random numbers", integer(0, 2 ** 31), 1),
  examples: ["--cc cubic,bbr", "--cc cubic,newreno --mixed --flows 8"],
  bounded: { flows: [2, 64], repeats: 2 },
  run: runFairness,
  charts: [
    {
      kind: "lines",
      title: "Fairness by flows",
      x: { param: "flows", label: "flows", log: true },
      y: { metric: "jain", label: "Jain's index" },
      by: ["controls"],
    },
  ],
});

async function runFairness(options: FairnessOptions, reporter: Reporter): Promise<void> {
  const { rate, rtt, queue, jitter, spread, warmup, seconds, repeats, seed } = options;
  reporter.note(
    `fairness: ${rate} Mbit/s, round trip ${rtt} ms, a queue of ${queue} × the path, up to ${jitter} ms ` +
      `in hosts; begun within ${spread} s, measured from ${warmup} s on for ${seconds} s; medians of ` +
      `${repeats} runs (least–most), seeds from ${seed}`,
  );
  const groups = options.mixed ? [options.cc] : options.cc.map((control) => [control]);
  const rows: string[][] = [];
  reporter.expect(groups.length * options.flows.length);
  for (const group of groups) {
    for (const flows of options.flows) {
      const name = group.join("+");
      reporter.step(`${name}: ${flows} flows`);
      const scenarios = scenariosOf(options, group, flows);
      const outcomes = await runTask<Outcome[]>(TASK, scenarios, PATIENCE);
      const metrics = metricsOf(outcomes, rate * 1e6);
      rows.push([`${name}, ${flows}`, ...cellsOf(metrics)]);
      const path = { rate, rtt, queue, jitter, spread, warmup, seconds, repeats, seed };
      reporter.record({
        system: "ixwasm virtual",
        params: { controls: name, flows, ...path },
        metrics,
        simulated: true,
      });
    }
  }
  const shares = ["least, % of an equal share", "most"];
  const head = ["control, flows", "Jain", "of the link, %", ...shares, "resent", "timeouts"];
  reporter.table(head, rows);
}

type Metrics = Readonly<
  Record<"jain" | "link_share" | "least" | "most" | "retransmits" | "timeouts", Figure>
>;

/** What is said of the runs: shares as parts of the link, and `least` and `most` of what all had alike. */
function metricsOf(outcomes: readonly Outcome[], rate: number): Metrics {
  const of = (value: (outcome: Outcome) => number): Figure => figure(outcomes.map(value));
  return {
    jain: of(({ goodputs }) => jainIndex(goodputs)),
    link_share: of((outcome) => total(outcome) / rate),
    least: of((outcome) => Math.min(...outcome.goodputs) / equal(outcome)),
    most: of((outcome) => Math.max(...outcome.goodputs) / equal(outcome)),
    retransmits: of(({ retransmits }) => retransmits),
    timeouts: of(({ timeouts }) => timeouts),
  };
}

/** Payload of all flows, bits a second. */
function total({ goodputs }: Outcome): number {
  return goodputs.reduce((sum, goodput) => sum + goodput, 0);
}

/** What each flow would have if all had the same. */
function equal(outcome: Outcome): number {
  return Math.max(total(outcome), 1) / outcome.goodputs.length;
}

function cellsOf({ jain, link_share, least, most, retransmits, timeouts }: Metrics): string[] {
  return [
    ranged(jain, (index) => index.toFixed(3)),
    percent(link_share.median),
    percent(least.median),
    percent(most.median),
    grouped(retransmits.median),
    grouped(timeouts.median),
  ];
}

/** One for each run. */
function scenariosOf(
  options: FairnessOptions,
  group: readonly CongestionControl[],
  flows: number,
): Scenario[] {
  const { rate, rtt, queue, ecn, jitter, spread, warmup, seconds, repeats, seed } = options;
  return Array.from({ length: repeats }, (_, run) => ({
    controls: Array.from({ length: flows }, (_, flow) => group[flow % group.length]),
    rate: rate * 1e6,
    roundTrip: rtt * 1000,
    loss: 0,
    queue,
    jitter: jitter * 1000,
    spread,
    warmup,
    seconds,
    seed: seed + run,
    ...(ecn === undefined ? {} : { ecnThreshold: ecn }),
  }));
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}
