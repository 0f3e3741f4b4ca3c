/** `bench netpipe`: one message there and back at a time: latency and goodput by its size. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integers } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figure } from "../lib/results.ts";
import { spread } from "../lib/statistics.ts";
import { grouped, ranged } from "../lib/text.ts";
import { PIPE_SYSTEMS, type PipeSystem } from "./systems.ts";

interface NetpipeOptions {
  readonly sizes: readonly number[];
  readonly seconds: number;
  readonly repeats: number;
  readonly systems: readonly string[];
}

const NAMES = Object.keys(PIPE_SYSTEMS);
const KIB = 1024;

export const netpipe = defineExperiment<NetpipeOptions>({
  name: "netpipe",
  figure: "figure 2",
  description: "one message there and back at a time: time one way and goodput by its size",
  method:
    "Each end answers when it has all of a message. Time one way is half of the round trip; goodput is " +
    "the size divided by it. The same system is at both ends.",
  options: (command) =>
    command
      .option("--sizes <bytes>", "bytes per message", integers(4, 1 << 20), [
        ...[64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB],
      ])
      .option("--seconds <s>", "time for each size", decimal(0.05, 600), 0.4),
  turns: { systems: NAMES, repeats: 3 },
  examples: ["", "--sizes 64 --repeats 9 --seconds 2"],
  tour: { sizes: [64, 16 * KIB, 512 * KIB], repeats: 1 },
  run: runNetpipe,
  charts: [
    {
      kind: "lines",
      title: "Goodput by message size",
      x: { param: "size", label: "bytes", log: true },
      y: { metric: "gbit_per_s", label: "Gbit/s", log: true },
      paper: [
        {
          label: "IX 10 GbE",
          points: [
            [64, (64 * 8) / 5.7e3],
            [20_000, 5],
            [524_288, 8.94],
          ],
        },
        {
          label: "Linux 10 GbE",
          points: [
            [64, (64 * 8) / 24e3],
            [385_000, 5],
            [393_216, 6.96],
          ],
        },
        {
          label: "mTCP 10 GbE",
          points: [
            [64, (64 * 8) / 126.9e3],
            [1_048_576, 4.6],
          ],
        },
      ],
    },
    {
      kind: "lines",
      title: "Time one way by message size",
      x: { param: "size", label: "bytes", log: true },
      y: { metric: "one_way_us", label: "µs", log: true },
      paper: [
        { label: "IX 10 GbE", points: [[64, 5.7]] },
        { label: "Linux 10 GbE", points: [[64, 24]] },
        { label: "mTCP 10 GbE", points: [[64, 126.9]] },
      ],
    },
  ],
});

async function runNetpipe(options: NetpipeOptions, reporter: Reporter): Promise<void> {
  const { sizes, seconds, repeats } = options;
  reporter.note(`netpipe: median (least–most) of ${repeats} × ${seconds} s for each size`);
  const systems = options.systems
    .map((name) => PIPE_SYSTEMS[name])
    .filter((system) => {
      const reason = system.absence();
      if (reason !== null) reporter.absent(system.name, reason);
      return reason === null;
    });
  const measured = await measureInTurn(systems, options, reporter);
  tableOf(reporter, "bytes: µs one way", sizes, measured, (micros) => micros);
  tableOf(reporter, "bytes: Gbit/s", sizes, measured, gigabits);
  for (const [{ name }, runs] of measured) {
    for (const [at, size] of sizes.entries()) {
      const times = runs.map((run) => run[at]);
      reporter.record({
        system: name,
        params: { size, seconds, repeats },
        metrics: {
          one_way_us: figure(times),
          gbit_per_s: figure(times.map((micros) => gigabits(micros, size))),
        },
      });
    }
  }
}

/** Of each system and repeat the times by size. */
async function measureInTurn(
  systems: readonly PipeSystem[],
  { sizes, seconds, repeats }: NetpipeOptions,
  reporter: Reporter,
): Promise<ReadonlyMap<PipeSystem, readonly number[][]>> {
  const measured = new Map(systems.map((system) => [system, [] as number[][]]));
  reporter.expect(repeats * systems.length);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [system, runs] of measured) {
      reporter.step(system.name);
      try {
        runs.push(await system.measure(sizes, seconds));
      } catch (error) {
        reporter.failed(system.name, (error as Error).message);
        measured.delete(system);
      }
    }
  }
  return measured;
}

/** A row for each size and a column for each system; `of` makes a value of a time one way, µs. */
function tableOf(
  reporter: Reporter,
  label: string,
  sizes: readonly number[],
  measured: ReadonlyMap<PipeSystem, readonly number[][]>,
  of: (micros: number, size: number) => number,
): void {
  const names = [...measured.keys()].map(({ name }) => name);
  const rows = sizes.map((size, at) => {
    const values = [...measured.values()].map((runs) => runs.map((run) => of(run[at], size)));
    return [grouped(size), ...values.map((each) => ranged(spread(each)))];
  });
  reporter.table([label, ...names], rows);
}

function gigabits(micros: number, size: number): number {
  return (size * 8) / micros / 1000;
}
