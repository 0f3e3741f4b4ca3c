/** The README's test of a network is test/sim/recipe.test.ts, which runs. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the README shows test/sim/recipe.test.ts", () => {
  const section = read("README.md").split("## A network in a test")[1];
  const shown = /```ts\n([\s\S]*?)```/.exec(section)?.[1];
  const recipe = read("test/sim/recipe.test.ts");
  const program = recipe.slice(recipe.indexOf("import "));
  expect(shown).toBe(program.replace("../../host/node/sim/index.ts", "ixwasm/sim"));
});
