/** The README's recipes of the ways in are the examples of the same names, and they run. */
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The program without its line breaks, which depend on the length of the import. */
const tokens = (program: string): string => program.replace(/\s+/g, "").replaceAll(",}", "}");

const RECIPES = [
  { name: "streams", entry: "sockets", printed: /^hello, streams from 10\.0\.0\.1:7$/ },
  { name: "page", entry: "sockets", printed: /^hello, page$/ },
  { name: "datagrams", entry: "dgram", printed: /^hello, datagrams$/ },
];

test.each(RECIPES)("the README shows examples/ways/$name.ts", ({ name, entry }) => {
  const example = read(`examples/ways/${name}.ts`);
  const program = example
    .slice(example.indexOf("import {"))
    .replace(`../../host/node/${entry}/index.ts`, `ixwasm/${entry}`);
  expect(tokens(read("README.md"))).toContain(tokens(program));
});

test.each(RECIPES)("examples/ways/$name.ts runs", async ({ name, printed }) => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await import(`../../examples/ways/${name}.ts`);
    expect(log).toHaveBeenCalledWith(expect.stringMatching(printed));
  } finally {
    log.mockRestore();
  }
});
