/** ixwasm: both ends in one thread, or each core of both ends on a thread of its own. */
import { runTask } from "../lib/task.ts";
import { OPENING, WARMUP } from "./system.ts";
import type { EchoParams, EchoSample, EchoSystem } from "./system.ts";

/** Stages are measured for this long, s. */
const STAGES = 1;

abstract class IxwasmSystem implements EchoSystem {
  abstract readonly name: string;
  abstract readonly description: string;
  protected abstract readonly script: URL;

  prepare(): Promise<string | null> {
    return Promise.resolve(null);
  }

  measure(params: EchoParams): Promise<EchoSample> {
    const measuring = params.seconds + params.latency + STAGES;
    const seconds = measuring + 3 * (WARMUP + OPENING);
    return runTask<EchoSample>(this.script, params, seconds);
  }
}

export class IxwasmInline extends IxwasmSystem {
  readonly name = "ixwasm inline";
  readonly description = "both dataplanes and NICs on one thread";
  protected readonly script = new URL("inline-task.js", import.meta.url);
}

export class IxwasmThreaded extends IxwasmSystem {
  readonly name = "ixwasm threaded";
  readonly description = "a thread per core of each dataplane";
  protected readonly script = new URL("threaded-task.js", import.meta.url);
}
