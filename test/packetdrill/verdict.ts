/** One script from its text to its verdict. */
import { readFileSync } from "node:fs";
import { ineligible } from "./eligibility.ts";
import { Mismatch, SyntaxFault, Unsupported } from "./language/errors.ts";
import { parseScript } from "./language/parser.ts";
import { Runner, type RunRules } from "./run/runner.ts";
import { applyOption, defaultSettings } from "./run/settings.ts";
import type { Level } from "./run/match.ts";

export type VerdictName = "PASS" | "FAIL" | "UNSUPPORTED";

export interface Verdict {
  readonly path: string;
  readonly verdict: VerdictName;
  readonly level: Level;
  /** What failed, or the construct that is not supported; "" for a pass. */
  readonly reason: string;
  /** Of a failure: the line of the script, what it expects, and what happened. */
  readonly line?: number;
  readonly expected?: string;
  readonly actual?: string;
  /** Why the script does not count in what is said of a suite (eligibility.ts). */
  readonly ineligible?: string;
}

export interface JudgeOptions extends RunRules {
  readonly kernel: WebAssembly.Module;
  readonly definitions: ReadonlyMap<string, string>;
}

/** What a script may find defined, as packetdrill's runners define it. */
export const DEFAULT_DEFINITIONS: ReadonlyMap<string, string> = new Map([
  ["TFO_COOKIE", "3021b9d889017eeb"],
  ["TFO_COOKIE_ZERO", "b7c12350a90dc8f5"],
  ["CMSG_LEVEL_IP", "SOL_IP"],
  ["CMSG_TYPE_RECVERR", "IP_RECVERR"],
  ["CODE", "host_unreachable"],
  ["STANDARD", "1"],
]);

/** Reads and judges the script in a file. */
export function judgeFile(path: string, options: JudgeOptions): Verdict {
  const source = readFileSync(path, "utf8");
  const reason = ineligible(path, source);
  const verdict = judge(path, source, options);
  return reason === undefined ? verdict : { ...verdict, ineligible: reason };
}

export function judge(path: string, source: string, options: JudgeOptions): Verdict {
  const { level } = options;
  try {
    const script = parseScript(path, source, options.definitions);
    const settings = defaultSettings(script);
    for (const option of script.options) applyOption(settings, option);
    new Runner(script, settings, options.kernel, options).run();
    return { path, verdict: "PASS", level, reason: "" };
  } catch (error) {
    return { path, level, ...explain(error) };
  }
}

function explain(error: unknown): Omit<Verdict, "path" | "level"> {
  if (error instanceof Unsupported) return { verdict: "UNSUPPORTED", reason: error.message };
  if (error instanceof SyntaxFault) {
    return { verdict: "UNSUPPORTED", reason: `syntax, ${error.message}` };
  }
  if (error instanceof Mismatch) {
    const { line, expected, actual, message } = error;
    return { verdict: "FAIL", reason: message, line, expected, actual };
  }
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { verdict: "FAIL", reason: `the stack or the interpreter broke: ${reason}` };
}
