/** Verdicts as people and as programs read them. */
import type { Verdict } from "./verdict.ts";

export interface Summary {
  readonly total: number;
  readonly pass: number;
  readonly fail: number;
  readonly unsupported: number;
  /** Scripts that count (eligibility.ts), and of them those that pass. */
  readonly eligible: number;
  readonly eligiblePass: number;
}

export function summarize(verdicts: readonly Verdict[]): Summary {
  const count = (name: Verdict["verdict"]): number =>
    verdicts.filter(({ verdict }) => verdict === name).length;
  const eligible = verdicts.filter((verdict) => verdict.ineligible === undefined);
  return {
    total: verdicts.length,
    pass: count("PASS"),
    fail: count("FAIL"),
    unsupported: count("UNSUPPORTED"),
    eligible: eligible.length,
    eligiblePass: eligible.filter(({ verdict }) => verdict === "PASS").length,
  };
}

/** `{summary, scripts}`: what `--json` writes. */
export function toJson(verdicts: readonly Verdict[]): string {
  const scripts = verdicts.map(({ path, verdict, level, reason, ineligible }) => ({
    path,
    verdict,
    level,
    reason,
    ineligible,
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

/** How many of the scripts that count pass. */
export function formatEligible(verdicts: readonly Verdict[]): string {
  const { eligible, eligiblePass } = summarize(verdicts);
  const percent = eligible === 0 ? 0 : (100 * eligiblePass) / eligible;
  return `${eligiblePass} of ${eligible} eligible pass (${percent.toFixed(1)} %)`;
}

export function formatSummary(verdicts: readonly Verdict[], level: string): string {
  const { total, pass, fail, unsupported } = summarize(verdicts);
  const all = `${level}: ${pass} of ${total} pass, ${fail} fail, ${unsupported} unsupported`;
  return `${all}; ${formatEligible(verdicts)}`;
}
