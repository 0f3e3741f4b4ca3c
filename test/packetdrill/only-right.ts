/** Scripts that pass, and fail with one thing in them wrong. */
import { expect, test } from "vitest";
import { releaseKernel } from "../support/kernels.ts";
import { formatVerdict } from "./report.ts";
import type { Level } from "./run/match.ts";
import { DEFAULT_DEFINITIONS, judge, type Verdict } from "./verdict.ts";

export function run(script: string, { level = "exact" as Level, strict = false } = {}): Verdict {
  const options = { kernel: releaseKernel.module, definitions: DEFAULT_DEFINITIONS, level, strict };
  return judge("script", script, options);
}

/** Judges the script as it is, and then with each replacement. */
export function onlyRightIsTaken(
  script: string,
  wrong: readonly (readonly [what: string, right: string, wrong: string])[],
): void {
  test("passes as it is", () => {
    const verdict = run(script);
    expect(verdict.verdict, formatVerdict(verdict)).toBe("PASS");
  });
  test.each(wrong)("%s: %s → %s", (_what, right, replacement) => {
    const at = script.lastIndexOf(right);
    expect(at).toBeGreaterThanOrEqual(0);
    const changed = script.slice(0, at) + replacement + script.slice(at + right.length);
    const verdict = run(changed);
    expect(verdict.verdict, formatVerdict(verdict)).toBe("FAIL");
  });
}

export const LISTEN = `
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
`;

export const ACCEPTED = `${LISTEN}
   +0 < S 0:0(0) win 32792 <mss 1000,nop,nop,sackOK>
   +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>
  +.1 < . 1:1(0) ack 1 win 32792
   +0 accept(3, ..., ...) = 4
`;
