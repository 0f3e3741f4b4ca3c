/** `bench connections`: very many at once, and what one of them costs. */
import { Command } from "commander";
import { describeMachine } from "../lib/machine.ts";
import { integer } from "../lib/options.ts";
import { grouped, printTable, progress, rounded, writeRecords } from "../lib/report.ts";
import { runTask } from "../lib/task.ts";
import type { ConnectionsResult, ConnectionsTask } from "./task.ts";

interface ConnectionsOptions extends ConnectionsTask {
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
const MIB = 1 << 20;

export function connectionsCommand(): Command {
  return new Command("connections")
    .description("many connections open at once in one dataplane, each echoing, and their memory")
    .option("--conns <n>", "connections", integer(1, 1_000_000), 100_000)
    .option("--size <bytes>", "bytes per message", integer(1, 65_536), 64)
    .option("--messages <n>", "echoes of each while all are open", integer(1, 1000), 5)
    .option("--in-flight <n>", "messages in flight meanwhile", integer(1, 100_000), 256)
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  npm run bench -- connections",
        "  npm run bench -- connections --conns 250000 --json connections.json",
      ].join("\n"),
    )
    .action(runConnections);
}

async function runConnections(options: ConnectionsOptions): Promise<void> {
  const { conns, size, messages, inFlight } = options;
  console.log(describeMachine());
  console.log(
    `connections: ${grouped(conns)} between two dataplanes on one thread, ${size} B messages, ` +
      `${messages} of each while all are open, ${grouped(inFlight)} in flight`,
  );
  progress("opening and echoing");
  const task: ConnectionsTask = { conns, size, messages, inFlight };
  const result = await runTask<ConnectionsResult>(TASK, task, 600, ["--expose-gc"]);
  progress("");
  const metrics = metricsOf(result, task);
  printTable(
    ["", "figure"],
    [
      ["open at once", grouped(metrics.connections)],
      ["opened per second", grouped(metrics.conns_per_s)],
      ["messages per second, all open", grouped(metrics.msgs_per_s)],
      ["dataplane memory per connection, B", rounded(metrics.bytes_per_connection)],
      ["resident memory per connection, both ends, B", rounded(metrics.resident_bytes_both_ends)],
      ["resident memory before, MiB", rounded(metrics.resident_before_mib)],
      ["resident memory with all open, MiB", rounded(metrics.resident_open_mib)],
      ["JavaScript heap per connection, both ends, B", metrics.heap_bytes_both_ends.toFixed(1)],
    ],
  );
  if (options.json !== undefined) {
    const params = { ...task };
    const record = { experiment: "connections", system: "ixwasm inline", params, metrics };
    writeRecords(options.json, [record]);
  }
}

function metricsOf(result: ConnectionsResult, task: ConnectionsTask): Record<string, number> {
  const { residentBefore, residentOpen, heapBefore, heapOpen } = result;
  return {
    connections: result.open,
    conns_per_s: task.conns / result.openSeconds,
    msgs_per_s: (task.conns * task.messages) / result.echoSeconds,
    bytes_per_connection: result.bytesPerConnection,
    resident_bytes_both_ends: (residentOpen - residentBefore) / task.conns,
    resident_before_mib: residentBefore / MIB,
    resident_open_mib: residentOpen / MIB,
    heap_bytes_both_ends: (heapOpen - heapBefore) / task.conns,
  };
}
