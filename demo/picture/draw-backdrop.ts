/** What of the picture stands still between two changes of the layout or of who owns what. */
import { FLOW_GROUPS, type Scenario, type Snapshot } from "../engine/messages.ts";
import { bitRate, percent, time } from "../page/numbers.ts";
import { cellOf, type Layout, type Row } from "./geometry.ts";
import { wayEnd } from "./paths.ts";
import type { Pen } from "./pen.ts";

export function drawBackdrop(
  pen: Pen,
  layout: Layout,
  snapshot: Snapshot | undefined,
  scenario: Scenario,
): void {
  pen.context.clearRect(0, 0, layout.width, layout.height);
  if (!layout.upright) drawHeadings(pen, layout);
  drawLink(pen, layout, scenario);
  drawCard(pen, layout);
  if (snapshot !== undefined) drawFan(pen, layout, snapshot);
  for (const row of layout.rows) drawRow(pen, layout, row);
  drawBoundary(pen, layout);
}

function drawHeadings(pen: Pen, layout: Layout): void {
  const row = layout.rows[0];
  const heading = (text: string, u: number, room: number): void =>
    pen.text(text, u, 20, { colour: pen.palette.ink, size: 12, weight: 600, room });
  heading("Clients", layout.clients.u, 120);
  heading("Link", layout.link.u, 120);
  heading("NIC", layout.nic.u, 120);
  heading("Rings", row.rx.u, 120);
  heading("Kernel, run to completion", row.receive.u, row.eventArray.u - row.receive.u);
  heading("Arrays", row.eventArray.u, row.eventArray.du + 10);
  heading("App", row.app.u, 120);
}

function drawLink(pen: Pen, layout: Layout, scenario: Scenario): void {
  const { link, palette } = { link: layout.link, palette: pen.palette };
  const end = link.u + link.du;
  for (const lane of [layout.inLane, layout.outLane]) {
    pen.line(link.u, lane - 7, end, lane - 7, palette.line);
    pen.line(link.u, lane + 7, end, lane + 7, palette.line);
  }
  if (layout.upright) return;
  const label = { colour: palette.ink3, size: 11 };
  pen.text("requests →", link.u, layout.inLane - 18, label);
  pen.text("← answers", link.u, layout.outLane - 18, label);
  linkFacts(scenario).forEach((fact, index) => {
    pen.text(fact, link.u, layout.inLane + 24 + 17 * index, { ...label, colour: palette.ink2 });
  });
}

/** What the link is like, a line each. */
export function linkFacts({ delay, jitter, loss, reorder, rate }: Scenario): string[] {
  const facts = [`${time(delay)} each way`];
  if (jitter > 0) facts.push(`up to ${time(jitter)} more`);
  if (loss > 0) facts.push(`loses ${percent(loss)}`);
  if (reorder > 0) facts.push(`reorders ${percent(reorder)}`);
  if (rate > 0) facts.push(bitRate(rate));
  return facts;
}

function drawCard(pen: Pen, layout: Layout): void {
  const { nic, hash, reta, outLane } = layout;
  const { palette, context } = pen;
  pen.frame(nic, palette.line2);
  pen.line(nic.u, outLane - 13, nic.u + nic.du, outLane - 13, palette.line);
  context.beginPath();
  context.arc(pen.x(hash.u, hash.v), pen.y(hash.u, hash.v), hash.radius, 0, 2 * Math.PI);
  context.strokeStyle = palette.line2;
  context.lineWidth = 1;
  context.stroke();
  pen.text("hash", hash.u, hash.v, { size: 10, align: "center", colour: palette.ink2 });
  if (layout.upright) return;
  pen.text("RSS", hash.u, hash.v - hash.radius - 10, { size: 11, align: "center" });
  pen.text("RETA", reta.u, reta.v - 12, { size: 11 });
  const middle = nic.u + nic.du / 2;
  pen.text("TX", middle, outLane, { size: 10, align: "center", colour: palette.ink3 });
}

/** A thread from the entry of each flow group in use to its core: hash on the left, queue on the right. */
function drawFan(pen: Pen, layout: Layout, { groups }: Snapshot): void {
  const { context, palette } = pen;
  const out = layout.nic.u + layout.nic.du;
  context.lineWidth = 1;
  for (let group = 0; group < FLOW_GROUPS; group++) {
    if (groups.connections[group] === 0) continue;
    const row = layout.rows[groups.reta[group]];
    const cell = cellOf(layout, group);
    context.globalAlpha = 0.28;
    context.strokeStyle = palette.cores[groups.reta[group]];
    context.beginPath();
    pen.curve(layout.hash.u + layout.hash.radius, layout.hash.v, cell.u, cell.v + cell.dv / 2);
    pen.curve(out, wayEnd(layout, group), row.rx.u, row.inwards);
    context.stroke();
  }
  context.globalAlpha = 0.4;
  context.strokeStyle = palette.line2;
  context.beginPath();
  for (const row of layout.rows) {
    if (!row.folded) pen.curve(row.tx.u, row.outwards, out, layout.outLane);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function drawRow(pen: Pen, layout: Layout, row: Row): void {
  const { palette } = pen;
  if (row.core > 0 && !layout.upright) {
    const { box } = row;
    pen.line(box.u, Math.round(box.v) - 1.5, box.u + box.du, Math.round(box.v) - 1.5, palette.line);
  }
  if (row.folded) return;
  const parts = [row.receive, row.protocols, row.timers, row.transmit, row.calls, row.app];
  for (const part of parts) pen.paint(part, palette.well);
  for (const array of [row.rx, row.tx, row.eventArray, row.callArray]) {
    pen.frame(array, palette.line);
  }
  drawTurn(pen, row);
}

/** From the end of an iteration to the beginning of the next. */
function drawTurn(pen: Pen, row: Row): void {
  if (row.receive.dv < 14) return;
  const { context, palette } = pen;
  const u = row.receive.u - 2;
  const from = row.transmit.v + row.transmit.dv / 2;
  const to = row.receive.v + row.receive.dv / 2;
  const reach = 9;
  context.beginPath();
  context.moveTo(pen.x(u, from), pen.y(u, from));
  context.bezierCurveTo(
    pen.x(u - reach, from),
    pen.y(u - reach, from),
    pen.x(u - reach, to),
    pen.y(u - reach, to),
    pen.x(u, to),
    pen.y(u, to),
  );
  context.moveTo(pen.x(u - 5, to - 3), pen.y(u - 5, to - 3));
  context.lineTo(pen.x(u, to), pen.y(u, to));
  context.lineTo(pen.x(u - 5, to + 4), pen.y(u - 5, to + 4));
  context.strokeStyle = palette.ink3;
  context.lineWidth = 1.25;
  context.stroke();
}

/** What the application cannot get past. */
function drawBoundary(pen: Pen, layout: Layout): void {
  const { rows, boundary } = layout;
  const last = rows[rows.length - 1];
  const from = rows[0].box.v - (layout.upright ? 0 : 8);
  pen.dashes(boundary, from, boundary, last.box.v + last.box.dv, pen.palette.line2);
}
