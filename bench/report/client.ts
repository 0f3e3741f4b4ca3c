/** The page's own script: draws every plot with uPlot, in the colours of the page. */
import type UPlot from "uplot";
import type { DrawnAxis, DrawnLine, Plot } from "./datasets.ts";

declare const uPlot: typeof UPlot;

/** Of systems that are in many plots, the same colour everywhere; the others take what is left. */
const COLOURS: Readonly<Record<string, string>> = {
  "ixwasm inline": "--c1",
  "ixwasm threaded": "--c2",
  "node:net": "--c3",
  epoll: "--c4",
  "C, blocking": "--c4",
};
const REST = ["--c5", "--c6", "--c7", "--c8", "--c1", "--c2", "--c3", "--c4"];
const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];
/** How the legend shows each of them. */
const MARKERS = ["solid", "dashed", "dotted", "double"];
const HEIGHT = 320;
/** Axes that span more are divided by tens, others by twos. */
const DECADES = 2e4;

const plots = JSON.parse(document.querySelector("#plots")!.textContent!) as Plot[];
const drawn: UPlot[] = [];

for (const [index, plot] of plots.entries()) {
  const place = document.querySelector<HTMLElement>(`[data-plot="${index}"]`)!;
  drawn.push(draw(plot, place));
}
addEventListener("resize", () => {
  for (const plot of drawn)
    plot.setSize({ width: plot.root.parentElement!.clientWidth, height: HEIGHT });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const plot of drawn) plot.redraw();
});

function draw(plot: Plot, place: HTMLElement): UPlot {
  const tables = plot.lines.map(({ xs, ys }) => [xs, ys] as unknown as UPlot.AlignedData);
  const colours = coloursOf(plot.lines);
  const options: UPlot.Options = {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [null, 26, null, null],
    scales: { x: { time: false, ...scaleOf(plot.x, xsOf(plot)) }, y: scaleOf(plot.y, []) },
    axes: [axisOf(plot.x), axisOf(plot.y)],
    series: [
      { label: plot.x.label, value: (_, value) => readable(value) },
      ...plot.lines.map((line, i) => seriesOf(line, colours[i], plot)),
    ],
    cursor: { points: { size: 6 } },
    legend: {
      markers: { width: 3, dash: (_, i) => MARKERS[DASHES.indexOf(colours[i - 1]?.dash)] },
    },
    hooks: { draw: [(u) => drawRanges(u, plot, colours)] },
  };
  return new uPlot(options, uPlot.join(tables), place);
}

function seriesOf(line: DrawnLine, colour: Colour, { dense }: Plot): UPlot.Series {
  return {
    label:
      line.simulated && !line.label.includes("simulated")
        ? `${line.label} (simulated)`
        : line.label,
    stroke: () => cssColour(colour.name),
    dash: colour.dash,
    width: line.theirs ? 1 : 2,
    spanGaps: true,
    value: (_, value) => readable(value),
    points: { show: !dense, size: line.theirs ? 6 : 7, fill: () => cssColour(colour.name) },
  };
}

interface Colour {
  readonly name: string;
  readonly dash: number[];
}

function coloursOf(lines: readonly DrawnLine[]): Colour[] {
  let theirs = 0;
  let other = 0;
  return lines.map(({ label, theirs: isTheirs }) => {
    if (isTheirs) return { name: "--paper", dash: DASHES[1 + (theirs++ % (DASHES.length - 1))] };
    const known = COLOURS[label];
    if (known !== undefined) return { name: known, dash: DASHES[0] };
    const at = other++;
    return { name: REST[at % REST.length], dash: DASHES[Math.floor(at / REST.length) % 4] };
  });
}

function xsOf({ lines }: Plot): number[] {
  return lines.flatMap(({ xs }) => [...xs]);
}

function scaleOf({ log }: DrawnAxis, values: readonly number[]): UPlot.Scale {
  if (!log) return values.length > 0 ? {} : { range: (_, __, max) => [0, max * 1.06 || 1] };
  const isNarrow = values.length > 0 && Math.max(...values) / Math.min(...values) < DECADES;
  if (values.length === 0) return { distr: 3, log: 10 };
  const base = isNarrow ? 2 : 10;
  const power = (value: number, round: (power: number) => number): number =>
    base ** round(Math.log(value) / Math.log(base));
  const range: UPlot.Range.MinMax = [
    power(Math.min(...values), Math.floor),
    power(Math.max(...values), Math.ceil),
  ];
  return { distr: 3, log: base, range: () => range };
}

function axisOf({ label }: DrawnAxis): UPlot.Axis {
  return {
    label,
    labelSize: 22,
    size: 56,
    stroke: () => cssColour("--ink"),
    grid: { stroke: () => cssColour("--grid"), width: 1 },
    ticks: { stroke: () => cssColour("--grid"), width: 1 },
    values: (_, splits) =>
      splits.map((value) =>
        value === null ? "" : label === "bytes" ? binary(value) : readable(value),
      ),
  };
}

/** From the least to the greatest of each point, over its system's marks. */
function drawRanges(u: UPlot, plot: Plot, colours: readonly Colour[]): void {
  const { ctx } = u;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  for (const [i, { xs, low, high }] of plot.lines.entries()) {
    if (low === undefined || high === undefined || !u.series[i + 1].show) continue;
    ctx.strokeStyle = cssColour(colours[i].name);
    ctx.beginPath();
    for (const [at, x] of xs.entries()) {
      const left = u.valToPos(x, "x", true);
      ctx.moveTo(left, u.valToPos(low[at], "y", true));
      ctx.lineTo(left, u.valToPos(high[at], "y", true));
    }
    ctx.stroke();
  }
  ctx.restore();
}

function readable(value: number | null): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return `${digits(value / 1e6)} M`;
  if (size >= 1e4) return `${digits(value / 1e3)} k`;
  return digits(value);
}

/** Numbers of bytes, as powers of two are read. */
function binary(value: number): string {
  if (value >= 2 ** 20) return `${digits(value / 2 ** 20)} Mi`;
  return value >= 2 ** 13 ? `${digits(value / 1024)} Ki` : digits(value);
}

function digits(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
