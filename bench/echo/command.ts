/** `bench echo`: small messages back and forth, on all systems in turn, again and again. */
import { Command } from "commander";
import process from "node:process";
import { describeMachine } from "../lib/machine.ts";
import { decimal, integer, someOf } from "../lib/options.ts";
import {
  grouped,
  printTable,
  progress,
  ranged,
  rounded,
  spreadMetrics,
  writeRecords,
} from "../lib/report.ts";
import type { BenchRecord } from "../lib/report.ts";
import { spread } from "../lib/statistics.ts";
import { IxwasmInline, IxwasmThreaded } from "./ixwasm-systems.ts";
import { Epoll, NodeNet } from "./linux-systems.ts";
import type { EchoParams, EchoSample, EchoSystem } from "./system.ts";

interface EchoOptions extends EchoParams {
  readonly repeats: number;
  readonly systems?: readonly string[];
  readonly json?: string;
}

/** By the name that --systems knows them by, in the order of the table. */
const SYSTEMS: Readonly<Record<string, () => EchoSystem>> = {
  inline: () => new IxwasmInline(),
  threaded: () => new IxwasmThreaded(),
  net: () => new NodeNet(),
  epoll: () => new Epoll(false),
  "epoll-spin": () => new Epoll(true),
};
const NAMES = Object.keys(SYSTEMS);

interface Measured {
  readonly system: EchoSystem;
  readonly samples: EchoSample[];
  /** Why it is not measured any more. */
  failure: string | null;
}

export function echoCommand(): Command {
  const systems = NAMES.map((name) => `  ${name.padEnd(11)} ${SYSTEMS[name]().description}`);
  return new Command("echo")
    .description("round trips of small messages: ixwasm, node:net and C with epoll")
    .option("--conns <n>", "connections", integer(1, 500_000), 64)
    .option("--size <bytes>", "bytes per message", integer(1, 1 << 20), 64)
    .option("--pipeline <n>", "messages in flight per connection", integer(1, 1024), 1)
    .option("--rounds <n>", "messages until a connection is reopened, 0: never", integer(0, 1e9), 0)
    .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 1)
    .option("--cores <n>", "cores of the server, and of the client", integer(1, 32), 1)
    .option("--batch <n>", "B, packets per iteration of a dataplane", integer(1, 256), 64)
    .option("--repeats <n>", "measurements of each system, taken in turn", integer(1, 100), 5)
    .option("--systems <names>", `which ones, of ${NAMES.join(",")}`, someOf(NAMES))
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "Systems:",
        ...systems,
        "",
        "Examples:",
        "  npm run bench -- echo --conns 1000 --size 1024",
        "  npm run bench -- echo --rounds 1 --systems inline,threaded,epoll",
        "  npm run bench -- echo --pipeline 16 --repeats 9 --json echo.json",
      ].join("\n"),
    )
    .action(runEcho);
}

async function runEcho(options: EchoOptions): Promise<void> {
  const params = paramsOf(options);
  console.log(describeMachine());
  console.log(describeLoad(params, options.repeats));
  const chosen = (options.systems ?? NAMES).map((name) => SYSTEMS[name]());
  const measured: Measured[] = [];
  const missing: string[] = [];
  try {
    for (const system of chosen) {
      const reason = await system.prepare();
      if (reason === null) measured.push({ system, samples: [], failure: null });
      else missing.push(`${system.name}: absent, ${reason}`);
    }
    await measureAll(measured, params, options.repeats);
  } finally {
    for (const system of chosen) system.dispose?.();
  }
  for (const { system, failure } of measured) {
    if (failure === null) continue;
    missing.push(`${system.name}: failed, ${failure}`);
    process.exitCode = 1;
  }
  const complete = measured.filter(({ failure }) => failure === null);
  printEcho(complete);
  for (const line of missing) console.log(line);
  printStages(complete);
  if (options.json !== undefined) writeRecords(options.json, records(complete, params));
}

/** One measurement of each system after the other, so that what disturbs one disturbs all. */
async function measureAll(
  measured: readonly Measured[],
  params: EchoParams,
  repeats: number,
): Promise<void> {
  for (let repeat = 1; repeat <= repeats; repeat++) {
    for (const one of measured) {
      if (one.failure !== null) continue;
      progress(`${one.system.name}: measurement ${repeat} of ${repeats}`);
      try {
        one.samples.push(await one.system.measure(params));
      } catch (error) {
        one.failure = (error as Error).message;
      }
    }
  }
  progress("");
}

function paramsOf(options: EchoOptions): EchoParams {
  const { conns, size, pipeline, rounds, cores, batch, seconds } = options;
  return { conns, size, pipeline, rounds, cores, batch, seconds };
}

function describeLoad(params: EchoParams, repeats: number): string {
  const { conns, size, pipeline, rounds, cores, batch, seconds } = params;
  const flight = pipeline === 1 ? "one message in flight" : `${pipeline} messages in flight`;
  const end = rounds === 0 ? "" : `, reset after ${rounds}`;
  return (
    `echo: ${grouped(conns)} connections, ${grouped(size)} B, ${flight} each${end}, ` +
    `${cores} + ${cores} core${cores === 1 ? "" : "s"}, B = ${batch}; ` +
    `median (least–most) of ${repeats} × ${seconds} s`
  );
}

function rate({ messages, seconds }: EchoSample): number {
  return messages / seconds;
}

function printEcho(measured: readonly Measured[]): void {
  const base = measured.find(({ system }) => system.name === "node:net");
  const baseRate = base && spread(base.samples.map(rate)).median;
  const reopening = measured.some(({ samples }) => samples.some(({ opened }) => opened > 0));
  const head = ["system", "messages/s", "ns each", "× node:net"];
  head.push("latency p50 µs", "p99 µs", ...(reopening ? ["connections/s"] : []));
  const rows = measured.map(({ system, samples }) => {
    const rates = spread(samples.map(rate));
    const row = [system.name, ranged(rates, grouped), rounded(1e9 / rates.median)];
    row.push(baseRate ? rounded(rates.median / baseRate) : "–");
    row.push(ranged(spread(samples.map(({ p50_us }) => p50_us))));
    row.push(rounded(spread(samples.map(({ p99_us }) => p99_us)).median));
    if (reopening) {
      const opened = spread(samples.map((sample) => sample.opened / sample.seconds));
      row.push(grouped(opened.median));
    }
    return row;
  });
  if (rows.length > 0) printTable(head, rows);
  console.log("Latency: one connection, one message in flight.");
}

/** Medians of the stages that a system reports. */
function stagesOf({ samples }: Measured): Record<string, number> {
  const names = Object.keys(samples[0]?.stages ?? {});
  return Object.fromEntries(
    names.map((name) => [name, spread(samples.map(({ stages }) => stages![name])).median]),
  );
}

function printStages(measured: readonly Measured[]): void {
  for (const one of measured) {
    const stages = Object.entries(stagesOf(one));
    if (stages.length === 0) continue;
    const total = stages.reduce((sum, [, ns]) => sum + ns, 0);
    const parts = stages.map(([name, ns]) => `${name} ${rounded(ns)}`).join(" · ");
    console.log(
      `${one.system.name}, ns a message for both ends: ${parts} · total ${rounded(total)}`,
    );
  }
}

function records(measured: readonly Measured[], params: EchoParams): BenchRecord[] {
  return measured.map((one) => {
    const { system, samples } = one;
    const rates = spread(samples.map(rate));
    const metrics: Record<string, number> = {
      ...spreadMetrics("msgs_per_s", rates),
      ns_per_msg: 1e9 / rates.median,
      ...spreadMetrics("p50_us", spread(samples.map(({ p50_us }) => p50_us))),
      ...spreadMetrics("p99_us", spread(samples.map(({ p99_us }) => p99_us))),
      gbit_per_s: (rates.median * params.size * 8) / 1e9,
      conns_per_s: spread(samples.map((sample) => sample.opened / sample.seconds)).median,
    };
    for (const [name, ns] of Object.entries(stagesOf(one))) metrics[`stage_${name}_ns`] = ns;
    const run = { repeats: samples.length, machine: describeMachine(), date: now() };
    return { experiment: "echo", system: system.name, params: { ...params, ...run }, metrics };
  });
}

function now(): string {
  return new Date().toISOString();
}

process.on("SIGINT", () => process.exit(130));
