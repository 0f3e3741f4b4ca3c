/** `bench soak`: memory does not grow while gigabytes go by. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { single } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { grouped, rounded } from "../lib/text.ts";
import type { SoakResult, SoakTask } from "./task.ts";

const TASK = new URL("task.js", import.meta.url);
const MIB = 1 << 20;
/** Growth, MiB, that counts as none: pages touched late, the engine's own ups and downs. */
const TOLERANCE = 16;
/** Readings before this one, of ten, are of a process that is still warming up. */
const SETTLED = 2;

export const soak = defineExperiment<SoakTask>({
  name: "soak",
  description: "moves gigabytes and reopens connections meanwhile; memory must not grow",
  options: (command) =>
    command.option("--gigabytes <n>", "gigabytes to move", decimal(0.1, 4000), 10),
  examples: ["--gigabytes 100"],
  bounded: { gigabytes: 5 },
  run: runSoak,
  charts: [
    {
      kind: "series",
      title: "Memory of the process while gigabytes go by",
      x: { column: "gigabytes", label: "GB" },
      y: [
        { column: "resident_mib", label: "resident, MiB" },
        { column: "heap_mib", label: "heap, MiB" },
      ],
    },
  ],
});

async function runSoak({ gigabytes }: SoakTask, reporter: Reporter): Promise<void> {
  reporter.note(
    `soak: ${gigabytes} GB over one connection, 64 echo connections reopened beside it`,
  );
  reporter.expect(1);
  reporter.step("running");
  const task: SoakTask = { gigabytes };
  // A tenth of a gigabit per second would be far too slow already.
  const result = await runTask<SoakResult>(TASK, task, gigabytes * 80, ["--expose-gc"]);
  const metrics = {
    gigabytes,
    gbit_per_s: (result.bytes * 8) / result.seconds / 1e9,
    messages: result.messages,
    connections_opened: result.opened,
    resident_growth_mib: growth(result.resident),
    heap_growth_mib: growth(result.heap),
    leaks: result.leaks === "" ? 0 : 1,
  };
  reporter.table(
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
  reporter.record({
    system: "ixwasm inline",
    params: { gigabytes },
    metrics: single(metrics),
    series: {
      gigabytes: result.resident.map((_, i, { length }) => (gigabytes * (i + 1)) / length),
      resident_mib: result.resident.map((bytes) => bytes / MIB),
      heap_mib: result.heap.map((bytes) => bytes / MIB),
    },
  });
  if (metrics.resident_growth_mib > TOLERANCE || metrics.leaks > 0) {
    reporter.failed("soak", `memory grew by more than ${TOLERANCE} MiB, or something leaked`);
  }
}

/** MiB from the reading after which nothing should change to the last. */
function growth(readings: readonly number[]): number {
  return (readings[readings.length - 1] - readings[SETTLED]) / MIB;
}

function mib(readings: readonly number[]): string {
  return readings.map((bytes) => (bytes / MIB).toFixed(0)).join(" ");
}
