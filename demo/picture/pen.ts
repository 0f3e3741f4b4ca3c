/** Draws in the coordinates of the layout: u along a packet's way, v across; turned when upright. */
import type { Box } from "./geometry.ts";
import type { Palette } from "./palette.ts";

export interface TextStyle {
  readonly colour?: string;
  readonly size?: number;
  readonly weight?: number;
  readonly align?: CanvasTextAlign;
  /** In an upright picture, read along u instead of across. */
  readonly along?: boolean;
  /** Pixels that it may take; it is left out when it does not fit. */
  readonly room?: number;
}

export class Pen {
  readonly context: CanvasRenderingContext2D;
  palette: Palette;
  upright = false;

  constructor(context: CanvasRenderingContext2D, palette: Palette) {
    this.context = context;
    this.palette = palette;
  }

  x(u: number, v: number): number {
    return this.upright ? v : u;
  }

  y(u: number, v: number): number {
    return this.upright ? u : v;
  }

  paint(box: Box, colour: string, alpha = 1): void {
    const { context } = this;
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    if (this.upright) context.fillRect(box.v, box.u, box.dv, box.du);
    else context.fillRect(box.u, box.v, box.du, box.dv);
    context.globalAlpha = 1;
  }

  /** A frame of a pixel, inside the box. */
  frame(box: Box, colour: string, width = 1): void {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = width;
    const inset = width / 2;
    const [x, y, w, h] = this.upright
      ? [box.v, box.u, box.dv, box.du]
      : [box.u, box.v, box.du, box.dv];
    context.strokeRect(
      Math.round(x) + inset,
      Math.round(y) + inset,
      Math.round(w) - width,
      Math.round(h) - width,
    );
  }

  line(u: number, v: number, toU: number, toV: number, colour: string, width = 1): void {
    const { context } = this;
    context.beginPath();
    context.moveTo(this.x(u, v), this.y(u, v));
    context.lineTo(this.x(toU, toV), this.y(toU, toV));
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }

  dashes(u: number, v: number, toU: number, toV: number, colour: string): void {
    this.context.setLineDash([3, 3]);
    this.line(u, v, toU, toV, colour);
    this.context.setLineDash([]);
  }

  /** A curve that begins and ends along u. */
  curve(u: number, v: number, toU: number, toV: number): void {
    const half = (u + toU) / 2;
    this.context.moveTo(this.x(u, v), this.y(u, v));
    this.context.bezierCurveTo(
      this.x(half, v),
      this.y(half, v),
      this.x(half, toV),
      this.y(half, toV),
      this.x(toU, toV),
      this.y(toU, toV),
    );
  }

  text(text: string, u: number, v: number, style: TextStyle = {}): void {
    const { context, palette } = this;
    const { colour = palette.ink2, size = 11, weight = 400, align = "left" } = style;
    context.font = `${weight} ${size}px ${palette.sans}`;
    if (style.room !== undefined && context.measureText(text).width > style.room) return;
    context.fillStyle = colour;
    context.textAlign = align;
    context.textBaseline = "middle";
    if (!this.upright || style.along !== true) {
      context.fillText(text, this.x(u, v), this.y(u, v) + 0.5);
      return;
    }
    context.save();
    context.translate(this.x(u, v), this.y(u, v));
    context.rotate(Math.PI / 2);
    context.fillText(text, 0, 0.5);
    context.restore();
  }
}
