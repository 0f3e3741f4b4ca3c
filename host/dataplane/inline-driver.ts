/**
 * Turns an inline runner while the thread's event loop goes on: a slice of steps, then whatever else
 * waits, then the next slice. Slices follow each other by messages, which come sooner than timers;
 * once nothing happens any more, by timers.
 */

/** The part of an inline runner that the driver needs. Times in µs. */
export interface Steppable {
  readonly now: number;
  step(): number;
  nextDeadline(): number;
}

/** How long a slice keeps the event loop waiting, µs. */
const SLICE = 2000;
/** Idle slices after which timers take over. */
const IDLE_SLICES = 20;
/** The longest sleep, ms: how late a frame from outside this thread may be noticed. */
const MAX_SLEEP = 1;

export class InlineDriver {
  /** Fulfilled after `stop`; rejected with what a step threw. */
  readonly done: Promise<void>;
  readonly #runner: Steppable;
  readonly #channel = new MessageChannel();
  #idleSlices = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resolve!: () => void;
  #reject!: (reason: unknown) => void;

  /** Begins at once. The event loop stays alive until `stop`. */
  constructor(runner: Steppable) {
    this.#runner = runner;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#channel.port1.onmessage = () => this.#slice();
    this.#channel.port2.postMessage(0);
  }

  stop(): void {
    this.#end();
    this.#resolve();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#channel.port1.onmessage = null;
    this.#channel.port1.close();
  }

  #slice(): void {
    const runner = this.#runner;
    let idle: boolean;
    try {
      idle = runner.step() === 0;
      const end = runner.now + SLICE;
      while (!idle && runner.now < end) idle = runner.step() === 0;
    } catch (error) {
      this.#end();
      this.#reject(error);
      return;
    }
    this.#idleSlices = idle ? this.#idleSlices + 1 : 0;
    if (this.#idleSlices < IDLE_SLICES) {
      this.#channel.port2.postMessage(0);
      return;
    }
    const wait = Math.min((runner.nextDeadline() - runner.now) / 1000, MAX_SLEEP);
    this.#timer = setTimeout(() => this.#slice(), wait);
  }
}
