/**
 * How packets look: the shape says the kind, the colour the core that owns the flow. A cross is a packet
 * that was lost or dropped; an outline one that carries bytes which were sent before.
 */
import type { Packet, PacketKind } from "../engine/messages.ts";

export type Shape = "bar" | "square" | "diamond" | "triangle" | "ring" | "cross";

export const SHAPES: Record<PacketKind, Shape> = {
  data: "bar",
  ack: "square",
  syn: "diamond",
  fin: "ring",
  rst: "ring",
  flood: "triangle",
  arp: "square",
  other: "square",
};

/** Pixels along its way: a minimal frame has 9, a full one 18. */
export function lengthOf(packet: Packet): number {
  return 9 + Math.min(9, packet.length / 170);
}

/** Traces a shape around a place; the caller fills or strokes it. */
export function trace(
  context: CanvasRenderingContext2D,
  shape: Shape,
  x: number,
  y: number,
  long: number,
  upright: boolean,
): void {
  const half = long / 2;
  switch (shape) {
    case "bar":
      if (upright) context.roundRect(x - 3.5, y - half, 7, long, 2);
      else context.roundRect(x - half, y - 3.5, long, 7, 2);
      break;
    case "square":
      context.rect(x - 2.5, y - 2.5, 5, 5);
      break;
    case "diamond":
      context.moveTo(x, y - 5);
      context.lineTo(x + 5, y);
      context.lineTo(x, y + 5);
      context.lineTo(x - 5, y);
      context.closePath();
      break;
    case "triangle":
      context.moveTo(x, y - 4.5);
      context.lineTo(x + 4.5, y + 3.5);
      context.lineTo(x - 4.5, y + 3.5);
      context.closePath();
      break;
    case "ring":
      context.moveTo(x + 4, y);
      context.arc(x, y, 4, 0, 2 * Math.PI);
      break;
    case "cross":
      context.moveTo(x - 4, y - 4);
      context.lineTo(x + 4, y + 4);
      context.moveTo(x + 4, y - 4);
      context.lineTo(x - 4, y + 4);
      break;
  }
}
