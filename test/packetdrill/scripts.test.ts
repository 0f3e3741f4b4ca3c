/** Our own scripts, each named for what it shows, on both builds of the kernel. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { kernels } from "../support/kernels.ts";
import { scriptsOf } from "./files.ts";
import { formatVerdict } from "./report.ts";
import { DEFAULT_DEFINITIONS, judgeFile } from "./verdict.ts";

const directory = fileURLToPath(new URL("scripts", import.meta.url));
const scripts = scriptsOf([directory]).map((path) => [relative(directory, path), path] as const);

describe.each(kernels)("on the $name kernel", ({ module }) => {
  test.each(scripts)("%s", (_name, path) => {
    const verdict = judgeFile(path, {
      kernel: module,
      definitions: DEFAULT_DEFINITIONS,
      level: "exact",
      strict: true,
    });
    expect(verdict.verdict, formatVerdict(verdict)).toBe("PASS");
  });
});
