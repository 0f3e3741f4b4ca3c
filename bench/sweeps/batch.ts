/** `bench batch`: what the bound B on a batch is worth at saturation, and what it costs one message. */
import { noteStages, rates, recordMeasured, sweep, type Measured } from "../echo/sweep.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers, someOf } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import { counted, grouped, ranged, rounded } from "../lib/text.ts";

interface BatchOptions {
  readonly batches: readonly number[];
  readonly conns: number;
  readonly size: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly string[];
}

const SYSTEMS = ["inline", "threaded"];
/** Latency needs no longer than this, s. */
const LATENCY = 0.5;

export const batch = defineExperiment<BatchOptions>({
  name: "batch",
  figure: "figure 6",
  description: "the bound B on a batch: messages a second at saturation, latency of one alone",
  method:
    "Saturation: every connection has a message in flight all the time. Unloaded: one message on one " +
    "connection. The paper's points are memcached's requests under USR with p99 ≤ 500 µs.",
  options: (command) =>
    command
      .option("--batches <n>", "values of B", integers(1, 256), [1, 2, 8, 16, 64])
      .option("--conns <n>", "connections", integer(1, 100_000), 256)
      .option("--size <bytes>", "bytes per message", integer(1, 65_536), 64)
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 0.7)
      .option("--repeats <n>", "measurements of each system, taken in turn", integer(1, 100), 5)
      .option("--systems <names>", `which ones, of ${SYSTEMS.join(",")}`, someOf(SYSTEMS), SYSTEMS),
  examples: ["", "--batches 1,64 --repeats 15 --systems inline"],
  bounded: { repeats: 3 },
  tour: { batches: [1, 64], repeats: 2, systems: ["inline"] },
  async run({ batches, systems, repeats, ...load }, reporter) {
    reporter.note(
      `batch: ${counted(load.conns, "connection")}, ${load.size} B; ` +
        `median (least–most) of ${repeats} × ${load.seconds} s`,
    );
    const latency = Math.min(load.seconds, LATENCY);
    const traffic = { ...load, pipeline: 1, rounds: 0, cores: 1, latency, stages: false };
    const points = batches.map((batch) => ({ ...traffic, batch }));
    const measured = await sweep(systems, points, repeats, reporter);
    tableOf(reporter, measured);
    noteStages(reporter, measured, ({ system, params }) => `${system.name}, B = ${params.batch}`);
    for (const one of measured) recordMeasured(reporter, one);
  },
  charts: [
    {
      kind: "lines",
      title: "Messages a second at saturation by B",
      x: { param: "batch", label: "B", log: true },
      y: { metric: "msgs_per_s", label: "messages/s" },
      paper: [
        {
          label: "IX, memcached USR",
          points: [
            [1, 1.4e6],
            [2, 1.65e6],
            [8, 1.75e6],
            [64, 1.8e6],
          ],
        },
      ],
    },
    {
      kind: "lines",
      title: "Unloaded p99 by B",
      x: { param: "batch", label: "B", log: true },
      y: { metric: "p99_us", label: "µs", log: true },
      paper: [
        {
          label: "IX, memcached USR",
          points: [
            [1, 33.5],
            [64, 33.5],
          ],
        },
      ],
    },
  ],
});

function tableOf(reporter: Reporter, measured: readonly Measured[]): void {
  const least = new Map<string, number>();
  const rows = measured.map((one) => {
    const { system, params, samples } = one;
    const { median } = rates(one);
    if (!least.has(system.name)) least.set(system.name, median);
    return [
      `${system.name}, B = ${params.batch}`,
      ranged(rates(one), grouped),
      (median / least.get(system.name)!).toFixed(2),
      rounded(figure(samples.map(({ p50_us }) => p50_us)).median),
      ranged(figure(samples.map(({ p99_us }) => p99_us))),
    ];
  });
  reporter.table(["", "messages/s", "× the first B", "unloaded p50 µs", "unloaded p99 µs"], rows);
}
