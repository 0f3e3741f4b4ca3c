/** `bench sizes`: messages a second by their size, one message per connection as in the paper. */
import { sweep, tableOverPoints } from "../echo/sweep.ts";
import { COMPARED, describeSystems, SYSTEM_NAMES } from "../echo/systems.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers } from "../lib/options.ts";
import { counted, grouped } from "../lib/text.ts";

interface SizesOptions {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly conns: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly string[];
}

export const sizes = defineExperiment<SizesOptions>({
  name: "sizes",
  figure: "figure 3c",
  description: "messages a second by their size, one per connection",
  method: "As in the paper every message has a connection of its own, which the client resets.",
  options: (command) =>
    command
      .option(
        "--sizes <bytes>",
        "bytes per message",
        integers(1, 1 << 20),
        [64, 256, 1024, 2048, 4096, 8192],
      )
      .option(
        "--rounds <n>",
        "messages until a connection is reopened, 0: never",
        integer(0, 1e9),
        1,
      )
      .option("--conns <n>", "connections at the same time", integer(1, 100_000), 64)
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 0.7),
  turns: { systems: SYSTEM_NAMES, repeats: 3, chosen: COMPARED },
  help: describeSystems(),
  examples: ["", "--rounds 0 --sizes 64,1024,16384"],
  bounded: { repeats: 2 },
  async run({ sizes, systems, repeats, ...load }, reporter) {
    const end = load.rounds === 0 ? "never reopened" : `n = ${load.rounds}`;
    reporter.note(
      `sizes: ${counted(load.conns, "connection")}, ${end}, thousands of messages a second; ` +
        `median (least–most) of ${repeats} × ${load.seconds} s`,
    );
    const traffic = { ...load, pipeline: 1, cores: 1, batch: 64, latency: 0, stages: false };
    const points = sizes.map((size) => ({ ...traffic, size }));
    await sweep(
      {
        ...{ systems, points, repeats },
        table: tableOverPoints("bytes", ({ size }) => grouped(size)),
        nameOf: ({ system, params }) => `${system.name}, ${params.size} B`,
      },
      reporter,
    );
  },
  charts: [
    {
      kind: "lines",
      title: "Messages a second by their size, one per connection",
      x: { param: "size", label: "bytes", log: true },
      y: { metric: "msgs_per_s", label: "messages/s", log: true },
      paper: [
        {
          label: "IX 4×10 GbE",
          points: [
            [256, 3.98e6],
            [1024, 3.35e6],
            [4096, 1.045e6],
            [8192, 527e3],
          ],
        },
        {
          label: "mTCP 10 GbE",
          points: [
            [256, 1.4e6],
            [1024, 730e3],
            [4096, 215e3],
            [8192, 112e3],
          ],
        },
        {
          label: "Linux 10 GbE",
          points: [
            [256, 185e3],
            [1024, 177e3],
            [4096, 113e3],
            [8192, 87e3],
          ],
        },
      ],
    },
    {
      kind: "lines",
      title: "Goodput by message size, each way",
      x: { param: "size", label: "bytes", log: true },
      y: { metric: "gbit_per_s", label: "Gbit/s" },
      paper: [{ label: "IX 4×10 GbE", points: [[8192, 34.5]] }],
    },
  ],
});
