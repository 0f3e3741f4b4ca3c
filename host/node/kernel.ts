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

const REMEDIES: Record<KernelBuild, string> = {
  release: 'in a checkout "npm run build" makes it, otherwise install the package again',
  debug: '"npm run build" makes it in a checkout; the package has the release build alone',
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
      throw new KernelError(`${file.pathname} does not exist: ${REMEDIES[build]}`);
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
  const at = urlOf(url);
  if (at.protocol !== "file:") return load(at);
  if (!existsSync(at)) throw new KernelError(`${at.pathname} does not exist`);
  return WebAssembly.compile(readFileSync(at));
}

function urlOf(url: string | URL): URL {
  try {
    return new URL(url);
  } catch (error) {
    const advice = `of a file it is new URL(${JSON.stringify(url)}, import.meta.url)`;
    throw new KernelError(`"${url}" is no URL: ${advice}`, { cause: error });
  }
}
