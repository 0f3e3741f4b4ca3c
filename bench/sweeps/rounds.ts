/** `bench rounds`: messages a second by how many a connection carries before it is reopened. */
import { sweep, tableOverPoints } from "../echo/sweep.ts";
import { COMPARED, describeSystems, SYSTEM_NAMES } from "../echo/systems.ts";
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer, integers } from "../lib/options.ts";
import { counted, grouped } from "../lib/text.ts";

interface RoundsOptions {
  readonly rounds: readonly number[];
  readonly conns: number;
  readonly size: number;
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly string[];
}

export const rounds = defineExperiment<RoundsOptions>({
  name: "rounds",
  figure: "figure 3b",
  description: "messages a second by messages per connection: n = 1 opens and resets one for each",
  method:
    "A connection echoes n messages, one at a time, is reset by the client as in the paper, and opened " +
    "again at once.",
  options: (command) =>
    command
      .option("--rounds <n>", "messages per connection", integers(1, 1e6), [1, 2, 8, 32, 128, 1024])
      .option("--conns <n>", "connections at the same time", integer(1, 100_000), 64)
      .option("--size <bytes>", "bytes per message", integer(1, 1 << 20), 64)
      .option("--seconds <s>", "length of a measurement", decimal(0.1, 600), 0.7),
  turns: { systems: SYSTEM_NAMES, repeats: 3, chosen: COMPARED },
  help: describeSystems(),
  examples: ["", "--rounds 1,1024 --repeats 9"],
  tour: { rounds: [1, 1024], seconds: 0.5, repeats: 1 },
  async run({ rounds, systems, repeats, ...load }, reporter) {
    reporter.note(
      `rounds: ${counted(load.conns, "connection")}, ${load.size} B, thousands of messages a second; ` +
        `median (least–most) of ${repeats} × ${load.seconds} s`,
    );
    const traffic = { ...load, pipeline: 1, cores: 1, batch: 64, latency: 0, stages: false };
    const points = rounds.map((rounds) => ({ ...traffic, rounds }));
    await sweep(
      {
        ...{ systems, points, repeats },
        table: tableOverPoints("n", ({ rounds }) => grouped(rounds)),
        nameOf: ({ system, params }) => `${system.name}, n = ${params.rounds}`,
      },
      reporter,
    );
  },
  charts: [
    {
      kind: "lines",
      title: "Messages a second by messages per connection, 64 B",
      x: { param: "rounds", label: "messages per connection", log: true },
      y: { metric: "msgs_per_s", label: "messages/s", log: true },
      paper: [
        {
          label: "IX 10 GbE",
          points: [
            [2, 2.82e6],
            [8, 6.18e6],
            [32, 8.17e6],
            [64, 8.48e6],
            [1024, 8.78e6],
          ],
        },
        {
          label: "mTCP 10 GbE",
          points: [
            [2, 2.49e6],
            [8, 3.94e6],
            [32, 4.46e6],
            [1024, 4.62e6],
          ],
        },
        {
          label: "Linux 10 GbE",
          points: [
            [2, 292e3],
            [8, 520e3],
            [32, 757e3],
            [64, 809e3],
            [1024, 999e3],
          ],
        },
      ],
    },
  ],
});
