/** A square for each connection, in the colour of the core that serves it. */
import type { Snapshot } from "../engine/messages.ts";
import { grouped } from "../page/numbers.ts";
import { clientOf, type Layout } from "./geometry.ts";
import type { Pen } from "./pen.ts";
import type { Scene } from "./scene.ts";

/** How bright each connection is: jumps when an answer comes in, and fades. */
export class Answers {
  readonly #levels = new Map<number, number>();

  take(scene: Scene): void {
    for (const { packet, way, distance } of scene.sprites.values()) {
      if (packet.flow < 0) continue;
      const touches = packet.way === "in" ? distance < 8 : distance > way.length - 8;
      if (touches) this.#levels.set(packet.flow, 1);
    }
  }

  of(flow: number): number {
    return this.#levels.get(flow) ?? 0;
  }

  fade(seconds: number): void {
    const rest = Math.exp(-seconds * 4);
    for (const [flow, level] of this.#levels) {
      if (level < 0.02) this.#levels.delete(flow);
      else this.#levels.set(flow, level * rest);
    }
  }
}

/** Reasons that are named; the others are in the packets' own stories. */
const MOST_REASONS = 4;

/** Under the link's facts: what was lost or dropped so far, and why. */
export function drawDrops(pen: Pen, layout: Layout, { totals }: Snapshot, facts: number): void {
  if (layout.upright) return;
  const reasons = Object.entries(totals.drops).toSorted(([, a], [, b]) => b - a);
  const top = layout.inLane + 30 + 17 * facts;
  reasons.slice(0, MOST_REASONS).forEach(([reason, count], index) => {
    const v = top + 17 * index;
    const style = { size: 11, colour: pen.palette.alarm };
    pen.text(`✕ ${grouped(count)} ${reason}`, layout.link.u, v, { ...style, room: layout.link.du });
  });
}

export function drawClients(
  pen: Pen,
  layout: Layout,
  snapshot: Snapshot,
  answers: Answers,
  watched: number,
): void {
  const { palette } = pen;
  const { flows, groups } = snapshot;
  for (let flow = 0; flow < flows.length; flow++) {
    const square = clientOf(layout, flow);
    const group = flows[flow];
    if (group < 0) {
      pen.paint(square, palette.line);
      continue;
    }
    pen.paint(square, palette.cores[groups.owner[group]], 0.45 + 0.55 * answers.of(flow));
    if (flow === watched) {
      const { u, v, du, dv } = square;
      pen.frame({ u: u - 2, v: v - 2, du: du + 4, dv: dv + 4 }, palette.ink, 2);
    }
  }
}
