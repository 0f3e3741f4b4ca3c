/** ixwasm on Node: all of the isomorphic part, worker threads and TAP devices. */
import { createDataplane as create, type Dataplane } from "../dataplane/dataplane.ts";
import type { DataplaneOptions } from "../dataplane/options.ts";
import { loadKernelSync } from "./kernel.ts";

export * from "../index.ts";
export { loadKernel, loadKernelSync, type KernelBuild } from "./kernel.ts";
export {
  startThreaded,
  type Threaded,
  type ThreadedDataplane,
  type ThreadedOptions,
} from "./threaded.ts";
export { openTap, Tap, TapBackend, TapError } from "./tap.ts";
export type { TapCounters, TapErrorCode, TapOptions, TapWire } from "./tap.ts";

/**
 * Makes a dataplane with the package's own kernel, unless `options.kernel` is another. What it throws
 * is said in host/dataplane/dataplane.ts.
 */
export function createDataplane(options: DataplaneOptions): Dataplane {
  // What is no object of options is refused by the check of them.
  const isComplete = typeof options !== "object" || options === null || options.kernel;
  return create(isComplete ? options : { ...options, kernel: loadKernelSync() });
}
