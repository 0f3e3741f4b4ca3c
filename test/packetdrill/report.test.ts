/** Verdicts as text, as JSON and as the list of what does not pass. */
import { describe, expect, test } from "vitest";
import { conformanceSection } from "./conformance.ts";
import { formatSummary, formatVerdict, toJson } from "./report.ts";
import type { Verdict } from "./verdict.ts";

const PASS: Verdict = { path: "a/one.pkt", verdict: "PASS", level: "exact", reason: "" };
const FAIL: Verdict = {
  path: "a/two.pkt",
  verdict: "FAIL",
  level: "exact",
  reason: "length is 3",
  line: 7,
  expected: "+0 > . 1:1(0) ack 1",
  actual: "0.100000 > . 1:4(3) ack 1 win 500",
};
const UNSUPPORTED: Verdict = {
  path: "b/three.pkt",
  verdict: "UNSUPPORTED",
  level: "exact",
  reason: "system call pipe",
  ineligible: "calls on files and pipes",
};
const ALL = [PASS, FAIL, UNSUPPORTED];

describe("text", () => {
  test("a failure shows its line, what was expected and what happened", () => {
    expect(formatVerdict(PASS)).toBe("PASS        a/one.pkt");
    expect(formatVerdict(UNSUPPORTED)).toBe("UNSUPPORTED b/three.pkt: system call pipe");
    expect(formatVerdict(FAIL).split("\n")).toEqual([
      "FAIL        a/two.pkt:7: length is 3",
      "            expected  +0 > . 1:1(0) ack 1",
      "            actual    0.100000 > . 1:4(3) ack 1 win 500",
    ]);
  });

  test("the summary counts", () => {
    expect(formatSummary(ALL, "exact")).toBe(
      "exact: 1 of 3 pass, 1 fail, 1 unsupported; 1 of 2 eligible pass (50.0 %)",
    );
  });
});

test("JSON holds a summary and every script", () => {
  expect(JSON.parse(toJson(ALL))).toEqual({
    summary: { total: 3, pass: 1, fail: 1, unsupported: 1, eligible: 2, eligiblePass: 1 },
    scripts: [
      { path: "a/one.pkt", verdict: "PASS", level: "exact", reason: "" },
      { path: "a/two.pkt", verdict: "FAIL", level: "exact", reason: "length is 3" },
      { ...UNSUPPORTED },
    ],
  });
});

test("the list groups by reason, and names a directory once when all of it is in a group", () => {
  const others = [1, 2].map((number): Verdict => ({ ...UNSUPPORTED, path: `r/c/${number}.pkt` }));
  const verdicts = [
    ...ALL.map((verdict) => ({ ...verdict, path: `r/${verdict.path}` })),
    ...others,
  ];
  expect(conformanceSection("r", "r", verdicts).split("\n")).toEqual([
    "## r",
    "",
    "1 of 5 pass, 1 fail, 3 are unsupported; 1 of 2 eligible pass (50.0 %).",
    "",
    "### Not eligible (3)",
    "",
    "calls on files and pipes (3):",
    "",
    "- `b/`: `three`",
    "- `c/`: all 2",
    "",
    "### UNSUPPORTED: system call pipe (3)",
    "",
    "- `b/`: `three`",
    "- `c/`: all 2",
    "",
    "### FAIL: length is another (1)",
    "",
    "- `a/`: `two`",
    "",
  ]);
});
