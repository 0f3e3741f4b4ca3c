/** Running several experiments: one that fails does not keep the others from running. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, expect, it, vi } from "vitest";
import { defineExperiment } from "../../bench/lib/experiment.ts";
import { readResults, single } from "../../bench/lib/results.ts";
import type * as Run from "../../bench/run.ts";

const DIST = new URL("../../dist/bench/run.js", import.meta.url);

afterEach(() => vi.restoreAllMocks());

it("goes on after a failure, names it in the summary and ends with exit code 1", async () => {
  const { runSeveral } = (await import(DIST.href)) as typeof Run;
  const results = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
  const seen: object[] = [];
  const common = { description: "a test", examples: [], charts: [] };
  const broken = defineExperiment({
    ...common,
    name: "broken",
    options: (command) => command,
    run: () => Promise.reject(new Error("out of luck")),
  });
  const whole = defineExperiment<{ n: number }>({
    ...common,
    name: "whole",
    options: (command) => command.option("--n <n>", "a number", Number, 7),
    bounded: { n: 3 },
    run(options, reporter) {
      seen.push(options);
      reporter.record({ system: "ixwasm", params: { n: options.n }, metrics: single({ rate: 1 }) });
      return Promise.resolve();
    },
  });
  vi.spyOn(console, "log").mockReturnValue();
  const complaints = vi.spyOn(console, "error").mockReturnValue();
  try {
    await runSeveral([broken, whole], { results, profile: false }, "bounded");
    expect(process.exitCode).toBe(1);
    expect(complaints.mock.calls).toEqual([["failed: broken: broken: out of luck"]]);
    expect(seen).toEqual([{ n: 3 }]);
    const [line] = readResults(results);
    expect(line).toMatchObject({ experiment: "whole", params: { n: 3 }, simulated: false });
  } finally {
    process.exitCode = 0;
    rmSync(results, { recursive: true, force: true });
  }
});
