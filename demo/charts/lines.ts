/** A chart of some numbers over time. */
import uPlot from "uplot";
import { short } from "../page/numbers.ts";
import type { Palette } from "../picture/palette.ts";
import { Figure, Plot, plotOptions } from "./figure.ts";
import { History } from "./history.ts";

export interface LineStyle {
  readonly stroke: (palette: Palette) => string;
  readonly width?: number;
  readonly dash?: number[];
}

export interface LinesOptions {
  readonly id: string;
  readonly title: string;
  readonly help: string;
  readonly lines: readonly LineStyle[];
  /** The least that the scale's upper end is. */
  readonly least: number;
  /** The upper end, where it is always the same. */
  readonly most?: number;
  readonly tick?: (value: number) => string;
}

/** Samples of a chart: at ten a second, half a minute. */
const SAMPLES = 240;

export class Lines {
  readonly figure: Figure;
  readonly #history: History;
  readonly #plot: Plot;

  constructor(options: LinesOptions) {
    this.figure = new Figure(options.id, options.title, options.help);
    this.#history = new History(options.lines.length, SAMPLES);
    this.#plot = new Plot(this.figure, (palette) => makePlot(options, palette, this.figure));
  }

  add(at: number, sample: readonly (number | null)[], text: string): void {
    this.#history.add(at, sample);
    this.figure.say(text);
  }

  clear(): void {
    this.#history.clear();
  }

  draw(): void {
    this.#plot.set(this.#history.columns);
  }

  renew(): void {
    this.#plot.renew();
    this.draw();
  }
}

function makePlot(options: LinesOptions, palette: Palette, figure: Figure): uPlot {
  const { lines, least, most, tick = short } = options;
  const base = plotOptions(palette, figure);
  return new uPlot(
    {
      ...base,
      scales: {
        ...base.scales,
        y: { range: (_, __, max) => [0, most ?? Math.max(least, (max ?? 0) * 1.12)] },
      },
      axes: [
        { show: false },
        { ...base.axes![1], values: (_, ticks) => ticks.map((value) => tick(value)) },
      ],
      series: [
        {},
        ...lines.map(({ stroke, width = 1.5, dash }) => ({
          stroke: stroke(palette),
          width,
          dash,
          points: { show: false },
        })),
      ],
    },
    [[], ...lines.map(() => [])],
  );
}
