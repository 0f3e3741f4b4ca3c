/** `bench cores`: what more cores of a server bring: simulated, and as far as this machine goes real. */
import { Option } from "commander";
import { REFERENCE_COSTS } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure, single, type Params } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { counted, grouped, ranged, rounded } from "../lib/text.ts";
import type { SimulatedEchoResult } from "./simulated.ts";
import type { CoresTask, RealResult } from "./task.ts";
import { PROCESSORS } from "./processors.ts";

interface CoresOptions {
  readonly cores: number;
  readonly conns: number;
  readonly size: number;
  readonly batch: number;
  readonly micros: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly costs: "measured" | "reference";
  readonly real: boolean;
}

const TASK = new URL("task.js", import.meta.url);
/** Most that a task takes besides measuring, s. */
const PREPARATION = 90;
/** Most that simulating takes, s. */
const PATIENCE = 3600;

export const cores = defineExperiment<CoresOptions>({
  name: "cores",
  figure: "figure 3a",
  description:
    "a server of one core, two, …: simulated in virtual time, and real as far as it goes",
  method:
    "Simulated: every core has a processor of its own, and work takes the time that a cost model, " +
    "measured on this machine, says. Caches and memory that cores compete for are not in the model. " +
    "The client costs nothing. The paper's points are connections a second with one round trip each.",
  options: (command) =>
    command
      .option("--cores <n>", "most cores of the simulated server", integer(1, 64), 8)
      .option("--conns <n>", "connections", integer(1, 100_000), 1024)
      .option("--size <bytes>", "bytes per message", integer(1, 65_536), 64)
      .option("--batch <n>", "B, packets per iteration", integer(1, 256), 64)
      .option("--micros <µs>", "simulated time that is measured", integer(1000, 1e9), 20_000)
      .option("--seconds <s>", "length of a real measurement", decimal(0.1, 600), 1)
      .option("--repeats <n>", "real measurements of each number of cores", integer(1, 100), 5)
      .addOption(
        new Option("--costs <model>", "what work costs: measured on this machine, or by a model")
          .choices(["measured", "reference"])
          .default("measured"),
      )
      .option("--no-real", "leave out the real cores"),
  examples: ["", "--cores 64 --conns 8192 --costs reference --no-real"],
  bounded: { repeats: 3 },
  run: runCores,
  charts: [
    {
      kind: "lines",
      title: "Messages a second by cores",
      x: { param: "cores", label: "cores" },
      y: { metric: "msgs_per_s", label: "messages/s" },
      paper: [
        {
          label: "IX 4×10 GbE, connections/s, 16 hyperthreads = 8 cores",
          points: [
            [0.5, 501e3],
            [8, 3.756e6],
          ],
        },
        {
          label: "Linux 10 GbE, connections/s",
          points: [
            [0.5, 47e3],
            [8, 188e3],
          ],
        },
      ],
    },
  ],
});

async function runCores(options: CoresOptions, reporter: Reporter): Promise<void> {
  const { conns, size, batch } = options;
  reporter.note(`cores: echo, ${counted(conns, "connection")}, ${size} B, B = ${batch}`);
  const model = options.costs;
  reporter.expect(options.cores + 1);
  reporter.step("measuring what work costs");
  const costs =
    model === "measured"
      ? await runTask<CostModel>(TASK, { kind: "calibrate" } satisfies CoresTask, PREPARATION)
      : REFERENCE_COSTS;
  reporter.note(`${model} costs, ns: ${describeCosts(costs)}`);
  await simulated(options, costs, reporter);
  if (options.real) await real(options, reporter);
}

async function simulated(
  options: CoresOptions,
  costs: CostModel,
  reporter: Reporter,
): Promise<void> {
  const { conns, size, batch, micros, costs: model } = options;
  const results: SimulatedEchoResult[] = [];
  for (let cores = 1; cores <= options.cores; cores++) {
    reporter.step(`simulating ${counted(cores, "core")}`);
    const task: CoresTask = {
      kind: "simulated",
      echo: { cores, conns, size, batch, micros, costs },
    };
    results.push(await runTask<SimulatedEchoResult>(TASK, task, PATIENCE));
  }
  const rows = results.map((result, i) => [
    `${i + 1}`,
    grouped(rate(result)),
    `${(rate(result) / rate(results[0])).toFixed(2)}`,
    rounded(result.busyPerMessage),
    `${percent(result.leastBusy)}–${percent(result.mostBusy)}`,
  ]);
  const head = ["cores, simulated", "messages/s", "× one core", "busy ns a message", "cores busy"];
  reporter.table(head, rows);
  reporter.record({
    system: "cost model, ns",
    params: { costs: model },
    metrics: single({ ...costs }),
  });
  for (const [i, result] of results.entries()) {
    reporter.record({
      system: "ixwasm simulated",
      params: { ...paramsOf(options), cores: i + 1, costs: model },
      metrics: single({
        msgs_per_s: rate(result),
        speedup: rate(result) / rate(results[0]),
        busy_ns_per_msg: result.busyPerMessage,
      }),
      simulated: true,
    });
  }
}

function rate({ messagesPerSecond }: SimulatedEchoResult): number {
  return messagesPerSecond;
}

/** Every number of real cores in turn, `repeats` times. */
async function real(options: CoresOptions, reporter: Reporter): Promise<void> {
  const { conns, size, batch, seconds, repeats } = options;
  const results: RealResult[][] = Array.from({ length: PROCESSORS }, () => []);
  reporter.expect(repeats * PROCESSORS);
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (let cores = 1; cores <= PROCESSORS; cores++) {
      reporter.step(`measuring ${counted(cores, "real core")}`);
      const task: CoresTask = { kind: "real", cores, conns, size, batch, seconds };
      results[cores - 1].push(await runTask<RealResult>(TASK, task, seconds + PREPARATION));
    }
  }
  const found = results.map((list) => ({
    rate: figure(list.map(({ messagesPerSecond }) => messagesPerSecond)),
    busy: figure(list.map(({ busyPerMessage }) => busyPerMessage)),
  }));
  const one = found[0].busy.median;
  const rows = found.map(({ rate, busy }, i) => [
    `${i + 1}`,
    ranged(rate, grouped),
    ranged(busy),
    (busy.median / one).toFixed(2),
  ]);
  reporter.table(["cores, real", "messages/s", "busy ns a message", "× one core"], rows);
  reporter.note(
    `Real: ${PROCESSORS} threads, each with a client of half the connections; a core of the server runs on ` +
      `one of them, or on both. Busy time is the server's iterations alone. Median (least–most) of ${repeats} × ${seconds} s.`,
  );
  for (const [i, { rate, busy }] of found.entries()) {
    reporter.record({
      system: "ixwasm threaded",
      params: { ...paramsOf(options), repeats, cores: i + 1 },
      metrics: { msgs_per_s: rate, busy_ns_per_msg: busy },
    });
  }
}

function paramsOf({ conns, size, batch, micros, seconds }: CoresOptions): Params {
  return { conns, size, batch, micros, seconds };
}

function describeCosts(costs: CostModel): string {
  const { poll, packetIn, byteIn, packetOut, byteOut, call, event } = costs;
  const parts = { poll, "packet in": packetIn, "byte in": byteIn };
  const more = { "packet out": packetOut, "byte out": byteOut, call, event };
  return Object.entries({ ...parts, ...more })
    .map(([name, ns]) => `${name} ${rounded(ns)}`)
    .join(" · ");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
