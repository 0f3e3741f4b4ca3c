/** From lines of results to what is drawn: each chart's lines, bars or columns, in the order of x. */
import type { BarChart, Chart, LineChart, SeriesChart } from "../lib/chart.ts";
import type { Figure, ResultLine } from "../lib/results.ts";

/** A drawn line: x ascending, y and where known its least and greatest. */
export interface DrawnLine {
  readonly label: string;
  readonly xs: readonly number[];
  readonly ys: readonly number[];
  readonly low?: readonly number[];
  readonly high?: readonly number[];
  /** The paper's: drawn in grey. */
  readonly theirs: boolean;
  readonly simulated: boolean;
}

export interface DrawnAxis {
  readonly label: string;
  readonly log: boolean;
}

export interface Plot {
  readonly kind: "plot";
  readonly title: string;
  readonly note?: string;
  readonly x: DrawnAxis;
  readonly y: DrawnAxis;
  readonly lines: readonly DrawnLine[];
  /** A distribution or a course of time: without marks at its points. */
  readonly dense: boolean;
}

export interface DrawnBar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly theirs: boolean;
  /** What ixwasm is compared with. */
  readonly isBaseline: boolean;
  readonly simulated: boolean;
}

export interface Bars {
  readonly kind: "bars";
  readonly title: string;
  readonly note?: string;
  readonly unit: string;
  readonly bars: readonly DrawnBar[];
}

export type Drawing = Plot | Bars;

/** What a chart comes to with the lines of its experiment; nothing, when they do not have its metric. */
export function drawingsOf(chart: Chart, all: readonly ResultLine[]): Drawing[] {
  const lines = all.filter(chart.where ?? (() => true));
  const { per, title } = chart;
  if (per === undefined) return drawn(chart, lines);
  const values = [...new Set(lines.flatMap(({ params }) => (per in params ? [params[per]] : [])))];
  return values.flatMap((value) => {
    const own = lines.filter(({ params }) => params[per] === value);
    return drawn({ ...chart, title: `${title} (${per} ${value})` }, own);
  });
}

function drawn(chart: Chart, lines: readonly ResultLine[]): Drawing[] {
  const by = labelsOf(lines, chart.by);
  if (chart.kind === "lines") return plotOf(chart, lines, by);
  return chart.kind === "bars" ? barsOf(chart, lines, by) : coursesOf(chart, lines, by);
}

function plotOf(chart: LineChart, lines: readonly ResultLine[], labelOf: Label): Plot[] {
  const { title, note, x, y, paper = [] } = chart;
  const scale = y.scale ?? 1;
  const groups = new Map<string, { at: number; figure: Figure; simulated: boolean }[]>();
  for (const line of lines) {
    const at = x.metric === undefined ? line.params[x.param!] : line.metrics[x.metric]?.median;
    const figure = line.metrics[y.metric];
    if (typeof at !== "number" || figure === undefined) continue;
    const label = labelOf(line);
    if (!groups.has(label)) groups.set(label, []);
    groups.get(label)!.push({ at, figure, simulated: line.simulated });
  }
  if (groups.size === 0) return [];
  const ours = [...groups].map(([label, points]): DrawnLine => {
    const sorted = points.toSorted((a, b) => a.at - b.at);
    const column = (name: "median" | "min" | "max"): number[] =>
      sorted.map(({ figure }) => figure[name] * scale);
    const { simulated } = sorted[0];
    const values = { ys: column("median"), low: column("min"), high: column("max") };
    return { label, xs: sorted.map(({ at }) => at), ...values, theirs: false, simulated };
  });
  const theirs = paper.map(({ label, points }): DrawnLine => ({
    label: `paper: ${label}`,
    xs: points.map(([at]) => at),
    ys: points.map(([, value]) => value),
    theirs: true,
    simulated: false,
  }));
  const axes = { x: axisOf(x), y: axisOf(y) };
  return [{ kind: "plot", title, note, ...axes, lines: [...ours, ...theirs], dense: false }];
}

function barsOf(chart: BarChart, lines: readonly ResultLine[], labelOf: Label): Bars[] {
  const { title, note, y, paper = [] } = chart;
  const scale = y.scale ?? 1;
  const ours = lines.flatMap((line): DrawnBar[] => {
    const figure = line.metrics[y.metric];
    if (figure === undefined) return [];
    const bounds = { low: figure.min * scale, high: figure.max * scale };
    const { simulated, system } = line;
    const isBaseline = !system.startsWith("ixwasm");
    const label = labelOf(line);
    return [
      { label, value: figure.median * scale, ...bounds, theirs: false, isBaseline, simulated },
    ];
  });
  if (ours.length === 0) return [];
  const theirs = paper.map(({ label, value }): DrawnBar => {
    const bounds = { low: value, high: value };
    return {
      label: `paper: ${label}`,
      value,
      ...bounds,
      theirs: true,
      isBaseline: false,
      simulated: false,
    };
  });
  return [{ kind: "bars", title, note, unit: y.label, bars: [...ours, ...theirs] }];
}

/** One plot for each column of y, with a line for each line of results. */
function coursesOf(chart: SeriesChart, lines: readonly ResultLine[], labelOf: Label): Plot[] {
  const { title, note, x, y } = chart;
  return y.flatMap((axis): Plot[] => {
    const drawn = lines.flatMap((line): DrawnLine[] => {
      const xs = line.series?.[x.column];
      const ys = line.series?.[axis.column];
      if (xs === undefined || ys === undefined) return [];
      const scaled = { xs: xs.map(times(x.scale)), ys: ys.map(times(axis.scale)) };
      const { simulated } = line;
      return [{ label: labelOf(line), ...scaled, theirs: false, simulated }];
    });
    const axes = { x: axisOf(x), y: axisOf(axis) };
    const heading = y.length > 1 ? `${title}: ${axis.label}` : title;
    if (drawn.length === 0) return [];
    return [{ kind: "plot", title: heading, note, ...axes, lines: drawn, dense: true }];
  });
}

function times(scale = 1): (value: number) => number {
  return (value) => value * scale;
}

function axisOf({ label, log = false }: { label: string; log?: boolean }): DrawnAxis {
  return { label, log };
}

type Label = (line: ResultLine) => string;

/** What lines are called: by their system, unless all are of one, and the parameters `by`. */
function labelsOf(lines: readonly ResultLine[], by: readonly string[] = []): Label {
  const systems = new Set(lines.map(({ system }) => system));
  return ({ system, params }) => {
    const values = by.flatMap((name) => (name in params ? [`${name} ${params[name]}`] : []));
    return systems.size === 1 && values.length > 0
      ? values.join(", ")
      : [system, ...values].join(", ");
  };
}
