/** Runs a task on several systems in turn, each time in a process of its own, and reports what it says. */
import type { Reporter } from "../lib/reporter.ts";
import { figuresOf, type Figure, type Params } from "../lib/results.ts";
import { runTask } from "../lib/task.ts";
import { REGISTERED, SYSTEM_TITLES, type NodeSystem } from "./systems.ts";

export interface Comparison {
  /** The module that serves the task, which is `params` with the system. */
  readonly task: URL;
  readonly params: Params;
  readonly systems: readonly NodeSystem[];
  /** Those whose process is started with `--import ixwasm/register`. */
  readonly registered: readonly NodeSystem[];
  readonly repeats: number;
  /** About how long a measurement takes, s. */
  readonly seconds: number;
  readonly columns: readonly Column[];
}

type Figures = Readonly<Record<string, Figure>>;

/** A column of the table: its title, and what it says of a system's figures and of loopback's. */
export interface Column {
  readonly title: string;
  readonly show: (own: Figures, loopback: Figures | undefined) => string;
}

/** How many times loopback's median a metric is. */
export function timesLoopback(metric: string): Column {
  return {
    title: "× loopback",
    show: (own, loopback) =>
      loopback ? (own[metric].median / loopback[metric].median).toFixed(2) : "–",
  };
}

/** Measures all systems, again and again, so that what disturbs one disturbs all. */
export async function compareSystems(comparison: Comparison, reporter: Reporter): Promise<void> {
  const { systems, repeats, params } = comparison;
  const samples = new Map(systems.map((system) => [system, [] as Record<string, number>[]]));
  reporter.expect(repeats * systems.length);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [system, taken] of samples) {
      reporter.step(SYSTEM_TITLES[system]);
      taken.push(await measure(system, comparison));
    }
  }
  const found = new Map([...samples].map(([system, taken]) => [system, figuresOf(taken)]));
  for (const [system, metrics] of found) {
    reporter.record({ system: SYSTEM_TITLES[system], params: { ...params, repeats }, metrics });
  }
  tableOf(comparison, found, reporter);
}

function measure(
  system: NodeSystem,
  { task, params, seconds, registered }: Comparison,
): Promise<Record<string, number>> {
  const options = registered.includes(system) ? REGISTERED : [];
  return runTask(task, { ...params, system }, seconds, options);
}

function tableOf(
  { columns }: Comparison,
  found: ReadonlyMap<NodeSystem, Figures>,
  reporter: Reporter,
): void {
  const loopback = found.get("loopback");
  reporter.table(
    ["system", ...columns.map(({ title }) => title)],
    [...found].map(([system, own]) => [
      SYSTEM_TITLES[system],
      ...columns.map(({ show }) => show(own, loopback)),
    ]),
  );
}
