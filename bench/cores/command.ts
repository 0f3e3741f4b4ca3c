/** `bench cores`: what more cores of a server bring: simulated, and as far as this machine goes real. */
import { Command } from "commander";
import { REFERENCE_COSTS } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { describeMachine } from "../lib/machine.ts";
import { decimal, integer, someOf } from "../lib/options.ts";
import { grouped, printTable, progress, rounded, writeRecords } from "../lib/report.ts";
import type { BenchRecord } from "../lib/report.ts";
import { spread } from "../lib/statistics.ts";
import { runTask } from "../lib/task.ts";
import { simulateEcho, type SimulatedEchoResult } from "./simulated.ts";
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
  readonly costs: readonly string[];
  readonly real: boolean;
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
/** Most that a task takes besides measuring, s. */
const PREPARATION = 90;

export function coresCommand(): Command {
  return new Command("cores")
    .description(
      "a server of one core, two, …: simulated in virtual time, and real as far as it goes",
    )
    .option("--cores <n>", "most cores of the simulated server", integer(1, 64), 8)
    .option("--conns <n>", "connections", integer(1, 100_000), 1024)
    .option("--size <bytes>", "bytes per message", integer(1, 65_536), 64)
    .option("--batch <n>", "B, packets per iteration", integer(1, 256), 64)
    .option("--micros <µs>", "simulated time that is measured", integer(1000, 1e9), 20_000)
    .option("--seconds <s>", "length of a real measurement", decimal(0.1, 600), 1)
    .option("--repeats <n>", "real measurements of each number of cores", integer(1, 100), 5)
    .option(
      "--costs <model>",
      "what work costs: measured on this machine, or the reference model's",
      someOf(["measured", "reference"]),
      ["measured"],
    )
    .option("--no-real", "leave out the real cores")
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "Simulated: every core has a processor of its own, and work takes the time that a cost model",
        "says. Caches and memory that cores compete for are not in the model. The client costs nothing.",
        "",
        "Examples:",
        "  npm run bench -- cores",
        "  npm run bench -- cores --cores 64 --conns 8192 --costs reference --no-real",
      ].join("\n"),
    )
    .action(runCores);
}

async function runCores(options: CoresOptions): Promise<void> {
  const { conns, size, batch } = options;
  console.log(describeMachine());
  console.log(`cores: echo, ${grouped(conns)} connections, ${size} B, B = ${batch}`);
  const model = options.costs.at(-1)!;
  progress("measuring what work costs");
  const costs =
    model === "measured"
      ? await runTask<CostModel>(TASK, { kind: "calibrate" } satisfies CoresTask, PREPARATION)
      : REFERENCE_COSTS;
  console.log(`${model} costs, ns: ${describeCosts(costs)}`);
  const records = simulated(options, costs, model);
  if (options.real) records.push(...(await real(options)));
  if (options.json !== undefined) writeRecords(options.json, records);
}

function simulated(options: CoresOptions, costs: CostModel, model: string): BenchRecord[] {
  const results: SimulatedEchoResult[] = [];
  for (let cores = 1; cores <= options.cores; cores++) {
    progress(`simulating ${cores} cores`);
    results.push(simulateEcho({ ...options, cores, costs }));
  }
  progress("");
  const rows = results.map((result, i) => [
    `${i + 1}`,
    grouped(rate(result)),
    `${(rate(result) / rate(results[0])).toFixed(2)}`,
    rounded(result.busyPerMessage),
    `${percent(result.leastBusy)}–${percent(result.mostBusy)}`,
  ]);
  const head = ["cores, simulated", "messages/s", "× one core", "busy ns a message", "cores busy"];
  printTable(head, rows);
  return results.map((result, i) => ({
    experiment: "cores",
    system: "ixwasm simulated",
    params: { ...paramsOf(options), cores: i + 1, costs: model, model: { ...costs } },
    metrics: {
      msgs_per_s: rate(result),
      speedup: rate(result) / rate(results[0]),
      busy_ns_per_msg: result.busyPerMessage,
    },
  }));
}

function rate({ messagesPerSecond }: SimulatedEchoResult): number {
  return messagesPerSecond;
}

/** Every number of real cores in turn, `repeats` times. */
async function real(options: CoresOptions): Promise<BenchRecord[]> {
  const { conns, size, batch, seconds, repeats } = options;
  const results: RealResult[][] = Array.from({ length: PROCESSORS }, () => []);
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (let cores = 1; cores <= PROCESSORS; cores++) {
      progress(`measuring ${cores} real cores: ${repeat} of ${repeats}`);
      const task: CoresTask = { kind: "real", cores, conns, size, batch, seconds };
      results[cores - 1].push(await runTask<RealResult>(TASK, task, seconds + PREPARATION));
    }
  }
  progress("");
  const found = results.map((list) => ({
    rate: spread(list.map(({ messagesPerSecond }) => messagesPerSecond)),
    busy: spread(list.map(({ busyPerMessage }) => busyPerMessage)),
  }));
  const one = found[0].busy.median;
  const rows = found.map(({ rate: { median }, busy }, i) => [
    `${i + 1}`,
    grouped(median),
    `${rounded(busy.median)} (${rounded(busy.min)}–${rounded(busy.max)})`,
    (busy.median / one).toFixed(2),
  ]);
  printTable(["cores, real", "messages/s", "busy ns a message", "× one core"], rows);
  console.log(
    `Real: ${PROCESSORS} threads, each with a client of half the connections; a core of the server runs on ` +
      `one of them, or on both. Busy time is the server's iterations alone. Medians of ${repeats}.`,
  );
  return found.map(({ rate: { median }, busy }, i) => ({
    experiment: "cores",
    system: "ixwasm threaded",
    params: { ...paramsOf(options), repeats, cores: i + 1 },
    metrics: { msgs_per_s: median, busy_ns_per_msg: busy.median },
  }));
}

function paramsOf(options: CoresOptions): Record<string, unknown> {
  const { conns, size, batch, micros, seconds } = options;
  return { conns, size, batch, micros, seconds, machine: describeMachine() };
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
