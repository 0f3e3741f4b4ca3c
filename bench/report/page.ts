/** The report: one HTML file with the plots, the tables and the statements, and nothing from outside. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { Experiment } from "../lib/experiment.ts";
import type { ResultLine, RunInfo } from "../lib/results.ts";
import { drawingsOf, type Bars, type Drawing, type Plot } from "./datasets.ts";
import { escapeHtml, scriptJson } from "./html.ts";
import { shapesOf, type Shape } from "./shapes.ts";
import { short, tableHtml } from "./table.ts";

/** The page for these results; experiments without any are left out. */
export function reportHtml(
  experiments: readonly Experiment[],
  lines: readonly ResultLine[],
): string {
  const plots: Plot[] = [];
  const present = experiments.filter(({ name }) =>
    lines.some(({ experiment }) => experiment === name),
  );
  const sections = present.map((experiment) => {
    const own = lines.filter((line) => line.experiment === experiment.name);
    return sectionHtml(experiment, own, plots);
  });
  const links = present.map(({ name }) => `<a href="#${name}">${name}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ixwasm: measured</title>
<style>${uPlotFile("uPlot.min.css")}</style>
<style>${ownFile("page.css")}</style>
</head>
<body>
<h1>ixwasm, measured</h1>
${runHtml(lines.map(({ run }) => run))}
<nav>${links.join(" ")}</nav>
${shapesHtml(shapesOf(lines))}
${sections.join("\n")}
<script type="application/json" id="plots">${scriptJson(plots)}</script>
<script>${uPlotFile("uPlot.iife.min.js")}</script>
<script type="module">${readFileSync(new URL("client.js", import.meta.url), "utf8")}</script>
</body>
</html>
`;
}

function runHtml(runs: readonly RunInfo[]): string {
  const machines = [...new Set(runs.map(({ machine }) => machine))];
  const commits = [...new Set(runs.map(({ commit }) => commit ?? "unknown"))];
  const dates = runs.map(({ date }) => date).toSorted();
  const version = runs[0].versions.ixwasm;
  const when = [dates[0], dates.at(-1)!].map((date) => date.slice(0, 16).replace("T", " "));
  return `<p class="run">${machines.map(escapeHtml).join("<br>")}<br>
ixwasm ${escapeHtml(version)}, commit ${escapeHtml(commits.join(", "))}; ${when[0]} to ${when[1]} UTC</p>
<p>Points are medians, the strokes through them go from the least to the greatest measurement.
What is grey is the paper's (Belay and others, OSDI 2014), measured on other machines with other
networks: compare shapes, not heights. Systems of one plot were measured in one run, in turn.</p>`;
}

function shapesHtml(shapes: readonly Shape[]): string {
  const known = shapes.filter(({ value }) => value !== undefined);
  if (known.length === 0) return "";
  const rows = known.map(({ claim, paper, bound, isMost, value, holds }) => {
    const verdict = holds ? '<span class="holds">holds</span>' : '<span class="fails">no</span>';
    const expected = `${isMost ? "≤" : "≥"} ${bound}`;
    const cells = [paper, expected, short(value!)].map((cell) => `<td>${escapeHtml(cell)}</td>`);
    return `<tr><th>${escapeHtml(claim)}</th>${cells.join("")}<td>${verdict}</td></tr>`;
  });
  return `<h2>What the paper shows, and what came of it here</h2>
<div class="scroll"><table><thead><tr><th>ratio</th><th>in the paper</th><th>expected</th><th>here</th><th></th></tr></thead>
<tbody>${rows.join("")}</tbody></table></div>`;
}

function sectionHtml(
  { name, figure, description, method, charts }: Experiment,
  lines: readonly ResultLine[],
  plots: Plot[],
): string {
  const drawings = charts.flatMap((chart) => drawingsOf(chart, lines));
  const figures = drawings.map((drawing) => figureHtml(drawing, plots));
  const simulated = lines.every((line) => line.simulated)
    ? ' <span class="simulated">simulated</span>'
    : "";
  const source = figure === undefined ? "" : ` <small>the paper: ${escapeHtml(figure)}</small>`;
  const how = method === undefined ? "" : `<p class="soft">${escapeHtml(method)}</p>`;
  return `<section id="${name}"><h2>${escapeHtml(name)}${source}${simulated}</h2>
<p>${escapeHtml(description)}</p>${how}
<div class="figures">${figures.join("\n")}</div>
${tableHtml(lines)}</section>`;
}

function figureHtml(drawing: Drawing, plots: Plot[]): string {
  const note = drawing.note === undefined ? "" : `<p class="soft">${escapeHtml(drawing.note)}</p>`;
  const title = `<h3>${escapeHtml(drawing.title)}</h3>${note}`;
  if (drawing.kind === "bars") return `<figure>${title}${barsHtml(drawing)}</figure>`;
  return `<figure>${title}<div data-plot="${plots.push(drawing) - 1}"></div></figure>`;
}

function barsHtml({ bars, unit }: Bars): string {
  const most = Math.max(...bars.map(({ high }) => high));
  const share = (value: number): string => `${((100 * value) / most).toFixed(1)}%`;
  const rows = bars.map(({ label, value, low, high, theirs, isBaseline, simulated }) => {
    const kind = theirs ? " theirs" : isBaseline ? " baseline" : "";
    const range =
      high > low
        ? `<div class="range" style="left:${share(low)};width:${share(high - low)}"></div>`
        : "";
    const note =
      simulated && !label.includes("simulated") ? ' <span class="simulated">simulated</span>' : "";
    return `<div class="bar${kind}"><span>${escapeHtml(label)}${note}</span><div class="track"><div class="fill" style="width:${share(value)}"></div>${range}</div><output>${short(value)}</output></div>`;
  });
  return `${rows.join("\n")}<p class="soft">${escapeHtml(unit)}</p>`;
}

function uPlotFile(name: string): string {
  const main = createRequire(import.meta.url).resolve("uplot");
  return readFileSync(path.join(path.dirname(main), name), "utf8");
}

/** Files that are not compiled are not copied to dist. */
function ownFile(name: string): string {
  return readFileSync(new URL(`../../../bench/report/${name}`, import.meta.url), "utf8");
}
