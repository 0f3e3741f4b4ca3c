/** `bench fairness`: how flows share one bottleneck, alike or under two controls. */
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { jainIndex } from "./simulate.ts";
import type { Outcome, Scenario } from "./simulate.ts";

interface FairnessOptions {
  readonly cc: readonly CongestionControl[];
  readonly mixed: boolean;
  readonly flows: readonly number[];
  readonly rate: number;
  readonly rtt: number;
  readonly queue: number;
  readonly ecn?: number;
  readonly warmup: number;
  readonly seconds: number;
  readonly seed: number;
}

const TASK = new URL("task.js", import.meta.url);
const CONTROLS: readonly string[] = CONGESTION_CONTROLS;
const PATIENCE = 900;

export const fairness = defineExperiment<FairnessOptions>({
  name: "fairness",
  description: "flows that share one bottleneck, in virtual time: Jain's index and use of the link",
  method: "Every run with the same seed gives the same figures, on any machine.",
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
      .option("--warmup <s>", "virtual seconds before measuring", decimal(0, 3600), 5)
      .option("--seconds <s>", "virtual seconds measured", decimal(0.1, 3600), 30)
      .option("--seed <n>", "of the link's random numbers", integer(0, 2 ** 31), 1),
  examples: ["--cc cubic,bbr", "--cc cubic,newreno --mixed --flows 8"],
  bounded: { flows: [2, 16], seconds: 15 },
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
  const { rate, rtt, queue, warmup, seconds, seed } = options;
  reporter.note(
    `fairness: ${rate} Mbit/s, round trip ${rtt} ms, a queue of ${queue} × the path, ` +
      `${seconds} s after ${warmup} s of warming up, seed ${seed}`,
  );
  const groups = options.mixed ? [options.cc] : options.cc.map((control) => [control]);
  const rows: string[][] = [];
  reporter.expect(groups.length * options.flows.length);
  for (const group of groups) {
    for (const flows of options.flows) {
      const name = group.join("+");
      reporter.step(`${name}: ${flows} flows`);
      const scenario = scenarioOf(options, group, flows);
      const [outcome] = await runTask<Outcome[]>(TASK, [scenario], PATIENCE);
      const { goodputs, retransmits, timeouts } = outcome;
      const total = goodputs.reduce((sum, goodput) => sum + goodput, 0) / 1e6;
      const jain = jainIndex(goodputs);
      const least = Math.min(...goodputs) / 1e6;
      const most = Math.max(...goodputs) / 1e6;
      const figures = [jain.toFixed(3), percent(total / rate), least.toFixed(2), most.toFixed(2)];
      rows.push([`${name}, ${flows}`, ...figures, String(retransmits)]);
      reporter.record({
        system: "ixwasm virtual",
        params: { controls: name, flows, rate, rtt, queue, warmup, seconds, seed },
        metrics: single({ jain, link_share: total / rate, least, most, retransmits, timeouts }),
        simulated: true,
      });
    }
  }
  const head = ["control, flows", "Jain", "of the link, %", "least, Mbit/s", "most", "resent"];
  reporter.table(head, rows);
}

function scenarioOf(
  { rate, rtt, queue, ecn, warmup, seconds, seed }: FairnessOptions,
  group: readonly CongestionControl[],
  flows: number,
): Scenario {
  return {
    controls: Array.from({ length: flows }, (_, flow) => group[flow % group.length]),
    rate: rate * 1e6,
    roundTrip: rtt * 1000,
    loss: 0,
    queue,
    warmup,
    seconds,
    seed,
    ...(ecn === undefined ? {} : { ecnThreshold: ecn }),
  };
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}
