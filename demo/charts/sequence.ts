/**
 * The time-sequence graph of one connection, in the manner of tcptrace: a stroke for each segment, a line
 * for what is acknowledged and one for the window's right edge, crosses for what was lost, bars for what
 * the receiver has beyond a gap (SACK).
 */
import uPlot from "uplot";
import type { SequencePoint, Watched } from "../engine/messages.ts";
import { bytes, short, time } from "../page/numbers.ts";
import type { Palette } from "../picture/palette.ts";
import { Figure, Plot, plotOptions } from "./figure.ts";

/** Points that are kept: what an eye can take in. */
const MOST_POINTS = 700;

export class Sequence {
  readonly figure = new Figure(
    "sequence",
    "A connection",
    "What one client has sent over time, and what of it was acknowledged. Press a client in the picture to follow another.",
  );
  #points: SequencePoint[] = [];
  #watched: Watched | undefined;
  readonly #plot = new Plot(this.figure, (palette) => this.#make(palette));

  take(watched: Watched | undefined): void {
    if (watched?.flow !== this.#watched?.flow) this.#points = [];
    this.#watched = watched;
    if (watched === undefined) {
      this.figure.say("none chosen");
      return;
    }
    const first = watched.points[0];
    const last = this.#points.at(-1);
    if (first !== undefined && last !== undefined && first.at < last.at - 1e6) this.#points = [];
    this.#points.push(...watched.points);
    if (this.#points.length > MOST_POINTS) this.#points = this.#points.slice(-MOST_POINTS);
    this.figure.say(describe(watched));
  }

  clear(): void {
    this.#points = [];
    this.#watched = undefined;
  }

  draw(): void {
    const points = this.#points;
    let low = Infinity;
    let high = 0;
    // The window's edge is far above; it may leave the picture, the segments may not.
    for (const { kind, from, to } of points) {
      if (kind === "window") continue;
      low = Math.min(low, from, to);
      high = Math.max(high, from, to);
    }
    const begin = points[0]?.at ?? 0;
    const end = Math.max(begin + 1, points.at(-1)?.at ?? 1);
    this.#plot.set([
      [begin / 1000, end / 1000],
      [Math.min(low, high), high === low ? high + 1 : high],
    ]);
  }

  renew(): void {
    this.#plot.renew();
    this.draw();
  }

  #make(palette: Palette): uPlot {
    const base = plotOptions(palette, this.figure);
    return new uPlot(
      {
        ...base,
        axes: [
          {
            stroke: palette.ink3,
            font: `10px ${palette.sans}`,
            size: 18,
            gap: 2,
            space: 60,
            ticks: { show: false },
            grid: { show: false },
            values: (_, ticks) => ticks.map((tick) => time(tick * 1000)),
          },
          { ...base.axes![1], values: (_, ticks) => ticks.map((tick) => short(tick)) },
        ],
        series: [{}, { stroke: "transparent", points: { show: false } }],
        hooks: { draw: [(plot) => drawPoints(plot, this.#points, this.#watched, palette)] },
      },
      [[], []],
    );
  }
}

function describe({ flow, state, cwnd, srtt, recovery }: Watched): string {
  if (state !== "ESTABLISHED") return `${flow}: ${state}`;
  const trouble = recovery === "open" ? "" : `, ${recovery}`;
  return `${flow}: cwnd ${bytes(cwnd)}, RTT ${time(srtt)}${trouble}`;
}

function drawPoints(
  plot: uPlot,
  points: readonly SequencePoint[],
  watched: Watched | undefined,
  palette: Palette,
): void {
  const { ctx, bbox } = plot;
  const x = (at: number): number => plot.valToPos(at / 1000, "x", true);
  const y = (sequence: number): number => plot.valToPos(sequence, "y", true);
  const colour = watched === undefined ? palette.ink : (palette.cores[watched.core] ?? palette.ink);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  drawStairs(ctx, points, "window", palette.line2, x, y);
  drawStairs(ctx, points, "acked", palette.ink3, x, y);
  for (const point of points) drawPoint(ctx, point, palette, colour, x, y);
  ctx.restore();
}

type Scale = (value: number) => number;

/** A line that rises where something new is said. */
function drawStairs(
  ctx: CanvasRenderingContext2D,
  points: readonly SequencePoint[],
  kind: SequencePoint["kind"],
  colour: string,
  x: Scale,
  y: Scale,
): void {
  ctx.beginPath();
  let height: number | undefined;
  for (const point of points) {
    if (point.kind !== kind) continue;
    if (height === undefined) ctx.moveTo(x(point.at), y(point.to));
    else {
      ctx.lineTo(x(point.at), height);
      ctx.lineTo(x(point.at), y(point.to));
    }
    height = y(point.to);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.stroke();
}

function drawPoint(
  ctx: CanvasRenderingContext2D,
  { at, kind, from, to }: SequencePoint,
  palette: Palette,
  colour: string,
  x: Scale,
  y: Scale,
): void {
  if (kind === "acked" || kind === "window") return;
  const left = x(at);
  const [low, high] = [y(from), y(to)];
  const size = 2.5 * devicePixelRatio;
  ctx.beginPath();
  if (kind === "lost") {
    const middle = (low + high) / 2;
    ctx.moveTo(left - size, middle - size);
    ctx.lineTo(left + size, middle + size);
    ctx.moveTo(left + size, middle - size);
    ctx.lineTo(left - size, middle + size);
  } else {
    ctx.moveTo(left, low);
    ctx.lineTo(left, Math.min(high, low - devicePixelRatio));
  }
  const strokes = { sent: colour, again: palette.ink, sacked: palette.ink3, lost: palette.alarm };
  ctx.strokeStyle = strokes[kind];
  ctx.lineWidth = (kind === "again" ? 3 : kind === "sacked" ? 1 : 2) * devicePixelRatio;
  ctx.stroke();
}
