/** The packets of a frame, drawn in as few strokes as there are colours and shapes. */
import type { Pen } from "./pen.ts";
import { lengthOf, SHAPES, trace } from "./glyphs.ts";
import type { Scene, Sprite } from "./scene.ts";

/** @param owner the core that owns each flow group @param chosen the packet to mark, or -1 */
export function drawPackets(pen: Pen, scene: Scene, owner: Uint8Array, chosen: number): void {
  for (const sprite of scene.sprites.values()) {
    if (sprite.wait > 0) continue;
    drawSprite(pen, sprite, colourOf(pen, sprite, owner));
    if (sprite.packet.id === chosen) mark(pen, sprite);
  }
  pen.context.globalAlpha = 1;
}

function colourOf(pen: Pen, { packet }: Sprite, owner: Uint8Array): string {
  const { palette } = pen;
  if (packet.kind === "arp" || packet.kind === "other") return palette.ink3;
  if (packet.flow < 0 && packet.kind === "flood") return palette.alarm;
  const core = packet.core >= 0 ? packet.core : owner[packet.group];
  return palette.cores[core] ?? palette.ink2;
}

function drawSprite(pen: Pen, sprite: Sprite, colour: string): void {
  const { context, palette } = pen;
  const { packet } = sprite;
  const x = pen.x(sprite.u, sprite.v);
  const y = pen.y(sprite.u, sprite.v);
  context.globalAlpha = Math.min(1, sprite.presence);
  context.beginPath();
  if (sprite.ended && packet.fate !== "done") {
    trace(context, "cross", x, y, 8, pen.upright);
    context.strokeStyle = palette.alarm;
    context.lineWidth = 2;
    context.stroke();
    return;
  }
  const shape = SHAPES[packet.kind];
  trace(context, shape, x, y, lengthOf(packet), pen.upright);
  if (shape === "ring" || packet.again) {
    context.fillStyle = palette.plate;
    context.fill();
    context.strokeStyle = colour;
    context.lineWidth = 1.75;
    context.stroke();
    return;
  }
  context.fillStyle = colour;
  context.fill();
}

function mark(pen: Pen, sprite: Sprite): void {
  const { context, palette } = pen;
  context.beginPath();
  context.arc(pen.x(sprite.u, sprite.v), pen.y(sprite.u, sprite.v), 11, 0, 2 * Math.PI);
  context.strokeStyle = palette.ink;
  context.lineWidth = 1.5;
  context.stroke();
}
