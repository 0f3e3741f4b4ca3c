/** `bench connections`: very many at once, what one of them costs, and how fast all of them echo. */
import { defineExperiment } from "../lib/experiment.ts";
import { integer, integers } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { grouped, ranged, rounded } from "../lib/text.ts";
import { sweep, tableOverPoints } from "../echo/sweep.ts";
import type { EchoParams } from "../echo/system.ts";
import type { ConnectionsResult, ConnectionsTask } from "./task.ts";

interface ConnectionsOptions {
  readonly conns: readonly number[];
  readonly size: number;
  readonly messages: number;
  readonly inFlight: number;
  readonly repeats: number;
  readonly linux: number;
}

const TASK = new URL("task.js", import.meta.url);
const MIB = 1 << 20;
const MOST = 1_000_000;
/** So few connections are served in so little time that they have to echo longer. */
const LEAST_MESSAGES = 500_000;

export const connections = defineExperiment<ConnectionsOptions>({
  name: "connections",
  figure: "figure 4",
  description: "many connections open at once in one dataplane, each echoing, and their memory",
  method:
    "All connections are open and take turns, a bounded number of messages in flight. ixwasm runs both " +
    "ends on one thread. Linux (C with epoll, a process each) has one message in flight on each.",
  options: (command) =>
    command
      .option(
        "--conns <n>",
        "numbers of connections",
        integers(1, MOST),
        [10, 100, 1000, 10_000, 100_000, 250_000],
      )
      .option("--size <bytes>", "bytes per message", integer(1, 65_536), 64)
      .option("--messages <n>", "echoes of each, at least, while all are open", integer(1, 1000), 5)
      .option("--in-flight <n>", "messages in flight meanwhile", integer(1, 100_000), 256)
      .option("--repeats <n>", "measurements of each number", integer(1, 100), 3)
      .option(
        "--linux <n>",
        "most connections of the baseline over loopback, 0: none",
        integer(0, MOST),
        10_000,
      ),
  examples: ["", "--conns 1000000 --linux 0 --repeats 1"],
  tour: { conns: [1000, 100_000], repeats: 1, linux: 0 },
  run: runConnections,
  charts: [
    {
      kind: "lines",
      title: "Messages a second by open connections, 64 B",
      x: { param: "conns", label: "connections", log: true },
      y: { metric: "msgs_per_s", label: "messages/s", log: true },
      paper: [
        {
          label: "IX 4×10 GbE",
          points: [
            [1296, 12.7e6],
            [9936, 10.04e6],
            [250_992, 5.97e6],
          ],
        },
        {
          label: "Linux 4×10 GbE",
          points: [
            [432, 885e3],
            [250_992, 564e3],
          ],
        },
      ],
    },
    {
      kind: "lines",
      title: "Memory of one connection",
      x: { param: "conns", label: "connections", log: true },
      y: { metric: "resident_bytes_both_ends", label: "resident bytes, both ends" },
      where: ({ params }) => Number(params.conns) >= 10_000,
    },
  ],
});

async function runConnections(options: ConnectionsOptions, reporter: Reporter): Promise<void> {
  const { conns, size, messages, inFlight, repeats } = options;
  reporter.note(
    `connections: between two dataplanes on one thread, ${size} B messages, ` +
      `at least ${messages} of each while all are open, ${grouped(inFlight)} in flight; ` +
      `median (least–most) of ${repeats}`,
  );
  const found = new Map(conns.map((count) => [count, [] as ConnectionsResult[]]));
  reporter.expect(repeats * conns.length);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [count, results] of found) {
      reporter.step(`ixwasm inline, ${grouped(count)} connections`);
      results.push(
        await runTask<ConnectionsResult>(TASK, taskOf(count, options), 600, ["--expose-gc"]),
      );
    }
  }
  for (const [count, results] of found) record(reporter, count, options, results);
  tableOf(reporter, found);
  await measureLinux(options, reporter);
}

function taskOf(conns: number, options: ConnectionsOptions): ConnectionsTask {
  const { size, messages, inFlight } = options;
  return {
    conns,
    size,
    messages: Math.max(messages, Math.ceil(LEAST_MESSAGES / conns)),
    inFlight: Math.min(inFlight, conns),
  };
}

function metricsOf(results: readonly ConnectionsResult[]) {
  const of = (value: (result: ConnectionsResult) => number) => figure(results.map(value));
  return {
    msgs_per_s: of(({ messages, echoSeconds }) => messages / echoSeconds),
    conns_per_s: of(({ open, openSeconds }) => open / openSeconds),
    connections: of(({ open }) => open),
    bytes_per_connection: of(({ bytesPerConnection }) => bytesPerConnection),
    resident_bytes_both_ends: of(
      ({ residentOpen, residentBefore, open }) => (residentOpen - residentBefore) / open,
    ),
    resident_open_mib: of(({ residentOpen }) => residentOpen / MIB),
    heap_bytes_both_ends: of(({ heapOpen, heapBefore, open }) => (heapOpen - heapBefore) / open),
  };
}

function record(
  reporter: Reporter,
  conns: number,
  { size, messages, inFlight, repeats }: ConnectionsOptions,
  results: readonly ConnectionsResult[],
): void {
  reporter.record({
    system: "ixwasm inline",
    params: { conns, size, messages, inFlight, repeats },
    metrics: metricsOf(results),
  });
}

function tableOf(
  reporter: Reporter,
  found: ReadonlyMap<number, readonly ConnectionsResult[]>,
): void {
  const head = ["connections", "messages/s, all open", "of the most", "opened/s"];
  head.push("dataplane B each", "resident B each, both ends", "heap B each");
  const rates = [...found.values()].map((results) => metricsOf(results).msgs_per_s.median);
  const peak = Math.max(...rates);
  const rows = [...found].map(([count, results]) => {
    const metrics = metricsOf(results);
    return [
      grouped(count),
      ranged(metrics.msgs_per_s, grouped),
      `${((100 * metrics.msgs_per_s.median) / peak).toFixed(0)} %`,
      ranged(metrics.conns_per_s, grouped),
      rounded(metrics.bytes_per_connection.median),
      ranged(metrics.resident_bytes_both_ends),
      ranged(metrics.heap_bytes_both_ends),
    ];
  });
  reporter.table(head, rows);
}

/** The same over loopback, as far as the machine lets a process have connections. */
async function measureLinux(options: ConnectionsOptions, reporter: Reporter): Promise<void> {
  const { size, repeats, linux } = options;
  const points = options.conns
    .filter((count) => count <= linux)
    .map((count) => pointOf(count, size));
  const table = tableOverPoints("connections, thousands/s", ({ conns }) => grouped(conns));
  await sweep({ systems: ["epoll"], points, repeats, table }, reporter);
}

function pointOf(conns: number, size: number): EchoParams {
  const traffic = { conns, size, pipeline: 1, rounds: 0, cores: 1, batch: 64 };
  return { ...traffic, seconds: 1, latency: 0, stages: false };
}
