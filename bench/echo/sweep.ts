/**
 * Measuring several systems at several points, interleaved: one measurement of each system at a point
 * after the other, then the next point, and all of it again, so that what disturbs one disturbs all.
 */
import type { Reporter } from "../lib/reporter.ts";
import { figure, type Figure, type Params } from "../lib/results.ts";
import { spread } from "../lib/statistics.ts";
import { ranged, rounded } from "../lib/text.ts";
import type { EchoParams, EchoSample, EchoSystem } from "./system.ts";
import { makeSystem } from "./systems.ts";

/** What was measured of one system at one point. */
export interface Measured {
  readonly system: EchoSystem;
  readonly params: EchoParams;
  readonly samples: EchoSample[];
  failed: boolean;
}

/** Prints what was measured as a table. */
export type TableOf = (measured: readonly Measured[], reporter: Reporter) => void;

/** What is measured, and how it is told. */
export interface Sweep {
  /** Names of the systems. */
  readonly systems: readonly string[];
  readonly points: readonly EchoParams[];
  readonly repeats: number;
  readonly table: TableOf;
  /** Names a row of the stages; default: by its system. */
  readonly nameOf?: (one: Measured) => string;
}

/** Measures, and says and records what is complete, point by point. */
export async function sweep(
  { systems, points, repeats, table, nameOf = ({ system }) => system.name }: Sweep,
  reporter: Reporter,
): Promise<void> {
  const present = await prepared(systems, reporter);
  const measured = points.flatMap((params) =>
    present.map((system): Measured => ({ system, params, samples: [], failed: false })),
  );
  await measureInTurn(measured, repeats, reporter);
  const complete = measured.filter(({ failed }) => !failed);
  table(complete, reporter);
  noteStages(reporter, complete, nameOf);
  for (const one of complete) record(reporter, one);
}

/** The systems that can be measured here; says which cannot. */
async function prepared(names: readonly string[], reporter: Reporter): Promise<EchoSystem[]> {
  const present: EchoSystem[] = [];
  for (const system of names.map(makeSystem)) {
    const reason = await system.prepare();
    if (reason === null) present.push(system);
    else reporter.absent(system.name, reason);
  }
  return present;
}

async function measureInTurn(
  measured: readonly Measured[],
  repeats: number,
  reporter: Reporter,
): Promise<void> {
  reporter.expect(repeats * measured.length);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const one of measured) {
      const { system, params } = one;
      reporter.step(`${system.name}, ${shortly(params)}`);
      if (one.failed) continue;
      const stages = repeat === 0 && (params.stages || reporter.profile);
      try {
        one.samples.push(await system.measure({ ...params, stages }));
      } catch (error) {
        one.failed = true;
        reporter.failed(`${system.name}, ${shortly(params)}`, (error as Error).message);
      }
    }
  }
}

function shortly({ conns, size, rounds, batch }: EchoParams): string {
  return `${conns} connections, ${size} B, n = ${rounds || "∞"}, B = ${batch}`;
}

/** Messages a second. */
export function rates({ samples }: Measured): Figure {
  return figure(samples.map(({ messages, seconds }) => messages / seconds));
}

/** A line of results, with whatever was measured. */
function record(reporter: Reporter, one: Measured): void {
  const { conns, size, pipeline, rounds, cores, batch, seconds, latency } = one.params;
  const params: Params = { conns, size, pipeline, rounds, cores, batch, seconds, latency };
  const run = { repeats: one.samples.length };
  reporter.record({
    system: one.system.name,
    params: { ...params, ...run },
    metrics: metricsOf(one),
  });
}

function metricsOf(one: Measured): Record<string, Figure> {
  const { samples, params } = one;
  const metrics: Record<string, Figure> = {};
  if (params.seconds > 0) {
    const { values } = rates(one);
    metrics.msgs_per_s = figure(values);
    metrics.ns_per_msg = figure(values.map((rate) => 1e9 / rate));
    metrics.gbit_per_s = figure(values.map((rate) => (rate * params.size * 8) / 1e9));
    metrics.conns_per_s = figure(samples.map((sample) => sample.opened / sample.seconds));
  }
  if (params.latency > 0) {
    metrics.p50_us = figure(samples.map(({ p50_us }) => p50_us));
    metrics.p99_us = figure(samples.map(({ p99_us }) => p99_us));
  }
  for (const [name, ns] of Object.entries(stagesOf(one))) metrics[`stage_${name}_ns`] = ns;
  return metrics;
}

/** Nanoseconds a message by stage, where they were measured. */
function stagesOf({ samples }: Measured): Record<string, Figure> {
  const staged = samples.flatMap(({ stages }) => (stages === undefined ? [] : [stages]));
  const names = Object.keys(staged[0] ?? {});
  return Object.fromEntries(
    names.map((name) => [name, figure(staged.map((stages) => stages[name]))]),
  );
}

/** Says where the nanoseconds go, of each system that knows. */
function noteStages(
  reporter: Reporter,
  measured: readonly Measured[],
  name: (one: Measured) => string,
): void {
  const staged = measured.map((one) => [one, Object.entries(stagesOf(one))] as const);
  const known = staged.filter(([, stages]) => stages.length > 0);
  if (known.length === 0) return;
  const head = known[0][1].map(([stage]) => stage);
  const rows = known.map(([one, stages]) => {
    const total = stages.reduce((sum, [, { median }]) => sum + median, 0);
    return [name(one), ...stages.map(([, { median }]) => rounded(median)), rounded(total)];
  });
  reporter.table(["ns a message, both ends", ...head, "total"], rows);
}

/** "median (least–most)" of what a sample says. */
export function range(one: Measured, value: (sample: EchoSample) => number): string {
  return ranged(spread(one.samples.map(value)));
}

/**
 * A table with a row for each point and a column for each system, rates in thousands a second, and how
 * many times faster the last of ixwasm's is than each baseline.
 */
export function tableOverPoints(label: string, nameOf: (params: EchoParams) => string): TableOf {
  return (measured, reporter) => {
    const systems = [...new Set(measured.map(({ system }) => system.name))];
    const points = [...new Set(measured.map(({ params }) => params))];
    const baselines = systems.filter((name) => !name.startsWith("ixwasm"));
    const best = systems.findLast((name) => name.startsWith("ixwasm"));
    const compared = best === undefined ? [] : baselines;
    const rows = points.map((params) => {
      const at = new Map(
        measured.filter((one) => one.params === params).map((one) => [one.system.name, rates(one)]),
      );
      const cell = (name: string): string => (at.has(name) ? thousands(at.get(name)!) : "–");
      const times = (name: string): string =>
        at.has(name) && at.has(best!) ? rounded(at.get(best!)!.median / at.get(name)!.median) : "–";
      return [nameOf(params), ...systems.map(cell), ...compared.map(times)];
    });
    const ratios = compared.map((name) => `${best} ×${name}`);
    reporter.table([label, ...systems, ...ratios], rows);
  };
}

/** "median (least–most)" of rates, in thousands a second. */
function thousands(rates: Figure): string {
  return ranged(rates, (rate) => rounded(rate / 1000));
}
