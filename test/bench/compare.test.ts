/** Comparing two runs: ratios, how far they can be trusted, and what differs beyond noise. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ratiosOf } from "../../bench/compare/ratios.ts";
import { writeResults } from "../../bench/lib/results.ts";
import { bench } from "./bench-command.ts";
import { lineOf } from "./lines.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("ratios", () => {
  it("are of the medians, with everything between least and greatest for few values", () => {
    const [ratio] = ratiosOf(
      [lineOf({ rate: [90, 100, 110] })],
      [lineOf({ rate: [180, 200, 220] })],
    );
    expect(ratio).toMatchObject({ metric: "rate", ratio: 2, differs: true });
    expect(ratio.low).toBeCloseTo(180 / 110);
    expect(ratio.high).toBeCloseTo(220 / 90);
  });

  it("do not differ where the runs overlap", () => {
    const [ratio] = ratiosOf(
      [lineOf({ rate: [90, 100, 110] })],
      [lineOf({ rate: [95, 105, 115] })],
    );
    expect(ratio.differs).toBe(false);
  });

  it("have a bootstrap interval with many values, the same in every comparison", () => {
    const old = lineOf({ rate: [98, 99, 100, 100, 101, 102, 140] });
    const fresh = lineOf({ rate: [108, 109, 110, 110, 111, 112, 60] });
    const [ratio] = ratiosOf([old], [fresh]);
    expect(ratio.low).toBeGreaterThan(1);
    expect(ratio.high).toBeLessThan(140 / 98);
    expect(ratio.differs).toBe(true);
    expect(ratiosOf([old], [fresh])).toEqual([ratio]);
  });

  it("are of lines with the same parameters, however often they were measured", () => {
    const old = [
      lineOf({ rate: [1] }, { n: 1, repeats: 5 }),
      lineOf({ rate: [2] }, { n: 2, repeats: 5 }),
    ];
    const fresh = [lineOf({ rate: [4] }, { n: 2, repeats: 3 })];
    const ratios = ratiosOf(old, fresh);
    expect(ratios).toHaveLength(1);
    expect(ratios[0]).toMatchObject({ params: { n: 2 }, ratio: 2 });
  });
});

describe("bench compare", () => {
  it("prints what differs, and all when asked", async () => {
    const [old, fresh] = ["old", "new"].map((name) => join(directory, name));
    writeResults(old, "test", [lineOf({ rate: [10, 11, 12], steady: [1, 2, 3] })]);
    writeResults(fresh, "test", [lineOf({ rate: [20, 21, 22], steady: [2, 3, 4] })]);
    const differing = await bench("compare", old, join(fresh, "test.jsonl"));
    expect(differing.code).toBe(0);
    expect(differing.stdout).toMatch(/rate .* 1\.91 \(1\.67–2\.20\) .* more/);
    expect(differing.stdout).not.toMatch(/steady/);
    expect(differing.stdout).toContain("1 of 2 figures differ beyond noise.");
    expect((await bench("compare", "--all", old, fresh)).stdout).toMatch(/steady/);
  });

  it("says what is wrong with what it is given", async () => {
    const file = join(directory, "broken.jsonl");
    writeFileSync(file, "{}\n");
    const broken = await bench("compare", file, file);
    expect(broken).toMatchObject({ code: 1, stderr: `${file}:1: is no line of results\n` });
    const missing = await bench("compare", "nowhere", file);
    expect(missing).toMatchObject({
      code: 1,
      stderr: "nowhere: there is no such file or folder\n",
    });
  });
});
