/** Profiles: what --profile leaves and says, and how self time is summed up. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hottest, profilesIn } from "../../bench/lib/profile.ts";
import { bench } from "./bench-command.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "ixwasm-bench-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("a profile", () => {
  it("is summed up by self time, without what was idle", () => {
    const node = (id: number, functionName: string, url = "") => ({
      id,
      callFrame: { functionName, url, lineNumber: 4 },
    });
    const nodes = [node(1, "(idle)"), node(2, "work", "file:///a/b/c.js"), node(3, "")];
    const file = join(directory, "a.cpuprofile");
    const samples = { samples: [1, 2, 3, 2], timeDeltas: [100, 20, 10, 10] };
    writeFileSync(file, JSON.stringify({ nodes, ...samples }));
    expect(hottest([file], 1)).toEqual([{ name: "work b/c.js:5", share: 0.75 }]);
    expect(hottest([file], 9)).toHaveLength(2);
  });

  it(
    "is left by every measuring process, with the stages in a table",
    { timeout: 60_000 },
    async () => {
      const results = join(directory, "results");
      const load = ["--rounds", "1", "--systems", "inline", "--seconds", "0.1", "--repeats", "1"];
      const { code, stdout } = await bench("rounds", ...load, "--profile", "--results", results);
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /ns a message, both ends .* nic .* receive .* tcp .* app .* send .* total/,
      );
      expect(stdout).toMatch(/self time of ixwasm's processes/);
      expect(profilesIn(join(results, "profiles"))).toHaveLength(1);
    },
  );
});
