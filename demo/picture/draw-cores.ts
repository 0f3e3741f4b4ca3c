/** A core's row as it is now: its rings, the stage that runs, what the last iteration did. */
import type { CoreSnapshot, Migration, Snapshot, Stage } from "../engine/messages.ts";
import { meanBatch } from "../page/description.ts";
import type { Box, Layout, Row } from "./geometry.ts";
import type { Pen } from "./pen.ts";
import { slotWidth } from "./scene.ts";

const STAGE_NAMES: Record<Exclude<Stage, "app">, string> = {
  calls: "calls",
  transmit: "transmit",
  receive: "receive",
  protocols: "TCP/IP",
  timers: "timers",
};

/** How bright each stage of each core is: 1 while it runs, fading after. */
export class StageLights {
  readonly #levels = new Map<number, Record<Stage, number>>();

  of(core: number): Record<Stage, number> {
    let levels = this.#levels.get(core);
    if (levels === undefined) {
      levels = { calls: 0, transmit: 0, receive: 0, protocols: 0, timers: 0, app: 0 };
      this.#levels.set(core, levels);
    }
    return levels;
  }

  advance(cores: readonly CoreSnapshot[], now: number, seconds: number): void {
    const rest = Math.exp(-seconds * 7);
    for (const { core, iteration, iterations, idle, state } of cores) {
      const levels = this.of(core);
      for (const stage of Object.keys(levels) as Stage[]) levels[stage] *= rest;
      if (iteration === undefined || state !== "active") continue;
      for (const { stage, from, until } of iteration.stages) {
        if (until > from && now >= from && now <= until) levels[stage] = 1;
      }
      // At full speed all stages run thousands of times a frame: they show how busy the core is.
      if (iteration.stages.length === 0 && iterations > 0) fillAll(levels, 1 - idle);
    }
  }
}

function fillAll(levels: Record<Stage, number>, level: number): void {
  for (const stage of Object.keys(levels) as Stage[])
    levels[stage] = Math.max(levels[stage], level);
}

export function drawCores(
  pen: Pen,
  layout: Layout,
  snapshot: Snapshot,
  lights: StageLights,
  target: number,
): void {
  for (const row of layout.rows) {
    const core = snapshot.cores[row.core];
    if (core === undefined) continue;
    if (core.state === "dead") drawDead(pen, layout, row);
    else if (row.folded) drawSpare(pen, layout, row);
    else drawCore(pen, layout, row, core, lights.of(row.core));
    if (row.core === target) pen.frame(row.box, pen.palette.ink, 2);
  }
  for (const migration of snapshot.migrations) drawBacklogs(pen, layout, migration);
}

function drawCore(
  pen: Pen,
  layout: Layout,
  row: Row,
  core: CoreSnapshot,
  levels: Record<Stage, number>,
): void {
  const colour = pen.palette.cores[row.core];
  drawTitle(pen, layout, row, core);
  drawRing(pen, row.rx, core.rxDepth, core.ringSize, colour, true);
  drawRing(pen, row.tx, core.txDepth, core.ringSize, colour, false);
  const counts = core.iteration;
  const boxes: [Exclude<Stage, "app">, Box, number | undefined][] = [
    ["receive", row.receive, counts?.received],
    ["protocols", row.protocols, undefined],
    ["timers", row.timers, counts?.timers],
    ["transmit", row.transmit, counts?.sent],
    ["calls", row.calls, undefined],
  ];
  for (const [stage, box, count] of boxes) {
    pen.paint(box, colour, levels[stage] * 0.85);
    label(pen, layout, box, STAGE_NAMES[stage], count, levels[stage] > 0.55 ? row.core : -1);
  }
  drawArray(pen, row.eventArray, counts?.events ?? 0, colour, levels.app);
  drawArray(pen, row.callArray, counts?.calls ?? 0, colour, levels.calls);
  pen.paint(row.app, colour, levels.app * 0.85);
  const lit = levels.app > 0.55;
  const ink = lit ? pen.palette.onCores[row.core] : pen.palette.ink2;
  const [u, v] = [row.app.u + row.app.du / 2, row.app.v + row.app.dv / 2];
  pen.text("echo", u, v, { size: 11, align: "center", colour: ink });
}

/** A stage's name, and how many it had in the last iteration. */
function label(
  pen: Pen,
  layout: Layout,
  box: Box,
  name: string,
  count: number | undefined,
  litBy: number,
): void {
  // Narrow lanes have packets where names would be: the first row then names the columns for all.
  if (box.dv < 11 || (box.dv < 24 && box.v > layout.rows[0].tx.v && !layout.upright)) return;
  const colour = litBy >= 0 ? pen.palette.onCores[litBy] : pen.palette.ink2;
  const v = box.dv < 24 ? box.v + box.dv / 2 : box.v + 9;
  const room = box.du - 8;
  const size = layout.upright || box.dv < 15 ? 9.5 : 10.5;
  pen.text(name, box.u + 5, v, { size, colour, room, along: true });
  if (count === undefined || count === 0 || layout.upright || box.du < 74) return;
  const align = "right" as const;
  pen.text(String(count), box.u + box.du - 5, v, { size, weight: 600, colour, align });
}

function drawTitle(pen: Pen, layout: Layout, row: Row, core: CoreSnapshot): void {
  const { palette } = pen;
  if (layout.upright) {
    badge(pen, row, row.app.u + row.app.du / 2 + 14, row.app.v + row.app.dv / 2);
    return;
  }
  const v = row.box.v + 9;
  badge(pen, row, row.box.u + 7, v);
  const style = { size: 11, colour: palette.ink2 };
  pen.text(`${core.groups} groups`, row.box.u + 20, v, style);
  pen.text(`${Math.round(core.idle * 100)} % idle`, row.receive.u, v, style);
  const mean = meanBatch(core);
  if (mean === 0) return;
  const text = `${mean.toFixed(mean < 10 ? 1 : 0)} packets an iteration`;
  pen.text(text, row.receive.u + 68, v, style);
}

/** The core's number on its colour. */
function badge(pen: Pen, row: Row, u: number, v: number): void {
  pen.paint({ u: u - 7, v: v - 7, du: 14, dv: 14 }, pen.palette.cores[row.core]);
  const colour = pen.palette.onCores[row.core];
  pen.text(String(row.core), u, v, { size: 10.5, weight: 700, align: "center", colour });
}

/** Slots from the kernel backwards, filled as far as packets wait; the whole when it is very full. */
function drawRing(
  pen: Pen,
  box: Box,
  depth: number,
  size: number,
  colour: string,
  inwards: boolean,
): void {
  const slot = slotWidth(box.du);
  const slots = Math.floor(box.du / slot);
  for (let index = 1; index < slots; index++) {
    const u = inwards ? box.u + box.du - index * slot : box.u + index * slot;
    pen.line(u, box.v + 1, u, box.v + box.dv - 1, pen.palette.line);
  }
  if (depth === 0) return;
  // Packet by packet up to half of the slots; beyond, what share of the ring is full.
  const filled = depth <= slots / 2 ? depth : slots / 2 + (slots / 2) * (depth / size);
  const du = Math.min(box.du, filled * slot);
  const u = inwards ? box.u + box.du - du : box.u;
  pen.paint({ ...box, u, du }, colour, 0.3);
}

function drawArray(pen: Pen, box: Box, count: number, colour: string, level: number): void {
  const slots = 8;
  const slot = box.du / slots;
  const filled = Math.min(slots, count);
  for (let index = 0; index < filled; index++) {
    const cell = { u: box.u + index * slot + 1.5, v: box.v + 3, du: slot - 3, dv: box.dv - 6 };
    pen.paint(cell, colour, 0.25 + 0.75 * level);
  }
}

function drawSpare(pen: Pen, layout: Layout, row: Row): void {
  if (layout.upright) return;
  const v = row.box.v + row.box.dv / 2 - 1;
  const colour = pen.palette.ink3;
  pen.text(`Core ${row.core} is not in use`, row.box.u + 8, v, { size: 11, colour });
}

function drawDead(pen: Pen, layout: Layout, row: Row): void {
  const { palette } = pen;
  const v = row.box.v + row.box.dv / 2 - 1;
  for (const box of [row.receive, row.protocols, row.timers, row.transmit, row.calls, row.app]) {
    pen.line(box.u, box.v, box.u + box.du, box.v + box.dv, palette.alarm);
  }
  if (layout.upright) return;
  const text = `Core ${row.core} died; others took over`;
  pen.text(text, row.box.u + 8, v, { size: 11, weight: 600, colour: palette.alarm });
}

/** The two backlogs of a migration, at the end of either core's RX ring. */
function drawBacklogs(pen: Pen, layout: Layout, migration: Migration): void {
  const sides: [number, number, string][] = [
    [migration.from, migration.fromBacklog, "leaving"],
    [migration.to, migration.toBacklog, "arriving"],
  ];
  for (const [core, waiting, word] of sides) {
    const row = layout.rows[core];
    if (row === undefined || row.folded) continue;
    const box = {
      ...row.rx,
      u: row.rx.u + 2,
      du: row.rx.du - 4,
      v: row.rx.v + 2,
      dv: row.rx.dv - 4,
    };
    pen.paint(box, pen.palette.plate, 0.85);
    pen.frame(box, pen.palette.cores[migration.from], 2);
    const text = `${word}: ${waiting} wait`;
    pen.text(text, box.u + 6, box.v + box.dv / 2, {
      size: 10.5,
      weight: 600,
      colour: pen.palette.ink,
      along: true,
      room: box.du - 8,
    });
  }
}
