/** How many packets the iterations take: one bar for each size of a batch. */
import uPlot from "uplot";
import type { CoreSnapshot } from "../engine/messages.ts";
import { digits } from "../page/numbers.ts";
import type { Palette } from "../picture/palette.ts";
import { Figure, Plot, plotOptions } from "./figure.ts";

const SIZES = ["1", "2", "–4", "–8", "–16", "–32", "–64"];

export class Batches {
  readonly figure = new Figure(
    "batch",
    "Batch size",
    "Iterations by how many packets they took. It grows by itself when packets wait, and never exceeds B.",
  );
  readonly #plot = new Plot(this.figure, (palette) => makePlot(palette, this.figure));
  #shares: number[] = SIZES.map(() => 0);

  take(cores: readonly CoreSnapshot[]): void {
    const sums = SIZES.map((_, size) =>
      cores.reduce((sum, core) => sum + (core.batchHistogram[size] ?? 0), 0),
    );
    const total = sums.reduce((sum, count) => sum + count, 0);
    this.#shares = sums.map((count) => (total === 0 ? 0 : (100 * count) / total));
    const iterations = cores.reduce((sum, core) => sum + core.iterations, 0);
    const packets = cores.reduce((sum, core) => sum + core.packets, 0);
    this.figure.say(iterations === 0 ? "–" : `mean ${digits(packets / iterations)}`);
  }

  draw(): void {
    this.#plot.set([SIZES.map((_, index) => index), this.#shares]);
  }

  renew(): void {
    this.#plot.renew();
    this.draw();
  }
}

function makePlot(palette: Palette, figure: Figure): uPlot {
  const base = plotOptions(palette, figure);
  return new uPlot(
    {
      ...base,
      scales: {
        x: { time: false, range: () => [-0.6, SIZES.length - 0.4] },
        y: { range: () => [0, 100] },
      },
      axes: [
        {
          stroke: palette.ink3,
          font: `10px ${palette.sans}`,
          size: 16,
          gap: 2,
          ticks: { show: false },
          grid: { show: false },
          splits: () => SIZES.map((_, index) => index),
          values: () => SIZES,
        },
        {
          ...base.axes![1],
          splits: () => [0, 50, 100],
          values: () => ["0", "50", "100 %"],
        },
      ],
      series: [
        {},
        {
          fill: palette.ink,
          width: 0,
          paths: uPlot.paths.bars!({ size: [0.72, 60] }),
          points: { show: false },
        },
      ],
    },
    [[], []],
  );
}
