/** The 128 entries of the RETA: each in its core's colour, bright while packets go through it. */
import { FLOW_GROUPS, type Snapshot } from "../engine/messages.ts";
import { cellOf, type Box, type Layout } from "./geometry.ts";
import type { Pen } from "./pen.ts";

/** How bright each entry is: jumps when packets came since the last look, and fades. */
export class Glow {
  readonly level = new Float32Array(FLOW_GROUPS);
  readonly #counted = new Float64Array(FLOW_GROUPS);

  take(packets: Float64Array): void {
    for (let group = 0; group < FLOW_GROUPS; group++) {
      if (packets[group] > this.#counted[group]) this.level[group] = 1;
      this.#counted[group] = packets[group];
    }
  }

  fade(seconds: number): void {
    const rest = Math.exp(-seconds * 3);
    for (let group = 0; group < FLOW_GROUPS; group++) this.level[group] *= rest;
  }
}

export function drawReta(
  pen: Pen,
  layout: Layout,
  { groups }: Snapshot,
  glow: Glow,
  selected: ReadonlySet<number>,
  cursor: number,
): void {
  const { palette } = pen;
  for (let group = 0; group < FLOW_GROUPS; group++) {
    const cell = inner(cellOf(layout, group));
    const used = groups.connections[group] > 0;
    const alpha = used ? 0.5 + 0.5 * glow.level[group] : 0.18;
    pen.paint(cell, palette.cores[groups.reta[group]], alpha);
    // On its way: the half that the old core still owns.
    if (groups.moving[group] !== 0) {
      pen.paint({ ...cell, du: cell.du / 2 }, palette.cores[groups.owner[group]]);
      pen.frame(cell, palette.ink);
    }
    if (selected.has(group)) pen.frame(grown(cell), palette.ink, 2);
  }
  if (cursor >= 0) pen.frame(grown(grown(inner(cellOf(layout, cursor)))), palette.ink, 2);
}

const inner = (cell: Box): Box => ({
  u: cell.u + 0.75,
  v: cell.v + 0.75,
  du: cell.du - 1.5,
  dv: cell.dv - 1.5,
});

const grown = (box: Box): Box => ({ u: box.u - 1, v: box.v - 1, du: box.du + 2, dv: box.dv + 2 });
