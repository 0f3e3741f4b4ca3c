/** `ixwasm stats`: every counter and gauge of a run, once. */
import type { Command } from "commander";
import { sum } from "../../../dataplane/counters.ts";
import { withRun } from "../control-client.ts";
import { usageError } from "../errors.ts";
import { write } from "../output.ts";
import type { MetricsPage } from "../prometheus.ts";
import type { Snapshot } from "../snapshot.ts";
import { grouped, tableLines } from "../table.ts";
import { clientCommand, targetOf, type TargetOptions } from "./target.ts";

const EXAMPLES = `  ixwasm stats                      what is not zero, a column for each core
  ixwasm stats --all                zeros as well
  ixwasm stats --json               everything as one JSON object
  ixwasm stats --prometheus         what --metrics serves
`;

interface StatsOptions extends TargetOptions {
  readonly all?: boolean;
  readonly json?: boolean;
  readonly prometheus?: boolean;
}

export function statsCommand(): Command {
  return clientCommand("stats", EXAMPLES)
    .description("Prints the counters and gauges of a run.")
    .option("-a, --all", "print zeros as well")
    .option("--json", "print one JSON object")
    .option("--prometheus", "print Prometheus' text form")
    .action(stats);
}

async function stats(options: StatsOptions): Promise<void> {
  if (options.json && options.prometheus) {
    throw usageError("give --json or --prometheus, not both");
  }
  await withRun(targetOf(options), async (run) => {
    if (options.prometheus) {
      await write((await run.request<MetricsPage>("metrics")).text);
      return;
    }
    const snapshot = await run.request<Snapshot>("stats");
    const text = options.json
      ? JSON.stringify(snapshot)
      : statsLines(snapshot, options.all ?? false).join("\n");
    await write(`${text}\n`);
  });
}

type Values = Readonly<Record<string, number>>;

/** A table for each kind of value, with a column for each core and one for all together. */
function statsLines(snapshot: Snapshot, all: boolean): string[] {
  const { name, app, ip, nic, pid, cores, port, tap, load } = snapshot;
  const lines = [`${name}: ${app} at ${ip}, ${nic}, process ${pid}`];
  const section = (title: string, columns: readonly Values[]): void => {
    const total = sum(columns);
    const names = Object.keys(total).filter((key) => all || total[key] !== 0);
    if (names.length === 0) return;
    const several = columns.length > 1;
    const head = [title, ...(several ? cores.map(({ core }) => `core ${core}`) : []), "all"];
    const rows = names.map((key) => {
      const each = several ? columns.map((values) => grouped(values[key])) : [];
      return [key, ...each, grouped(total[key])];
    });
    lines.push("", ...tableLines(head, rows));
  };
  section(
    "counter",
    cores.map(({ counters }) => counters),
  );
  section(
    "gauge",
    cores.map(({ gauges }) => gauges),
  );
  section(
    "NIC",
    cores.map((core) => core.nic),
  );
  section(
    "incident",
    cores.map(({ incidents }) => incidents),
  );
  section("port", [port]);
  if (tap !== undefined) section("TAP", [tap]);
  if (load !== undefined) {
    const { messages, opened, failed, open } = load;
    section("load", [{ messages, opened, failed, open }]);
  }
  return lines;
}
