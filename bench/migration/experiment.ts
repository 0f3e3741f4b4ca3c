/** `bench migration`: how long it takes until a flow group has moved to another core. */
import { defineExperiment } from "../lib/experiment.ts";
import { integer, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { counted, grouped, rounded } from "../lib/text.ts";
import type { MigrationFigures, MigrationTask } from "./task.ts";

interface MigrationOptions {
  readonly migrations: number;
  readonly conns: number;
  readonly groups: number;
  readonly systems: readonly string[];
}

const TASK = new URL("task.js", import.meta.url);
/** Most that a measurement takes, s. */
const LIMIT = 120;

export const migration = defineExperiment<MigrationOptions>({
  name: "migration",
  figure: "migration, TOCS '16",
  description: "time that flow groups take from one core to another, idle and under load",
  method:
    "Flow groups go back and forth between two cores of a server. Loaded: every connection has a " +
    "64-byte message in flight all the time. Idle: none has.",
  options: (command) =>
    command
      .option("--migrations <n>", "migrations of each measurement", integer(1, 1_000_000), 2000)
      .option("--conns <n>", "connections", integer(1, 100_000), 256)
      .option("--groups <n>", "flow groups of each migration", integer(1, 127), 1)
      .option(
        "--systems <names>",
        "which ones, of inline,threaded",
        someOf(["inline", "threaded"]),
        ["inline", "threaded"],
      ),
  examples: ["", "--groups 64 --systems threaded"],
  run: runMigration,
  charts: [
    {
      kind: "series",
      title: "How long migrations take: share that is done after a time",
      x: { column: "micros", label: "µs", log: true },
      y: [{ column: "share", label: "share" }],
      by: ["loaded"],
    },
  ],
});

async function runMigration(options: MigrationOptions, reporter: Reporter): Promise<void> {
  const { migrations, conns, groups, systems } = options;
  reporter.note(
    `migration: ${grouped(migrations)} times ${counted(groups, "flow group")} of ` +
      `${counted(conns, "connection")}, back and forth between two cores`,
  );
  const rows: string[][] = [];
  reporter.expect(2 * systems.length);
  for (const system of systems as readonly MigrationTask["system"][]) {
    for (const loaded of [false, true]) {
      const name = `${system}, ${loaded ? "loaded" : "idle"}`;
      reporter.step(name);
      const task: MigrationTask = { system, loaded, conns, migrations, groups };
      const { distribution, ...figures } = await runTask<MigrationFigures>(TASK, task, LIMIT);
      rows.push(rowOf(name, figures));
      reporter.record({
        system: `ixwasm ${system}`,
        params: { conns, migrations, groups, loaded },
        metrics: single(figures),
        series: distribution,
      });
    }
  }
  const times = ["min µs", "p50 µs", "p90 µs", "p99 µs", "max µs"];
  times.push("asked to done: p50 µs", "asked to done: p99 µs");
  reporter.table(["", ...times, "connections", "packets", "sent again"], rows);
}

function rowOf(name: string, figures: Omit<MigrationFigures, "distribution">): string[] {
  const { min, p50, p90, p99, max, wall_p50, wall_p99 } = figures;
  return [
    name,
    ...[min, p50, p90, p99, max, wall_p50, wall_p99].map((micros) => grouped(micros)),
    rounded(figures.connections),
    rounded(figures.packets),
    grouped(figures.retransmissions),
  ];
}
