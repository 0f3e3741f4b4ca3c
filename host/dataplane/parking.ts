/**
 * How an idle elastic thread sleeps, and why no wake-up is lost. Sleeper and waker each write one word
 * and then read the other's; both stores and loads are sequentially consistent, so at least one of
 * them sees what the other wrote.
 *
 *   sleeper                                   waker (whoever delivers into an rx ring, sends mail
 *                                                    from another core, or gives a command)
 *   doorbell seen ← CORE_DOORBELL             rx producer ← n
 *   CORE_PARKED ← 1                           if CORE_PARKED = 1:
 *   if no rx ring has packets, no mail, …:        CORE_DOORBELL += 1, notify
 *     wait while CORE_DOORBELL = seen
 *   CORE_PARKED ← 0
 *
 * A thread of its own waits in `park`. A core that shares its thread with an event loop may not block
 * it: there `settle` does the first half and `woken` is a promise for the second.
 */
import {
  CORE_COMMAND,
  CORE_DOORBELL,
  CORE_MAIL,
  CORE_MESSAGES,
  CORE_PARKED,
  CORE_STOP,
  QUEUE_RX,
  RING_CONSUMER,
  RING_PRODUCER,
  STOP_LEAVE,
} from "../../assembly/abi.ts";

export class Parking {
  readonly #words: Int32Array;
  readonly #doorbell: number;
  readonly #parked: number;
  readonly #stop: number;
  readonly #messages: number;
  /** Words that are 0 while nobody wants anything of the core. */
  readonly #wishes: readonly number[];
  /** Word indices of each rx ring's producer and consumer. */
  readonly #rings: readonly (readonly [producer: number, consumer: number])[];

  /** `core` is the address of the core's control block, `queues` are those of its queue blocks. */
  constructor(memory: WebAssembly.Memory, core: number, queues: readonly number[]) {
    const words = new Int32Array(memory.buffer);
    this.#words = words;
    this.#doorbell = (core + CORE_DOORBELL) >>> 2;
    this.#parked = (core + CORE_PARKED) >>> 2;
    this.#stop = (core + CORE_STOP) >>> 2;
    this.#messages = (core + CORE_MESSAGES) >>> 2;
    this.#wishes = [CORE_STOP, CORE_MESSAGES, CORE_COMMAND, CORE_MAIL, CORE_MAIL + 4].map(
      (offset) => (core + offset) >>> 2,
    );
    this.#rings = queues.map((queue) => [
      words[(queue + QUEUE_RX + RING_PRODUCER) >>> 2] >>> 2,
      words[(queue + QUEUE_RX + RING_CONSUMER) >>> 2] >>> 2,
    ]);
  }

  /** True when the core's thread was asked to leave its loop. */
  get stopped(): boolean {
    return Atomics.load(this.#words, this.#stop) !== 0;
  }

  /** True when the core is to be given back then. */
  get isLeaving(): boolean {
    return Atomics.load(this.#words, this.#stop) === STOP_LEAVE;
  }

  /** True once when the thread was asked to look at its messages. */
  takeMessage(): boolean {
    if (Atomics.load(this.#words, this.#messages) === 0) return false;
    Atomics.store(this.#words, this.#messages, 0);
    return true;
  }

  /**
   * Sleeps until someone rings the doorbell, or for `micros` µs (Infinity: for ever). Only the core's
   * own thread may call this, and not on a page's main thread.
   */
  park(micros: number): void {
    const words = this.#words;
    const seen = Atomics.load(words, this.#doorbell);
    if (this.settle()) Atomics.wait(words, this.#doorbell, seen, micros / 1000);
    this.rise();
  }

  /** Says that the core sleeps from now on. False, and it does not, when there is something to do. */
  settle(): boolean {
    Atomics.store(this.#words, this.#parked, 1);
    if (!this.#isWanted() && !this.#hasPackets()) return true;
    this.rise();
    return false;
  }

  /** Says that the core is awake. */
  rise(): void {
    Atomics.store(this.#words, this.#parked, 0);
  }

  /**
   * Resolves when the doorbell is rung after this call, which must come before `settle`. Undefined
   * where the engine cannot tell.
   */
  woken(): Promise<unknown> | undefined {
    if (Atomics.waitAsync === undefined) return undefined;
    const seen = Atomics.load(this.#words, this.#doorbell);
    const { async, value } = Atomics.waitAsync(this.#words, this.#doorbell, seen);
    return async ? value : Promise.resolve();
  }

  #isWanted(): boolean {
    for (const word of this.#wishes) {
      if (Atomics.load(this.#words, word) !== 0) return true;
    }
    return false;
  }

  #hasPackets(): boolean {
    for (const [producer, consumer] of this.#rings) {
      if (Atomics.load(this.#words, producer) !== Atomics.load(this.#words, consumer)) return true;
    }
    return false;
  }
}
