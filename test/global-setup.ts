/**
 * Before any test: the kernel (build/debug.wasm, build/dataplane.wasm) and the JavaScript that worker
 * threads run (dist/) are made from the sources if they are missing or older. `npm test` has built
 * both already; this is for `vitest` run by hand. IXWASM_SKIP_BUILD=1 leaves everything as it is.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Time of the last change below `directory`, ms; 0 when there is nothing. */
function newest(directory: string): number {
  let latest = 0;
  for (const entry of readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".ts")) continue;
    latest = Math.max(latest, statSync(join(root, directory, entry)).mtimeMs);
  }
  return latest;
}

function builtAt(file: string): number {
  return statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * A build that fails does not stop the run: the tests that need no kernel are still worth running,
 * and the compiler's message stands above their results.
 */
function build(script: string): void {
  const result = spawnSync("npm", ["run", "--silent", script], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (result.status !== 0) console.error(`npm run ${script} failed; its last output is tested`);
}

export default function setup(): void {
  if (process.env.IXWASM_SKIP_BUILD) return;
  const kernel = newest("assembly");
  if (builtAt("build/debug.wasm") < kernel) build("build:debug");
  if (builtAt("build/dataplane.wasm") < kernel) build("build:release");
  const host = Math.max(newest("host"), newest("bench"), newest("examples"), kernel);
  if (builtAt("dist/host/node/worker.js") < host) build("build:host");
}
