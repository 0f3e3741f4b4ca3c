/** An experiment's figures as a table under its plots: a row for each line of results. */
import type { ResultLine } from "../lib/results.ts";
import { grouped } from "../lib/text.ts";
import { escapeHtml } from "./html.ts";

/** Parameters that say how long and how often was measured. */
const EFFORT = new Set(["repeats", "seconds"]);
/** Tables longer than this are folded. */
const MOST_ROWS = 12;

export function tableHtml(lines: readonly ResultLine[]): string {
  const params = columnsOf(lines.map(({ params }) => params)).filter(
    (name) => !EFFORT.has(name) && distinct(lines, name) > 1,
  );
  const metrics = columnsOf(lines.map(({ metrics }) => metrics));
  const head = ["system", ...params, ...metrics].map((name) => `<th>${escapeHtml(name)}</th>`);
  const rows = lines.map((line) => {
    const cells = params.map((name) => `<td>${escapeHtml(String(line.params[name] ?? ""))}</td>`);
    const figures = metrics.map((name) => figureCell(line, name));
    const note = line.simulated ? ' <span class="simulated">simulated</span>' : "";
    return `<tr><th>${escapeHtml(line.system)}${note}</th>${[...cells, ...figures].join("")}</tr>`;
  });
  const table = `<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
  const open = lines.length <= MOST_ROWS ? " open" : "";
  const summary = `Figures: medians, least–greatest below (${lines.length} rows)`;
  return `<details${open}><summary>${summary}</summary>${table}</details>`;
}

/** How many values a parameter has where it is there. */
function distinct(lines: readonly ResultLine[], name: string): number {
  return new Set(lines.flatMap(({ params }) => (name in params ? [params[name]] : []))).size;
}

function columnsOf(objects: readonly object[]): string[] {
  return [...new Set(objects.flatMap((object) => Object.keys(object)))];
}

function figureCell({ metrics }: ResultLine, name: string): string {
  const figure = metrics[name];
  if (figure === undefined) return "<td></td>";
  const { median, min, max, values } = figure;
  const range = values.length > 1 ? `<small>${short(min)}–${short(max)}</small>` : "";
  return `<td>${short(median)}${range}</td>`;
}

/** About four digits. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000 || Number.isInteger(value)) return grouped(value);
  return size >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
