/** `bench echo`: small messages back and forth, on all systems in turn, again and again. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { counted, grouped, ranged, rounded } from "../lib/text.ts";
import { range, rates, sweep, type Measured } from "./sweep.ts";
import type { EchoParams, EchoTraffic } from "./system.ts";
import { describeSystems, SYSTEM_NAMES } from "./systems.ts";

interface EchoOptions extends EchoTraffic {
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly string[];
}

/** Latency needs no longer than this, s. */
const LATENCY = 0.5;

export const echo = defineExperiment<EchoOptions>({
  name: "echo",
  figure: "section 5.3",
  description: "round trips of small messages: ixwasm, node:net and C with epoll",
  method:
    "Every connection has messages in flight all the time (closed loop). Inline is both ends and both " +
    "NICs on one thread; the others have a core for each end. Latency: one message on one connection.",
  options: (command) =>
    command
      .option("--conns <n>", "connections", integer(1, 500_000), 64)
      .option("--size <bytes>", "bytes per message", integer(1, 1 << 20), 64)
      .option("--pipeline <n>", "messages in flight per connection", integer(1, 1024), 1)
      .option(
        "--rounds <n>",
        "messages until a connection is reopened, 0: never",
        integer(0, 1e9),
        0,
      )
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 1)
      .option("--cores <n>", "cores of the server, and of the client", integer(1, 32), 1)
      .option("--batch <n>", "B, packets per iteration of a dataplane", integer(1, 256), 64),
  turns: { systems: SYSTEM_NAMES, repeats: 5 },
  help: describeSystems(),
  examples: [
    "--conns 1000 --size 1024",
    "--rounds 1 --systems inline,threaded,epoll",
    "--pipeline 16 --repeats 9 --results bench/results/pipelined",
  ],
  bounded: { repeats: 3 },
  tour: { repeats: 2 },
  run: runEcho,
  charts: [
    {
      kind: "bars",
      title: "Messages a second, 64 B over 64 connections",
      y: { metric: "msgs_per_s", label: "messages/s" },
    },
    {
      kind: "bars",
      title: "Round trip of one message, median",
      y: { metric: "p50_us", label: "µs" },
    },
  ],
});

async function runEcho(options: EchoOptions, reporter: Reporter): Promise<void> {
  const { systems, repeats, ...traffic } = options;
  const latency = Math.min(traffic.seconds, LATENCY);
  const params: EchoParams = { ...traffic, latency, stages: true };
  reporter.note(describeLoad(params, repeats));
  await sweep({ systems, points: [params], repeats, table: tableOf }, reporter);
}

function describeLoad(params: EchoParams, repeats: number): string {
  const { conns, size, pipeline, rounds, cores, batch, seconds } = params;
  const flight = pipeline === 1 ? "one message in flight" : `${pipeline} messages in flight`;
  const end = rounds === 0 ? "" : `, reset after ${rounds}`;
  return (
    `echo: ${counted(conns, "connection")}, ${grouped(size)} B, ${flight} each${end}, ` +
    `${cores} + ${counted(cores, "core")}, B = ${batch}; ` +
    `median (least–most) of ${repeats} × ${seconds} s`
  );
}

function tableOf(measured: readonly Measured[], reporter: Reporter): void {
  const base = measured.find(({ system }) => system.name === "node:net");
  const baseRate = base && rates(base).median;
  const reopening = measured.some(({ samples }) => samples.some(({ opened }) => opened > 0));
  const head = ["system", "messages/s", "ns each", "× node:net"];
  head.push("latency p50 µs", "p99 µs", ...(reopening ? ["connections/s"] : []));
  const rows = measured.map((one) => {
    const { median } = rates(one);
    const row = [one.system.name, ranged(rates(one), grouped), rounded(1e9 / median)];
    row.push(baseRate ? rounded(median / baseRate) : "–");
    row.push(range(one, ({ p50_us }) => p50_us));
    row.push(range(one, ({ p99_us }) => p99_us));
    if (reopening) row.push(range(one, ({ opened, seconds }) => opened / seconds));
    return row;
  });
  reporter.table(head, rows);
  reporter.note("Latency: one connection, one message in flight.");
}
