/** `bench http`: node:http under autocannon, in one process, on loopback and on ixwasm. */
import { defineExperiment } from "../lib/experiment.ts";
import { integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { grouped, ranged } from "../lib/text.ts";
import { compareSystems, timesLoopback, type Column } from "./compare.ts";
import { describeNodeSystems, type NodeSystem } from "./systems.ts";

interface HttpOptions {
  readonly conns: number;
  readonly pipeline: number;
  readonly size: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly NodeSystem[];
}

const TASK = new URL("http-task.js", import.meta.url);
const SYSTEMS: readonly NodeSystem[] = ["loopback", "register", "two-hosts"];

export const http = defineExperiment<HttpOptions>({
  name: "http",
  description: "requests to node:http by autocannon in one process: loopback and ixwasm",
  method:
    "Server and autocannon share one process and one thread. The program is the same each time; on " +
    "ixwasm it is started with --import ixwasm/register. With two-hosts its server is on a host of its own.",
  options: (command) =>
    command
      .option("--conns <n>", "connections", integer(1, 10_000), 100)
      .option("--pipeline <n>", "requests in flight per connection", integer(1, 100), 1)
      .option("--size <bytes>", "bytes of an answer's body", integer(0, 1 << 20), 13)
      .option("--seconds <s>", "length of a measurement", integer(1, 600), 3),
  turns: { systems: SYSTEMS, repeats: 5 },
  help: describeNodeSystems(SYSTEMS),
  examples: ["", "--conns 10 --pipeline 10"],
  tour: { seconds: 1, repeats: 1 },
  run: runHttp,
  charts: [
    {
      kind: "bars",
      title: "node:http under autocannon",
      y: { metric: "requests_per_s", label: "requests/s" },
    },
    {
      kind: "bars",
      title: "The slowest hundredth of the answers",
      y: { metric: "p99_ms", label: "p99, ms" },
    },
  ],
});

function runHttp(options: HttpOptions, reporter: Reporter): Promise<void> {
  const { conns, pipeline, size, seconds, repeats, systems } = options;
  reporter.note(
    `http: ${grouped(conns)} connections, ${pipeline} in flight each, ${grouped(size)} B answers; ` +
      `median (least–most) of ${repeats} × ${seconds} s`,
  );
  const columns: Column[] = [
    { title: "requests/s", show: (own) => ranged(own.requests_per_s, grouped) },
    timesLoopback("requests_per_s"),
    { title: "p50 ms", show: (own) => ranged(own.p50_ms) },
    { title: "p99 ms", show: (own) => ranged(own.p99_ms) },
  ];
  return compareSystems(
    {
      task: TASK,
      params: { conns, pipeline, size, seconds },
      systems,
      registered: ["register", "two-hosts"],
      repeats,
      seconds,
      columns,
    },
    reporter,
  );
}
