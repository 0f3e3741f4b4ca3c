/** `bench migration`: how long it takes until a flow group has moved to another core. */
import { Command } from "commander";
import { describeMachine } from "../lib/machine.ts";
import { integer, someOf } from "../lib/options.ts";
import { grouped, printTable, progress, rounded, writeRecords } from "../lib/report.ts";
import type { BenchRecord } from "../lib/report.ts";
import { runTask } from "../lib/task.ts";
import type { MigrationFigures, MigrationTask } from "./task.ts";

interface MigrationOptions {
  readonly migrations: number;
  readonly conns: number;
  readonly groups: number;
  readonly systems: readonly string[];
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
/** Most that a measurement takes, s. */
const LIMIT = 120;

export function migrationCommand(): Command {
  return new Command("migration")
    .description("time that flow groups take from one core to another, idle and under load")
    .option("--migrations <n>", "migrations of each measurement", integer(1, 1_000_000), 2000)
    .option("--conns <n>", "connections", integer(1, 100_000), 256)
    .option("--groups <n>", "flow groups of each migration", integer(1, 127), 1)
    .option("--systems <names>", "which ones, of inline,threaded", someOf(["inline", "threaded"]), [
      "inline",
      "threaded",
    ])
    .option("--json <file>", "write the figures to a file")
    .addHelpText(
      "after",
      [
        "",
        "Loaded: every connection has a 64-byte message in flight all the time. Idle: none has.",
        "",
        "Examples:",
        "  npm run bench -- migration",
        "  npm run bench -- migration --groups 64 --systems threaded --json migration.json",
      ].join("\n"),
    )
    .action(runMigration);
}

async function runMigration(options: MigrationOptions): Promise<void> {
  const { migrations, conns, groups, systems } = options;
  console.log(describeMachine());
  console.log(
    `migration: ${grouped(migrations)} times ${groups} flow group${groups === 1 ? "" : "s"} of ` +
      `${grouped(conns)} connections, back and forth between two cores`,
  );
  const records: BenchRecord[] = [];
  const rows: string[][] = [];
  for (const system of systems as readonly MigrationTask["system"][]) {
    for (const loaded of [false, true]) {
      const name = `${system}, ${loaded ? "loaded" : "idle"}`;
      progress(name);
      const task: MigrationTask = { system, loaded, conns, migrations, groups };
      const figures = await runTask<MigrationFigures>(TASK, task, LIMIT);
      rows.push(rowOf(name, figures));
      const params = { conns, migrations, groups, loaded, machine: describeMachine() };
      const metrics = { ...figures };
      records.push({ experiment: "migration", system: `ixwasm ${system}`, params, metrics });
    }
  }
  progress("");
  const times = ["p50 µs", "p90 µs", "p99 µs", "max µs", "asked to done p50 µs", "p99 µs"];
  printTable(["", ...times, "connections", "packets", "sent again"], rows);
  if (options.json !== undefined) writeRecords(options.json, records);
}

function rowOf(name: string, figures: MigrationFigures): string[] {
  const { p50, p90, p99, max, wall_p50, wall_p99 } = figures;
  return [
    name,
    ...[p50, p90, p99, max, wall_p50, wall_p99].map((micros) => grouped(micros)),
    rounded(figures.connections),
    rounded(figures.packets),
    grouped(figures.retransmissions),
  ];
}
