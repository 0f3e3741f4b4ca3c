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
import {
  CFG_CORES,
  CONFIG_BASE,
  CORE_REQUEST,
  CORE_SYSCALL_COUNT,
  CORE_WORK,
  REQUEST_NONE,
} from "../../assembly/abi.ts";
import type { App, AppFactory } from "../libix/app.ts";
import { Ix } from "../libix/ix.ts";
import { Port } from "../nic/port.ts";
import type { PortHandle, QueueBackend } from "../nic/types.ts";
import { typeError } from "./checks.ts";
import { CoreControl } from "./core-control.ts";
import type { Core } from "./core.ts";
import type { KernelExports } from "./kernel.ts";
import { queueFor } from "./queues.ts";

const ROUNDS = 3;

/** What runs on a core besides the kernel. */
export interface ElasticThreadOptions {
  /** The dataplane's port, whose RETA is rewritten when flow groups leave this core. */
  readonly port: PortHandle;
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
  /** The core's thread has ended in the middle of something: take its place. */
  readonly rescue?: boolean;
}

export class ElasticThread {
  readonly core: Core;
  readonly ix: Ix;
  readonly app: App;
  readonly #backends: readonly QueueBackend[];
  readonly #port: Port;
  readonly #control: CoreControl;
  #kernel: KernelExports;
  readonly #words: Uint32Array;
  readonly #workWord: number;
  readonly #callsWord: number;
  readonly #rounds: number;
  readonly #requestWord: number;
  /** A number from the beginning: a field that was undefined before gets a new object with each value. */
  #now = 0;
  /** What the last iteration did. */
  #work = 1;
  /** When no frame comes by the old RETA any more, once it was rewritten for a migration. */
  #steeredAt: number | undefined;

  /**
   * Attaches the core and starts the application on the calling thread, at `now` (µs). A core that was
   * given back is adopted: the application begins anew, all else goes on.
   */
  constructor(core: Core, now: number, options: ElasticThreadOptions) {
    if (typeof options.app !== "function") {
      throw typeError("app", "a function that makes the application of a core", options.app);
    }
    this.core = core;
    this.#now = now;
    this.#rounds = options.rounds ?? ROUNDS;
    this.#backends = options.backends;
    this.#port = new Port(options.port);
    this.#control = new CoreControl(core.memory, core.block);
    this.#words = new Uint32Array(core.memory.buffer);
    this.#workWord = (core.block + CORE_WORK) >>> 2;
    this.#callsWord = (core.block + CORE_SYSCALL_COUNT) >>> 2;
    this.#requestWord = (core.block + CORE_REQUEST) >>> 2;
    this.#kernel = options.rescue ? core.rescue(now) : core.attach(now);
    if (options.announce) this.#kernel.announce();
    this.ix = new Ix(core.memory, core.block, () => this.#kernel.dispatch(this.#now));
    this.app = options.app({
      ix: this.ix,
      core: core.id,
      options: options.options,
      post: options.post ?? discard,
    });
    if (typeof this.app?.handle !== "function") {
      throw typeError("app", "a function that returns an App, such as an Ixev", options.app);
    }
    this.app.start?.(this.ix);
  }

  /**
   * Runs what waits at `now` (µs, never less than before). Returns how much was done: frames moved,
   * packets processed, events consumed, system calls made. 0 means that until `nextDeadline` only a
   * frame from outside, or a command, gives this core something to do.
   */
  iterate(now: number): number {
    this.#now = now;
    const backends = this.#backends;
    const words = this.#words;
    let work = 0;
    for (let round = 0; round < this.#rounds; round++) {
      const calls = words[this.#callsWord];
      const events = this.#kernel.poll(now);
      if (words[this.#requestWord] !== REQUEST_NONE) work += this.#serve(now);
      work += words[this.#workWord] + events + calls;
      for (let i = 0; i < backends.length; i++) work += backends[i].pump(now);
      if ((events | calls) === 0) break;
      this.app.handle(this.ix, now);
      const made = words[this.#callsWord];
      work += made;
      if (made === 0) break;
    }
    this.#work = work;
    return work;
  }

  /** When `iterate` must run again even if no frame arrives, µs; Infinity: never. */
  nextDeadline(): number {
    let deadline = Math.min(this.core.nextDeadline(this.#now), this.#steeredAt ?? Infinity);
    for (const backend of this.#backends) deadline = Math.min(deadline, backend.nextDeadline());
    return deadline;
  }

  /** True when a backend brings frames from outside the process, which have to be asked for. */
  get polls(): boolean {
    return this.#backends.some((backend) => backend.wait !== undefined);
  }

  /**
   * True when nothing that this core has sent is held back any more: with its flow groups gone, its
   * thread may go too.
   */
  get isDrained(): boolean {
    return this.#work === 0 && this.#backends.every((b) => b.nextDeadline() === Infinity);
  }

  /**
   * Goes on with an instance of another kernel, between two iterations.
   *
   * @throws {KernelError} it does not fit; the present one goes on
   */
  upgrade(module: WebAssembly.Module, now: number): void {
    this.core.upgrade(module, now);
    this.#kernel = this.core.kernel;
  }

  /** Gives the core back: the application's objects in the kernel go, the core may be adopted. */
  leave(): void {
    this.#kernel.forget();
    this.core.leave();
  }

  /** Lets go of what the backends hold outside the dataplane. */
  close(): void {
    for (const backend of this.#backends) backend.close?.();
  }

  /** Rewrites the RETA for a migration and tells the kernel when that holds. Returns work done. */
  #serve(now: number): number {
    let work = 0;
    if (this.#steeredAt === undefined) {
      this.#steeredAt = now + this.#steer();
      work = 1;
    }
    // A sender that holds a queue is waited for as long as it takes; if its thread dies, the lock is freed.
    if (now < this.#steeredAt || !this.#port.settle()) return work;
    this.#steeredAt = undefined;
    this.#kernel.steered(now);
    return work + 1;
  }

  /** Points the groups that leave to queues of their target; µs until that holds for all frames. */
  #steer(): number {
    const { groups, target } = this.#control.underWay;
    const queues = this.#port.handle.queues.length;
    const cores = this.#words[(CONFIG_BASE + CFG_CORES) >>> 2];
    const changes = groups.map((group) => [group, queueFor(group, target, cores, queues)] as const);
    this.#port.updateReta(changes);
    let grace = 0;
    for (const backend of this.#backends) grace = Math.max(grace, backend.steer?.(changes) ?? 0);
    return grace;
  }
}

function discard(): void {}
