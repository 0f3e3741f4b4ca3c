/**
 * Turns an inline runner while the thread's event loop goes on: a slice of steps, then whatever else
 * waits, then the next slice. Slices follow each other by messages, which come sooner than timers. Node
 * takes up to a thousand messages of a port before its loop turns, so two ports take turns: what one
 * posts to the other waits for the loop, and timers and sockets get their share.
 * Once nothing happens any more the cores sleep, and nothing is polled: the next slice comes with a
 * doorbell (a frame from another thread), with the next deadline, or by `wake`.
 */
import type { Parking } from "./parking.ts";

/** The part of an inline runner that the driver needs. Times in µs. */
export interface Steppable {
  readonly now: number;
  step(): number;
  nextDeadline(): number;
  /** The beds of its cores. */
  readonly parkings: readonly Parking[];
  /** True when frames come from outside the process, which rings no doorbell. */
  readonly polls: boolean;
}

/** How long a slice keeps the event loop waiting, and slices on one port, µs. */
const SLICE = 2000;
/** How long a runner in the middle of its work still holds a process that may end, µs: its last frames go out. */
const LINGER = 20_000;
/** Idle slices after which the cores sleep. */
const IDLE_SLICES = 3;
/** The longest sleep, ms, where no doorbell can end it. */
const POLL = 1;
/** Deadlines nearer than this, µs, are too near for the event loop's timers. */
const TIMER_RESOLUTION = 1000;
/** The longest delay that a timer takes, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What Node's ports and timers can do besides what a page's can. */
interface Referable {
  ref?(): unknown;
  unref?(): unknown;
}

export class InlineDriver {
  /** Fulfilled after `stop`; rejected with what a step threw. */
  readonly done: Promise<void>;
  readonly #runner: Steppable;
  readonly #channels = [new MessageChannel(), new MessageChannel()];
  /** Which of them carries the next slice, and since when, in the runner's time. */
  #turn = 0;
  #turnBegan = 0;
  #idleSlices = 0;
  #sleeping = false;
  #ended = false;
  /** Whether the process is to stay alive, and whether it is held: until the cores sleep, or until then. */
  #keepsAlive = true;
  #holds = true;
  #heldUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Cores that have a promise of their doorbell pending. */
  readonly #listening = new Set<Parking>();
  #resolve!: () => void;
  #reject!: (reason: unknown) => void;

  /** Begins at once. The process stays alive until `stop`, unless `unref` is called. */
  constructor(runner: Steppable) {
    this.#runner = runner;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    for (const { port1 } of this.#channels) port1.onmessage = () => this.#slice();
    this.#next();
  }

  stop(): void {
    this.#end();
    this.#resolve();
  }

  /** Ends a sleep: the application has made calls between rounds. */
  wake(): void {
    if (!this.#sleeping) return;
    this.#rise();
    this.#next();
  }

  /** Keeps the process alive while the runner is started, as it is from the beginning. */
  ref(): void {
    this.#keepsAlive = true;
    this.#holds = true;
    for (const { port1 } of this.#channels) (port1 as Referable).ref?.();
    (this.#timer as Referable | undefined)?.ref?.();
  }

  /** Lets the process end while the runner is started, once what it has in hand is done. */
  unref(): void {
    this.#keepsAlive = false;
    this.#heldUntil = this.#runner.now + LINGER;
    if (this.#sleeping) this.#release();
  }

  #release(): void {
    this.#holds = false;
    for (const { port1 } of this.#channels) (port1 as Referable).unref?.();
    (this.#timer as Referable | undefined)?.unref?.();
  }

  #next(): void {
    const { now } = this.#runner;
    if (now - this.#turnBegan >= SLICE) {
      this.#turn ^= 1;
      this.#turnBegan = now;
    }
    this.#channels[this.#turn].port2.postMessage(0);
  }

  #end(): void {
    this.#ended = true;
    if (this.#sleeping) this.#rise();
    for (const { port1 } of this.#channels) {
      port1.onmessage = null;
      port1.close();
    }
  }

  #slice(): void {
    if (this.#ended) return;
    const runner = this.#runner;
    let idle: boolean;
    try {
      idle = runner.step() === 0;
      const end = runner.now + SLICE;
      while (!idle && !this.#ended && runner.now < end) idle = runner.step() === 0;
    } catch (error) {
      this.#end();
      this.#reject(error);
      return;
    }
    // A step may have stopped the runner.
    if (this.#ended) return;
    if (this.#holds && !this.#keepsAlive && runner.now >= this.#heldUntil) this.#release();
    this.#idleSlices = idle ? this.#idleSlices + 1 : 0;
    if (this.#idleSlices < IDLE_SLICES || !this.#sleep()) this.#next();
  }

  /** Puts the cores to sleep until something happens; false when something has happened already. */
  #sleep(): boolean {
    const runner = this.#runner;
    const micros = runner.nextDeadline() - runner.now;
    if (micros < TIMER_RESOLUTION && !runner.polls) return false;
    const deaf = this.#listen();
    const { parkings } = runner;
    for (let i = 0; i < parkings.length; i++) {
      if (parkings[i].settle()) continue;
      while (i-- > 0) parkings[i].rise();
      return false;
    }
    this.#sleeping = true;
    const longest = deaf || runner.polls ? POLL : LONGEST_TIMER;
    const wait = Math.min(Math.ceil(micros / 1000), longest);
    if (micros < Infinity || longest < LONGEST_TIMER) {
      this.#timer = setTimeout(() => this.wake(), wait);
    }
    if (!this.#keepsAlive) this.#release();
    return true;
  }

  /** Sees to it that every core's doorbell wakes the driver; true when that is not possible. */
  #listen(): boolean {
    for (const parking of this.#runner.parkings) {
      if (this.#listening.has(parking)) continue;
      const woken = parking.woken();
      if (woken === undefined) return true;
      this.#listening.add(parking);
      void woken.then(() => {
        this.#listening.delete(parking);
        this.wake();
      });
    }
    return false;
  }

  #rise(): void {
    this.#sleeping = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const parking of this.#runner.parkings) parking.rise();
  }
}
