/**
 * Finds and compiles the kernel in the package's build/ directory. The compiled modules are kept, and
 * shared with workers, so that code is compiled and optimised once for all cores.
 */
import { existsSync, readFileSync } from "node:fs";
import { KernelError } from "../dataplane/errors.ts";

export type KernelBuild = "release" | "debug";

/** The package's root, seen from host/node/ or from dist/host/node/. */
const PACKAGE_ROOT = new URL(
  import.meta.url.endsWith(".ts") ? "../../" : "../../../",
  import.meta.url,
);

const FILES: Record<KernelBuild, string> = {
  release: "build/dataplane.wasm",
  debug: "build/debug.wasm",
};

const modules = new Map<KernelBuild, WebAssembly.Module>();

/** URL of a file of the package, by its path from the root. */
export function packageFile(path: string): URL {
  return new URL(path, PACKAGE_ROOT);
}

/**
 * The kernel. The debug build checks its invariants and explains failures; it is for tests and is not
 * in the published package.
 *
 * @throws {KernelError} it has not been built
 */
export function loadKernelSync(build: KernelBuild = "release"): WebAssembly.Module {
  let module = modules.get(build);
  if (!module) {
    const file = packageFile(FILES[build]);
    if (!existsSync(file)) {
      throw new KernelError(`${file.pathname} does not exist; "npm run build" makes it`);
    }
    module = new WebAssembly.Module(readFileSync(file));
    modules.set(build, module);
  }
  return module;
}

/** The same as a promise, as outside Node; or the kernel from elsewhere. */
export async function loadKernel(url?: string | URL): Promise<WebAssembly.Module> {
  if (url === undefined) return loadKernelSync();
  const { loadKernel: load } = await import("../dataplane/load-kernel.ts");
  return new URL(url).protocol === "file:"
    ? WebAssembly.compile(readFileSync(new URL(url)))
    : load(url);
}
