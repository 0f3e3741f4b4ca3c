/**
 * Takes the place of a core's thread that is gone: an elastic thread without an application, on the
 * thread of whoever runs the control plane. All it is for is that the core can give its flow groups
 * away (`Elasticity.contain`); then it gives the core back.
 */
import type { App } from "../libix/app.ts";
import type { PortHandle, QueueBackend } from "../nic/types.ts";
import type { Core } from "./core.ts";
import { ElasticThread } from "./elastic-thread.ts";

/** Polls in a row, before the calling thread's event loop has its turn. */
const POLLS = 64;

/** Runs on a core that is being rescued: nobody looks at its events. */
export const NOBODY: App = { handle: () => {} };

/** A core whose thread has ended in the middle of something, and what there is of it on this thread. */
export interface Orphan {
  readonly core: Core;
  /** The dataplane's port. */
  readonly port: PortHandle;
  /** What is behind each of the core's queue pairs from now on. */
  readonly backends: readonly QueueBackend[];
}

export class Rescuer {
  readonly #thread: ElasticThread;
  #releasing = false;
  #isOver = false;

  /**
   * Takes the core over at `now` (µs).
   *
   * @throws {KernelError} the kernel refuses
   */
  constructor({ core, port, backends }: Orphan, now: number) {
    this.#thread = new ElasticThread(core, now, {
      port,
      backends,
      app: () => NOBODY,
      rescue: true,
    });
  }

  /** True when the core was given back. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Gives the core back as soon as nothing of it is on its way. */
  release(): void {
    this.#releasing = true;
  }

  /** Polls the core at `now` (µs) until it has nothing to do, or others have their turn. Returns work done. */
  advance(now: number): number {
    if (this.#isOver) return 0;
    const thread = this.#thread;
    let work = 0;
    for (let i = 0; i < POLLS; i++) {
      const done = thread.iterate(now);
      work += done;
      if (done === 0) break;
    }
    if (!this.#releasing || !thread.isDrained) return work;
    thread.leave();
    this.close();
    return work + 1;
  }

  /** Lets go of the core, whatever is on its way. */
  close(): void {
    if (!this.#isOver) this.#thread.close();
    this.#isOver = true;
  }
}
