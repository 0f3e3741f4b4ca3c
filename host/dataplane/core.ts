/**
 * One core of a dataplane: its control block, and an instance of the kernel bound to it. An instance
 * belongs to one thread; on another thread the same core is made anew from the dataplane's handle.
 *
 * All of a core's state is in memory, so a core outlives its instances: one leaves between two polls
 * and another adopts the core, or takes its place on the same thread (`upgrade`).
 */
import {
  ATTACHED_BOUND,
  ATTACHED_LEFT,
  ATTACHED_NEVER,
  CFG_CORE_BLOCKS,
  CONFIG_BASE,
  CORE_ATTACHED,
  CORE_DEADLINE,
  CORE_HAS_DEADLINE,
  CORE_SIZE,
  RC_OK,
} from "../../assembly/abi.ts";
import { widen } from "./clock.ts";
import { codeName, KernelError, StateError } from "./errors.ts";
import { instantiateKernel, type KernelExports } from "./kernel.ts";

export class Core {
  /** Index within the dataplane. */
  readonly id: number;
  /** Address of the control block (`CORE_*` in abi.ts). */
  readonly block: number;
  readonly memory: WebAssembly.Memory;
  #module: WebAssembly.Module;
  readonly #words: Uint32Array;
  #kernel: KernelExports | undefined;

  /** The memory must have been configured, as `createDataplane` does. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, id: number) {
    this.id = id;
    this.memory = memory;
    this.#module = module;
    this.#words = new Uint32Array(memory.buffer);
    this.block = this.#words[(CONFIG_BASE + CFG_CORE_BLOCKS) >>> 2] + id * CORE_SIZE;
  }

  /**
   * Makes the instance and binds it to the control block; the NIC can deliver from here on. On the
   * thread that will poll. A core that another instance has left goes on where it was.
   *
   * @param now µs
   * @throws {StateError} another instance is bound to the core
   */
  attach(now: number): KernelExports {
    // In shared memory, so that a second thread is refused as well.
    if (this.#exchange(ATTACHED_NEVER, ATTACHED_BOUND)) {
      return this.#bind("attach", (kernel) => kernel.attach(this.id, now));
    }
    if (this.#exchange(ATTACHED_LEFT, ATTACHED_BOUND)) {
      return this.#bind("adopt", (kernel) => kernel.adopt(this.id, now));
    }
    throw new StateError(`core ${this.id} has been attached already`);
  }

  /**
   * The same for a core whose thread has ended in the middle of something. All it can do then is to
   * give its flow groups away; after `leave` it is as good as any.
   */
  rescue(now: number): KernelExports {
    return this.#bind("rescue", (kernel) => kernel.rescue(this.id, now));
  }

  /** Gives the core back, between two polls. */
  leave(): void {
    this.#kernel = undefined;
    this.#exchange(ATTACHED_BOUND, ATTACHED_LEFT);
  }

  /**
   * Puts an instance of another module in place of the present one, between two polls.
   *
   * @throws {KernelError} the module does not fit; the present instance goes on
   */
  upgrade(module: WebAssembly.Module, now: number): void {
    const before = this.kernel;
    const beforeModule = this.#module;
    this.#module = module;
    try {
      this.#bind("adopt", (kernel) => kernel.adopt(this.id, now));
    } catch (error) {
      this.#module = beforeModule;
      this.#kernel = before;
      throw error;
    }
  }

  /** The kernel's exports; throws a StateError before `attach`. */
  get kernel(): KernelExports {
    if (!this.#kernel) throw new StateError(`core ${this.id} is not attached`);
    return this.#kernel;
  }

  /** One iteration at `now` (µs). Returns how many events wait in the event array. */
  poll(now: number): number {
    return this.kernel.poll(now);
  }

  /** Runs the waiting system calls alone. */
  dispatch(now: number): void {
    this.kernel.dispatch(now);
  }

  /** When `poll` must run again at the latest, µs; Infinity when nothing is pending. */
  nextDeadline(now: number): number {
    const word = this.block >>> 2;
    if (this.#words[word + (CORE_HAS_DEADLINE >>> 2)] === 0) return Infinity;
    return widen(this.#words[word + (CORE_DEADLINE >>> 2)], now);
  }

  #bind(verb: string, call: (kernel: KernelExports) => number): KernelExports {
    const kernel = instantiateKernel(this.#module, this.memory);
    const code = call(kernel);
    if (code !== RC_OK) throw new KernelError(`core ${this.id} cannot ${verb}: ${codeName(code)}`);
    this.#kernel = kernel;
    return kernel;
  }

  #exchange(from: number, to: number): boolean {
    const word = (this.block + CORE_ATTACHED) >>> 2;
    return Atomics.compareExchange(this.#words, word, from, to) === from;
  }
}
