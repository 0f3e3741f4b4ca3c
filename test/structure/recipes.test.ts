/** The README's recipes are the programs in examples/recipes, and they run. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { certificate } from "../support/certificate.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const shown = Array.from(
  read("README.md").matchAll(/```ts\n([\s\S]*?)```/g),
  ([, program]) => program,
);

/** What each of them prints. */
const prints: Record<string, string> = {
  http: "you asked for /news",
  https: "between us",
  pg: "[ { answer: 42 } ]",
  undici: "{ answer: 42 }",
  ws: "echo of hello",
};

test("every recipe is tested", () => {
  const names = readdirSync(new URL("examples/recipes", root)).map((file) => file.slice(0, -3));
  expect(names.toSorted()).toEqual(Object.keys(prints));
});

test.each(Object.keys(prints))("the README shows examples/recipes/%s.ts", (name) => {
  const source = read(`examples/recipes/${name}.ts`);
  const program = source.slice(source.indexOf("import "));
  expect(shown).toContain(program.replace("../../host/node/net/index.ts", "ixwasm/net"));
});

test.each(Object.entries(prints))("examples/recipes/%s.ts runs, and ends", async (name, line) => {
  const folder = mkdtempSync(join(tmpdir(), "recipe-"));
  try {
    const { key, cert } = certificate();
    writeFileSync(join(folder, "key.pem"), key);
    writeFileSync(join(folder, "cert.pem"), cert);
    const program = fileURLToPath(new URL(`dist/examples/recipes/${name}.js`, root));
    const { stdout } = await promisify(execFile)(process.execPath, [program], {
      cwd: folder,
      timeout: 20_000,
    });
    expect(stdout.trim()).toBe(line);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
