/**
 * How an experiment is drawn, said by the experiment itself: which parameter goes across, which metric
 * up, and what the paper has there.
 */
import type { ResultLine } from "./results.ts";

/** Points that somebody else measured on other machines. */
export interface Reference {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly label: string;
  readonly log?: boolean;
}

interface ChartBase {
  readonly title: string;
  /** What the reader should see, or know. */
  readonly note?: string;
  /** Lines of results that belong to it; default all. */
  readonly where?: (line: ResultLine) => boolean;
  /** A chart for each value of this parameter. */
  readonly per?: string;
  /** A line, or bar, for each system and each combination of these parameters. */
  readonly by?: readonly string[];
}

/** Lines over a parameter. */
export interface LineChart extends ChartBase {
  readonly kind: "lines";
  /** The parameter, or the metric, that goes across. */
  readonly x: Axis & { readonly param?: string; readonly metric?: string };
  readonly y: Axis & { readonly metric: string; readonly scale?: number };
  readonly paper?: readonly Reference[];
}

/** Bars. */
export interface BarChart extends ChartBase {
  readonly kind: "bars";
  readonly y: Axis & { readonly metric: string; readonly scale?: number };
  /** The paper's bars. */
  readonly paper?: readonly { readonly label: string; readonly value: number }[];
}

/** Columns of `series` over another column, one chart for each column. */
export interface SeriesChart extends ChartBase {
  readonly kind: "series";
  readonly x: Axis & { readonly column: string; readonly scale?: number };
  readonly y: readonly (Axis & { readonly column: string; readonly scale?: number })[];
}

export type Chart = LineChart | BarChart | SeriesChart;
