/** A chart's frame: its name, what it says now, and a plot that fits the place it has. */
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { element, write } from "../page/dom.ts";
import { readPalette, type Palette } from "../picture/palette.ts";

export class Figure {
  readonly root: HTMLElement;
  readonly plot: HTMLElement;
  readonly #value: HTMLOutputElement;

  constructor(id: string, title: string, help: string) {
    this.#value = element("output");
    this.plot = element("div", { class: "plot", "aria-hidden": "true" });
    this.root = element(
      "figure",
      { class: "chart", id: `chart-${id}`, title: help },
      element("figcaption", {}, element("b", {}, title), this.#value),
      this.plot,
    );
  }

  say(text: string): void {
    write(this.#value, text);
  }
}

/** What all plots share: no grid but faint lines, few ticks, no legend, no cursor of its own. */
export function plotOptions(palette: Palette, figure: Figure): Omit<uPlot.Options, "series"> {
  const { clientWidth, clientHeight } = figure.plot;
  return {
    width: Math.max(40, clientWidth),
    height: Math.max(40, clientHeight),
    padding: [7, 2, 6, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false } },
    axes: [
      { show: false },
      {
        stroke: palette.ink3,
        font: `10px ${palette.sans}`,
        size: 42,
        gap: 3,
        space: 22,
        ticks: { show: false },
        grid: { stroke: palette.line, width: 1 },
      },
    ],
  };
}

/** Makes a plot, and makes it anew when the theme changes; keeps it as large as its place. */
export class Plot {
  #plot: uPlot | undefined;
  readonly #make: (palette: Palette) => uPlot;
  readonly #figure: Figure;

  constructor(figure: Figure, make: (palette: Palette) => uPlot) {
    this.#figure = figure;
    this.#make = make;
    new ResizeObserver(([{ contentRect }]) => {
      const { width, height } = contentRect;
      if (width > 0 && height > 0) this.#plot?.setSize({ width, height });
    }).observe(figure.plot);
  }

  renew(): void {
    this.#plot?.destroy();
    this.#plot = this.#make(readPalette());
    this.#figure.plot.append(this.#plot.root);
  }

  set(data: readonly (readonly (number | null)[])[]): void {
    if (this.#plot === undefined) this.renew();
    this.#plot?.setData(data as unknown as uPlot.AlignedData);
  }
}
