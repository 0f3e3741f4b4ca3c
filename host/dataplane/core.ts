/**
 * One core of a dataplane: its control block, and an instance of the kernel bound to it. An instance
 * belongs to one thread; on another thread the same core is made anew from the dataplane's handle.
 */
import {
  CORE_ATTACHED,
  CORE_DEADLINE,
  CORE_HAS_DEADLINE,
  CORE_SIZE,
  RC_OK,
  CFG_CORE_BLOCKS,
  CONFIG_BASE,
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
  readonly #module: WebAssembly.Module;
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
   * Makes the instance and binds it to the control block; the NIC can deliver from here on. Once in
   * the life of the dataplane, on the thread that will poll.
   *
   * @param now µs
   */
  attach(now: number): KernelExports {
    // In shared memory, so that a second thread is refused as well.
    if (Atomics.exchange(this.#words, (this.block + CORE_ATTACHED) >>> 2, 1) !== 0) {
      throw new StateError(`core ${this.id} has been attached already`);
    }
    const kernel = instantiateKernel(this.#module, this.memory);
    const code = kernel.attach(this.id, now);
    if (code !== RC_OK) throw new KernelError(`core ${this.id} cannot attach: ${codeName(code)}`);
    this.#kernel = kernel;
    return kernel;
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
}
