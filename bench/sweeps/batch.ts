/** `bench batch`: what the bound B on a batch is worth at saturation, and what it costs one message. */
import { range, rates, sweep, type Measured } from "../echo/sweep.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { counted, grouped, ranged } from "../lib/text.ts";

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
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 0.7),
  turns: { systems: SYSTEMS, repeats: 5 },
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
    await sweep({ systems, points, repeats, table: tableOf, nameOf }, reporter);
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

function nameOf({ system, params }: Measured): string {
  return `${system.name}, B = ${params.batch}`;
}

function tableOf(measured: readonly Measured[], reporter: Reporter): void {
  const least = new Map<string, number>();
  const rows = measured.map((one) => {
    const { name } = one.system;
    const { median } = rates(one);
    if (!least.has(name)) least.set(name, median);
    return [
      nameOf(one),
      ranged(rates(one), grouped),
      (median / least.get(name)!).toFixed(2),
      range(one, ({ p50_us }) => p50_us),
      range(one, ({ p99_us }) => p99_us),
    ];
  });
  reporter.table(["", "messages/s", "× the first B", "unloaded p50 µs", "unloaded p99 µs"], rows);
}
