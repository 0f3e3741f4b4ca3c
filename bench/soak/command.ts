/** `bench soak`: memory does not grow while gigabytes go by. */
import { Command } from "commander";
import process from "node:process";
import { describeMachine } from "../lib/machine.ts";
import { decimal } from "../lib/options.ts";
import { grouped, printTable, progress, rounded, writeRecords } from "../lib/report.ts";
import { runTask } from "../lib/task.ts";
import type { SoakResult, SoakTask } from "./task.ts";

interface SoakOptions extends SoakTask {
  readonly json?: string;
}

const TASK = new URL("task.js", import.meta.url);
const MIB = 1 << 20;
/** Growth, MiB, that counts as none: pages touched late, the engine's own ups and downs. */
const TOLERANCE = 16;
/** Readings before this one, of ten, are of a process that is still warming up. */
const SETTLED = 2;

export function soakCommand(): Command {
  return new Command("soak")
    .description("moves gigabytes and reopens connections meanwhile; memory must not grow")
    .option("--gigabytes <n>", "gigabytes to move", decimal(0.1, 4000), 10)
    .option("--json <file>", "write the figures to a file")
    .addHelpText("after", "\nExample:\n  npm run bench -- soak --gigabytes 100")
    .action(runSoak);
}

async function runSoak(options: SoakOptions): Promise<void> {
  const { gigabytes } = options;
  console.log(describeMachine());
  console.log(`soak: ${gigabytes} GB over one connection, 64 echo connections reopened beside it`);
  progress("running");
  const task: SoakTask = { gigabytes };
  // A tenth of a gigabit per second would be far too slow already.
  const result = await runTask<SoakResult>(TASK, task, gigabytes * 80, ["--expose-gc"]);
  progress("");
  const metrics = {
    gigabytes,
    gbit_per_s: (result.bytes * 8) / result.seconds / 1e9,
    messages: result.messages,
    connections_opened: result.opened,
    resident_growth_mib: growth(result.resident),
    heap_growth_mib: growth(result.heap),
    leaks: result.leaks === "" ? 0 : 1,
  };
  printTable(
    ["", "figure"],
    [
      ["moved, GB, in seconds", `${gigabytes} in ${rounded(result.seconds)}`],
      ["messages echoed beside it", grouped(result.messages)],
      ["connections opened and reset", grouped(result.opened)],
      ["resident MiB at each tenth", mib(result.resident)],
      ["heap MiB at each tenth", mib(result.heap)],
      ["resident growth after warming up, MiB", metrics.resident_growth_mib.toFixed(1)],
      ["in use after closing", result.leaks || "nothing"],
    ],
  );
  if (options.json !== undefined) {
    const params = { gigabytes };
    writeRecords(options.json, [{ experiment: "soak", system: "ixwasm inline", params, metrics }]);
  }
  if (metrics.resident_growth_mib > TOLERANCE || metrics.leaks > 0) {
    console.error(`Memory grew by more than ${TOLERANCE} MiB, or something leaked.`);
    process.exitCode = 1;
  }
}

/** MiB from the reading after which nothing should change to the last. */
function growth(readings: readonly number[]): number {
  return (readings[readings.length - 1] - readings[SETTLED]) / MIB;
}

function mib(readings: readonly number[]): string {
  return readings.map((bytes) => (bytes / MIB).toFixed(0)).join(" ");
}
