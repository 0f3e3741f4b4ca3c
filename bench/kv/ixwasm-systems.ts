/** The memcached server on ixwasm, loaded by a dataplane. */
import { runTask } from "../lib/task.ts";
import { duration, type KvParams, type KvPoint, type KvSystem } from "./system.ts";
import type { KvTask } from "./task.ts";

export class IxwasmKv implements KvSystem {
  readonly name: string;
  readonly description: string;
  readonly #threaded: boolean;

  constructor(threaded: boolean) {
    this.#threaded = threaded;
    this.name = threaded ? "ixwasm threaded" : "ixwasm inline";
    this.description = threaded
      ? "server and load generator on a dataplane and a thread each"
      : "both dataplanes and NICs on one thread";
  }

  absence(): Promise<string | null> {
    return Promise.resolve(null);
  }

  measure(params: KvParams): Promise<KvPoint[]> {
    const task: KvTask = { params, threaded: this.#threaded };
    return runTask<KvPoint[]>(new URL("task.js", import.meta.url), task, 2 * duration(params));
  }
}
