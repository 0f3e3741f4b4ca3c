/** Changing the batch bound B of a dataplane that runs: a word of its configuration, read by new instances. */
import { CFG_BATCH, CONFIG_BASE } from "../../assembly/abi.ts";
import type { Dataplane, ElasticThread } from "../../host/index.ts";

/** Writes the bound down, for instances of the kernel that are made from now on. */
export function writeBatch({ memory }: Pick<Dataplane, "memory">, batch: number): void {
  Atomics.store(new Uint32Array(memory.buffer), (CONFIG_BASE + CFG_BATCH) >>> 2, batch);
}

/** Does so, and has the threads go on with new instances; connections and all else stay as they are. */
export function setBatch(
  dataplane: Dataplane,
  batch: number,
  threads: readonly ElasticThread[],
  kernel: WebAssembly.Module,
  now: number,
): void {
  writeBatch(dataplane, batch);
  for (const thread of threads) thread.upgrade(kernel, now);
}
