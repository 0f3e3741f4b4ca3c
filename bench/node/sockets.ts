/** `bench net-sockets`: very many `net.Socket`s open at once, each echoing. */
import { defineExperiment } from "../lib/experiment.ts";
import { integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { grouped, ranged } from "../lib/text.ts";
import { compareSystems, timesLoopback } from "./compare.ts";
import { describeNodeSystems, type NodeSystem } from "./systems.ts";

interface NetSocketsOptions {
  readonly conns: number;
  readonly messages: number;
  readonly repeats: number;
  readonly systems: readonly NodeSystem[];
}

const TASK = new URL("sockets-task.js", import.meta.url);
const SYSTEMS: readonly NodeSystem[] = ["loopback", "one-host", "two-hosts"];
/** What a measurement may take, s. */
const LONGEST = 120;

export const netSockets = defineExperiment<NetSocketsOptions>({
  name: "net-sockets",
  description: "many net.Sockets open at once, each echoing: loopback and ixwasm",
  options: (command) =>
    command
      .option("--conns <n>", "connections", integer(1, 15_000), 9_000)
      .option("--messages <n>", "echoes of each while all are open", integer(1, 1000), 5),
  turns: { systems: SYSTEMS, repeats: 3 },
  help: [
    ...describeNodeSystems(SYSTEMS),
    "",
    "Loopback needs two descriptors a connection: ulimit -n says how many there are.",
  ],
  examples: ["", "--conns 10000 --systems one-host"],
  run: runNetSockets,
  charts: [
    {
      kind: "bars",
      title: "Echoes on all of many net.Sockets",
      y: { metric: "echoes_per_s", label: "echoes/s" },
    },
  ],
});

function runNetSockets(options: NetSocketsOptions, reporter: Reporter): Promise<void> {
  const { conns, messages, repeats, systems } = options;
  reporter.note(
    `net-sockets: ${grouped(conns)} connections, ${messages} echoes of 64 B on each while all ` +
      `are open; median (least–most) of ${repeats}`,
  );
  return compareSystems(
    {
      task: TASK,
      params: { conns, messages },
      systems,
      registered: [],
      repeats,
      seconds: LONGEST,
      columns: [
        { title: "opened/s", show: (own) => ranged(own.opened_per_s, grouped) },
        { title: "echoes/s", show: (own) => ranged(own.echoes_per_s, grouped) },
        timesLoopback("echoes_per_s"),
        { title: "KiB each, both ends", show: (own) => ranged(own.resident_kib_each) },
      ],
    },
    reporter,
  );
}
