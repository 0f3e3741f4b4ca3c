/** `bench compare`: what a change has changed, beyond noise. */
import { Command } from "commander";
import { readResults, type ResultLine } from "../lib/results.ts";
import { rounded, tableText } from "../lib/text.ts";
import { ratiosOf, type Ratio } from "./ratios.ts";

interface CompareOptions {
  readonly all: boolean;
}

export function compareCommand(): Command {
  return new Command("compare")
    .description("the ratios of two runs, and which differ by more than noise")
    .argument("<old>", "results: a file, or a folder of them")
    .argument("<new>", "results of the other run")
    .option("--all", "also show what does not differ", false)
    .addHelpText(
      "after",
      [
        "",
        "A ratio is new by old, of the medians. In brackets: with five values or more on both sides the",
        "95 % interval by bootstrap, with fewer everything from the least to the greatest ratio.",
        "",
        "Example:",
        "  npm run bench -- batch --results bench/results/old",
        "  npm run bench -- batch --results bench/results/new",
        "  npm run bench -- compare bench/results/old bench/results/new",
      ].join("\n"),
    )
    .action(compare);
}

function compare(oldPath: string, newPath: string, { all }: CompareOptions): void {
  const old = readResults(oldPath);
  const fresh = readResults(newPath);
  const ratios = ratiosOf(old, fresh);
  if (ratios.length === 0) throw new Error("the two runs have no figure in common");
  console.log(describeRun("old", old));
  console.log(describeRun("new", fresh));
  const differing = ratios.filter(({ differs }) => differs);
  const shown = all ? ratios : differing;
  if (shown.length > 0) {
    const head = ["experiment, system", "metric", "old", "new", "new by old", "differs"];
    console.log(tableText(head, shown.map(rowOf)));
  }
  console.log(`${differing.length} of ${ratios.length} figures differ beyond noise.`);
}

function describeRun(name: string, lines: readonly ResultLine[]): string {
  const { date, machine, commit } = lines[0].run;
  return `${name}: ${date}, commit ${commit ?? "unknown"}, ${machine}`;
}

function rowOf({ experiment, system, params, metric, ...figures }: Ratio): string[] {
  const { old, new: fresh, ratio, low, high, differs } = figures;
  const which = Object.entries(params).map(([name, value]) => `${name} ${value}`);
  return [
    [`${experiment}, ${system}`, ...which].join(", "),
    metric,
    rounded(old.median),
    rounded(fresh.median),
    `${ratio.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
    differs ? (ratio > 1 ? "more" : "less") : "",
  ];
}
