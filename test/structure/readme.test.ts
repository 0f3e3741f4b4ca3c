/** The README's program is the example of the same name, and it runs. */
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The program without its line breaks, which depend on the length of the import. */
const tokens = (program: string): string => program.replace(/\s+/g, "").replaceAll(",}", "}");

test("the README shows examples/first-message.ts", () => {
  const shown = /```ts\n(import [\s\S]*?)```/.exec(read("README.md"))?.[1];
  const example = read("examples/first-message.ts");
  const program = example.slice(example.indexOf("import {"));
  expect(tokens(shown ?? "")).toBe(tokens(program.replace("../host/node/index.ts", "ixwasm")));
});

test("examples/first-message.ts prints what was echoed", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await import("../../examples/first-message.ts");
    expect(log).toHaveBeenCalledWith(expect.stringContaining("hello, dataplane"));
  } finally {
    log.mockRestore();
  }
});
