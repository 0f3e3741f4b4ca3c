/**
 * An elastic thread: what runs one core to completion, again and again.
 *
 *   poll       system calls → transmit → receive at most B → protocols → timers → events
 *   nic        frames the poll sent leave the tx ring; those others sent are in the rx ring already
 *   app        consumes all events, makes system calls, which the next poll runs
 *
 * `iterate` does this a bounded number of times, as long as the application answers, so that a batch
 * is through, from its packets to its replies on the wire, when it returns. The loop around it belongs
 * to whoever owns the thread, who can look at clocks and stop flags there.
 */
import { CORE_SYSCALL_COUNT, CORE_WORK } from "../../assembly/abi.ts";
import type { App, AppFactory } from "../libix/app.ts";
import { Ix } from "../libix/ix.ts";
import type { QueueBackend } from "../nic/types.ts";
import type { Core } from "./core.ts";
import type { KernelExports } from "./kernel.ts";

const ROUNDS = 3;

/** What runs on a core besides the kernel. */
export interface ElasticThreadOptions {
  /** What is behind each of the core's queue pairs. */
  readonly backends: readonly QueueBackend[];
  readonly app: AppFactory;
  /** Handed to the application as it is. */
  readonly options?: unknown;
  /** Takes the application's messages to whoever runs it. */
  readonly post?: (message: unknown) => void;
  /** Tell the network of the own address when the core starts. */
  readonly announce?: boolean;
  /** Most polls of an `iterate`. Default 3: one that receives, one that answers, and one to spare. */
  readonly rounds?: number;
}

export class ElasticThread {
  readonly core: Core;
  readonly ix: Ix;
  readonly app: App;
  readonly #backends: readonly QueueBackend[];
  readonly #kernel: KernelExports;
  readonly #words: Uint32Array;
  readonly #workWord: number;
  readonly #callsWord: number;
  readonly #rounds: number;
  #now: number;

  /** Attaches the core and starts the application on the calling thread, at `now` (µs). */
  constructor(core: Core, now: number, options: ElasticThreadOptions) {
    this.core = core;
    this.#now = now;
    this.#rounds = options.rounds ?? ROUNDS;
    this.#backends = options.backends;
    this.#words = new Uint32Array(core.memory.buffer);
    this.#workWord = (core.block + CORE_WORK) >>> 2;
    this.#callsWord = (core.block + CORE_SYSCALL_COUNT) >>> 2;
    const kernel = core.attach(now);
    this.#kernel = kernel;
    if (options.announce) kernel.announce();
    this.ix = new Ix(core.memory, core.block, () => kernel.dispatch(this.#now));
    this.app = options.app({
      ix: this.ix,
      core: core.id,
      options: options.options,
      post: options.post ?? discard,
    });
    this.app.start?.(this.ix);
  }

  /**
   * Runs what waits at `now` (µs, never less than before). Returns how much was done: frames moved,
   * packets processed, events consumed, system calls made. 0 means that until `nextDeadline` only a
   * frame from outside gives this core something to do.
   */
  iterate(now: number): number {
    this.#now = now;
    const backends = this.#backends;
    const words = this.#words;
    let work = 0;
    for (let round = 0; round < this.#rounds; round++) {
      const calls = words[this.#callsWord];
      const events = this.#kernel.poll(now);
      work += words[this.#workWord] + events + calls;
      for (let i = 0; i < backends.length; i++) work += backends[i].pump(now);
      if ((events | calls) === 0) break;
      this.app.handle(this.ix, now);
      const made = words[this.#callsWord];
      work += made;
      if (made === 0) break;
    }
    return work;
  }

  /** When `iterate` must run again even if no frame arrives, µs; Infinity: never. */
  nextDeadline(): number {
    let deadline = this.core.nextDeadline(this.#now);
    for (const backend of this.#backends) deadline = Math.min(deadline, backend.nextDeadline());
    return deadline;
  }

  /** Lets go of what the backends hold outside the dataplane. */
  close(): void {
    for (const backend of this.#backends) backend.close?.();
  }
}

function discard(): void {}
