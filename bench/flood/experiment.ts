/** `bench flood`: what is left for streams and new clients while SYNs come in by the million. */
import { defineExperiment } from "../lib/experiment.ts";
import { decimal, integer } from "../lib/options.ts";
import type { Reporter } from "../lib/reporter.ts";
import { figuresOf, type Figure } from "../lib/results.ts";
import { spread, type Spread } from "../lib/statistics.ts";
import { runTask } from "../lib/task.ts";
import { grouped, ranged } from "../lib/text.ts";
import type { RealOutcome } from "./real.ts";
import { FLOOD_COSTS } from "./simulate.ts";
import type { FloodOutcome, Phase } from "./simulate.ts";
import type { FloodTask } from "./task.ts";

interface FloodOptions {
  readonly systems: readonly string[];
  readonly repeats: number;
  readonly flood: number;
  readonly streams: number;
  readonly rate: number;
  readonly delay: number;
  readonly seconds: number;
}

type Outcome = FloodOutcome | RealOutcome;

const TASK = new URL("task.js", import.meta.url);
const SYSTEMS = ["simulated", "real"];
/** Before measuring, s: virtual, and real time in which the engine gets warm. */
const WARMUP = { simulated: 0.2, real: 1 };
/** A simulated second takes a few real ones. */
const PATIENCE = 20;

export const flood = defineExperiment<FloodOptions>({
  name: "flood",
  description: "a flood of SYNs from everywhere: what streams keep, how long new clients take",
  method:
    "Simulated: the server's core is as busy as a cost model says, and every run is the same: it is measured " +
    "once. Real: all on one thread.",
  options: (command) =>
    command
      .option("--flood <n>", "SYNs a second", integer(1, 20_000_000), 1_000_000)
      .option("--streams <n>", "established connections that carry a stream", integer(1, 256), 4)
      .option("--rate <mbit>", "of their link, Mbit/s", decimal(0.1, 100_000), 1000)
      .option("--delay <ms>", "of their link, one way", decimal(0, 1000), 0.1)
      .option(
        "--seconds <s>",
        "measured without the flood, and again with it",
        decimal(0.01, 600),
        2,
      ),
  turns: { systems: SYSTEMS, repeats: 3 },
  examples: ["", "--systems simulated --flood 4000000"],
  run: runFloods,
  charts: [
    {
      kind: "bars",
      title: "What streams keep under a flood of SYNs",
      y: { metric: "kept", label: "% of the quiet rate", scale: 100 },
    },
  ],
});

async function runFloods(options: FloodOptions, reporter: Reporter): Promise<void> {
  const { systems, repeats, flood, streams, rate, delay, seconds } = options;
  reporter.note(
    `flood: ${grouped(flood)} SYNs/s, ${streams} streams over ${rate} Mbit/s and ${delay} ms each way, ` +
      `${seconds} s without and ${seconds} s with it; real: median (least–most) of ${repeats}`,
  );
  const bed = { streams, rate: rate * 1e6, delay: delay * 1000, flood, seconds };
  const notes: string[] = [];
  const rows: string[][] = [];
  const timesOf = (system: string): number => (system === "real" ? repeats : 1);
  reporter.expect(systems.reduce((sum, system) => sum + timesOf(system), 0));
  for (const system of systems) {
    const task: FloodTask =
      system === "real"
        ? { kind: "real", options: { ...bed, warmup: WARMUP.real } }
        : {
            kind: "simulated",
            options: { ...bed, warmup: WARMUP.simulated, costs: FLOOD_COSTS },
          };
    const outcomes: Outcome[] = [];
    while (outcomes.length < timesOf(system)) {
      reporter.step(system);
      outcomes.push(await runTask<Outcome>(TASK, task, seconds * PATIENCE + 10));
    }
    const phases = (phase: "quiet" | "flooded") => outcomes.map((outcome) => outcome[phase]);
    rows.push(rowOf(`${system}, quiet`, phases("quiet"), seconds));
    rows.push(rowOf(`${system}, flooded`, phases("flooded"), seconds));
    const metrics = figuresOf(outcomes.map(metricsOf));
    reporter.record({
      system: `ixwasm ${system}`,
      params: { flood, streams, rate, delay, seconds, repeats: outcomes.length },
      metrics,
      simulated: system === "simulated",
    });
    const kept = shown(metrics.kept, (share) => (share * 100).toFixed(1));
    notes.push(`ixwasm ${system}: streams keep ${kept} %${costs(metrics)}`);
  }
  const head = [
    "",
    "streams, Mbit/s",
    "clients served/s",
    "p50, µs",
    "failed",
    "cookies/s",
    "NIC drops/s",
  ];
  reporter.table(head, rows);
  for (const note of notes) reporter.note(note);
}

function rowOf(name: string, phases: readonly Phase[], seconds: number): string[] {
  const of = (value: (phase: Phase) => number): string => shown(spread(phases.map(value)), grouped);
  return [
    name,
    of(({ goodput }) => goodput / 1e6),
    of(({ served }) => served / seconds),
    of(({ wait }) => wait),
    of(({ failures }) => failures),
    of(({ cookiesOut }) => cookiesOut / seconds),
    of(({ dropped }) => dropped / seconds),
  ];
}

/** "median (least–most)", or the one value that there is. */
function shown(values: Spread, format: (value: number) => string): string {
  return values.min === values.max ? format(values.median) : ranged(values, format);
}

/** What a SYN cost, where that was measured, or how busy the core was. */
function costs({ busy, source_ns, server_ns }: Readonly<Record<string, Figure>>): string {
  if (server_ns === undefined) return `; the core is ${(busy.median * 100).toFixed(1)} % busy`;
  const [source, server] = [source_ns, server_ns].map((ns) => shown(ns, grouped));
  return `; a SYN takes ${source} ns to make and deliver, ${server} ns to answer`;
}

function metricsOf(outcome: Outcome): Record<string, number> {
  const { quiet, flooded } = outcome;
  return {
    kept: flooded.goodput / quiet.goodput,
    quiet_mbit_per_s: quiet.goodput / 1e6,
    flooded_mbit_per_s: flooded.goodput / 1e6,
    quiet_served: quiet.served,
    flooded_served: flooded.served,
    flooded_wait_us: flooded.wait,
    failures: flooded.failures,
    syns: flooded.syns,
    cookies: flooded.cookiesOut,
    nic_drops: flooded.dropped,
    ...("serverNanos" in outcome
      ? { source_ns: outcome.sourceNanos, server_ns: outcome.serverNanos }
      : { busy: flooded.busy }),
  };
}
