/** `bench report`: the results of a folder as one HTML file. */
import { Command } from "commander";
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Experiment } from "../lib/experiment.ts";
import { readResults } from "../lib/results.ts";
import { rounded, tableText } from "../lib/text.ts";
import { RESULTS } from "../run.ts";
import { reportHtml } from "./page.ts";
import { shapesOf } from "./shapes.ts";

export function reportCommand(experiments: readonly Experiment[]): Command {
  return new Command("report")
    .description("draws the results as one HTML file, as `all` does at its end")
    .argument("[dir]", "folder of the results", RESULTS)
    .addHelpText("after", "\nExample:\n  npm run bench -- report bench/results/old")
    .action((directory: string) => writeReport(experiments, directory));
}

/** Writes report.html into the folder of the results, and says what of the paper's shapes holds. */
export function writeReport(experiments: readonly Experiment[], directory: string): void {
  const lines = readResults(directory);
  const file = path.join(directory, "report.html");
  writeFileSync(file, reportHtml(experiments, lines));
  const rows = shapesOf(lines).flatMap(({ claim, paper, bound, isMost, value, holds }) =>
    value === undefined
      ? []
      : [[claim, paper, `${isMost ? "≤" : "≥"} ${bound}`, rounded(value), holds ? "holds" : "no"]],
  );
  if (rows.length > 0) console.log(tableText(["ratio", "paper", "expected", "here", ""], rows));
  console.log(`The report: ${path.resolve(file)}`);
}
