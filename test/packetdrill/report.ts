/** Verdicts as people and as programs read them. */
import type { Verdict } from "./verdict.ts";

export interface Summary {
  readonly total: number;
  readonly pass: number;
  readonly fail: number;
  readonly unsupported: number;
}

export function summarize(verdicts: readonly Verdict[]): Summary {
  const count = (name: Verdict["verdict"]): number =>
    verdicts.filter(({ verdict }) => verdict === name).length;
  return {
    total: verdicts.length,
    pass: count("PASS"),
    fail: count("FAIL"),
    unsupported: count("UNSUPPORTED"),
  };
}

/** `{summary, scripts}`: what `--json` writes. */
export function toJson(verdicts: readonly Verdict[]): string {
  const scripts = verdicts.map(({ path, verdict, level, reason }) => ({
    path,
    verdict,
    level,
    reason,
  }));
  return `${JSON.stringify({ summary: summarize(verdicts), scripts }, null, 2)}\n`;
}

/** One verdict: the script, and for a failure its line, what was expected and what happened. */
export function formatVerdict(verdict: Verdict): string {
  const { path, reason, line, expected, actual } = verdict;
  const head = `${verdict.verdict.padEnd(11)} ${path}`;
  if (verdict.verdict === "PASS") return head;
  if (line === undefined) return `${head}: ${reason}`;
  const lines = [`${head}:${line}: ${reason}`];
  if (expected !== undefined) lines.push(`            expected  ${expected}`);
  if (actual !== undefined) lines.push(`            actual    ${actual}`);
  return lines.join("\n");
}

export function formatSummary(verdicts: readonly Verdict[], level: string): string {
  const { total, pass, fail, unsupported } = summarize(verdicts);
  return `${level}: ${pass} of ${total} pass, ${fail} fail, ${unsupported} unsupported`;
}
