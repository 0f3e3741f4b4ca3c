/** The scripts that do not pass, by reason: what CONFORMANCE.md lists. Paths and verdicts only. */
import { basename, dirname, relative } from "node:path";
import { formatEligible, summarize } from "./report.ts";
import type { Verdict } from "./verdict.ts";

/**
 * A section of Markdown for the verdicts on the scripts below `root`. A directory of which all scripts
 * have one reason is one entry.
 */
export function conformanceSection(
  title: string,
  root: string,
  verdicts: readonly Verdict[],
): string {
  const { total, pass, fail, unsupported } = summarize(verdicts);
  const sizes = countBy(verdicts, ({ path }) => dirname(path));
  const groups = groupBy(
    verdicts.filter(({ verdict }) => verdict !== "PASS"),
    ({ verdict, reason }) => `${verdict}: ${kindOf(reason)}`,
  );
  const lines = [
    `## ${title}`,
    "",
    `${pass} of ${total} pass, ${fail} fail, ${unsupported} are unsupported; ${formatEligible(verdicts)}.`,
    ...ineligibleLines(root, verdicts, sizes),
  ];
  for (const [heading, group] of sortedBySize(groups)) {
    lines.push("", `### ${heading} (${group.length})`, "", ...entries(root, group, sizes));
  }
  return `${lines.join("\n")}\n`;
}

/** The scripts that do not count, by the rule that says so. */
function ineligibleLines(
  root: string,
  verdicts: readonly Verdict[],
  sizes: ReadonlyMap<string, number>,
): string[] {
  const left = verdicts.filter(({ ineligible }) => ineligible !== undefined);
  if (left.length === 0) return [];
  const lines = ["", `### Not eligible (${left.length})`];
  for (const [reason, group] of sortedBySize(groupBy(left, (one) => one.ineligible!))) {
    lines.push("", `${reason} (${group.length}):`, "", ...entries(root, group, sizes));
  }
  return lines;
}

/** A reason without its numbers, so that alike ones stand together. */
function kindOf(reason: string): string {
  return reason
    .split("\n")[0]
    .replace(/^timing: .*/, "timing differs")
    .replace(/^(assertion fails): .*/, "$1")
    .replace(/^syntax, .*/, "syntax")
    .replace(/^the stack or the interpreter broke.*/, "the stack or the interpreter broke")
    .replace(/^setting while the stack runs: .*/, "setting while the stack runs")
    .replace(/^((?:length|result|window|value|msg_flags|SO_\w+|error) (?:is|are)) .*/, "$1 another")
    .replace(/^\d+ connections in /, "connections in ")
    .replace(/^TS ecr \d+/, "TS ecr")
    .replace(/[`*_<>]/g, "\\$&")
    .slice(0, 80);
}

function entries(
  root: string,
  group: readonly Verdict[],
  sizes: ReadonlyMap<string, number>,
): string[] {
  const byDirectory = groupBy(group, ({ path }) => dirname(path));
  return [...byDirectory].flatMap(([directory, inside]) => {
    const name = relative(root, directory) || ".";
    if (inside.length > 1 && inside.length === sizes.get(directory)) {
      return [`- \`${name}/\`: all ${inside.length}`];
    }
    const files = inside.map(({ path }) => `\`${basename(path, ".pkt")}\``);
    return [`- \`${name}/\`: ${files.join(", ")}`];
  });
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  return new Map([...groupBy(items, key)].map(([name, group]) => [name, group.length]));
}

function sortedBySize<T>(groups: ReadonlyMap<string, T[]>): [string, T[]][] {
  return [...groups].toSorted(([, a], [, b]) => b.length - a.length);
}
