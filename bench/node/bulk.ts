/** `bench net-bulk`: as much as goes through two `net.Socket`s of one process. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { grouped, ranged } from "../lib/text.ts";
import { compareSystems, timesLoopback } from "./compare.ts";
import { describeNodeSystems, type NodeSystem } from "./systems.ts";

interface NetBulkOptions {
  readonly chunk: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly NodeSystem[];
}

const TASK = new URL("bulk-task.js", import.meta.url);
const SYSTEMS: readonly NodeSystem[] = ["loopback", "one-host", "two-hosts", "register"];

export const netBulk = defineExperiment<NetBulkOptions>({
  name: "net-bulk",
  description: "a stream through two net.Sockets of one process: loopback and ixwasm",
  options: (command) =>
    command
      .option("--chunk <bytes>", "bytes per write", integer(1, 1 << 24), 65_536)
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 2),
  turns: { systems: SYSTEMS, repeats: 5 },
  help: describeNodeSystems(SYSTEMS),
  examples: ["--chunk 16384"],
  run: runNetBulk,
  charts: [
    {
      kind: "bars",
      title: "A stream through two net.Sockets",
      y: { metric: "gbit_per_s", label: "Gbit/s" },
    },
  ],
});

function runNetBulk(options: NetBulkOptions, reporter: Reporter): Promise<void> {
  const { chunk, seconds, repeats, systems } = options;
  reporter.note(
    `net-bulk: one connection, ${grouped(chunk)} B per write; ` +
      `median (least–most) of ${repeats} × ${seconds} s`,
  );
  return compareSystems(
    {
      task: TASK,
      params: { chunk, seconds },
      systems,
      registered: ["register"],
      repeats,
      seconds,
      columns: [
        { title: "Gbit/s", show: (own) => ranged(own.gbit_per_s) },
        timesLoopback("gbit_per_s"),
      ],
    },
    reporter,
  );
}
