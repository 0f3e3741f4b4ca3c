/**
 * Timers in a network's time: setTimeout and setInterval with Node's Timeout objects, in the order of
 * their deadlines and, among equals, of their making.
 */
import type { AppTimers } from "./app-timers.ts";

/** The longest delay that a timer takes, ms; longer ones are 1 ms, as everywhere. */
const LONGEST = 2 ** 31 - 1;

type Callback = (...args: unknown[]) => void;

/** What setTimeout returns: what Node's does. */
export class VirtualTimeout {
  readonly #timers: VirtualTimers;
  readonly #id: number;
  readonly callback: () => void;
  /** Milliseconds. */
  readonly delay: number;
  readonly repeats: boolean;
  /** µs; -1 while it does not wait. */
  due = -1;
  /** Tells which of two timers with one deadline comes first. */
  order = 0;
  #referenced = true;

  constructor(
    timers: VirtualTimers,
    id: number,
    callback: () => void,
    delay: number,
    repeats: boolean,
  ) {
    this.#timers = timers;
    this.#id = id;
    this.callback = callback;
    this.delay = delay;
    this.repeats = repeats;
  }

  ref(): this {
    this.#referenced = true;
    return this;
  }

  unref(): this {
    this.#referenced = false;
    return this;
  }

  hasRef(): boolean {
    return this.#referenced;
  }

  /** Begins anew. */
  refresh(): this {
    this.#timers.begin(this);
    return this;
  }

  close(): this {
    this.#timers.cancel(this);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.#id;
  }
}

export class VirtualTimers implements AppTimers {
  readonly #clock: () => number;
  /** By deadline, the next one last. */
  readonly #waiting: VirtualTimeout[] = [];
  readonly #byId = new Map<number, VirtualTimeout>();
  #ids = 0;
  #orders = 0;

  /** @param clock the network's time, µs */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Time on the network's clock, ms. */
  get now(): number {
    return this.#clock() / 1000;
  }

  /** Timers that wait. */
  get count(): number {
    return this.#waiting.length;
  }

  setTimeout(callback: Callback, delay?: number, ...args: unknown[]): VirtualTimeout {
    return this.#make(callback, delay, args, false);
  }

  setInterval(callback: Callback, delay?: number, ...args: unknown[]): VirtualTimeout {
    return this.#make(callback, delay, args, true);
  }

  /** Clears a timeout or an interval, given as what was returned or as its number. */
  clear(timeout: unknown): void {
    const known =
      timeout instanceof VirtualTimeout ? timeout : this.#byId.get(Number(timeout ?? 0));
    if (known !== undefined) this.cancel(known);
  }

  nextDeadline(): number {
    return this.#waiting.at(-1)?.due ?? Infinity;
  }

  /** Runs the first timer that is due: promises and immediates have their turn before the next. */
  advanceTo(now: number): boolean {
    const timeout = this.#waiting.at(-1);
    if (timeout === undefined || timeout.due > now) return false;
    this.#waiting.pop();
    timeout.due = -1;
    if (timeout.repeats) this.begin(timeout);
    else this.#byId.delete(Number(timeout));
    timeout.callback();
    return true;
  }

  /** A timeout's: has it wait its delay from now on. */
  begin(timeout: VirtualTimeout): void {
    this.#take(timeout);
    timeout.due = this.#clock() + timeout.delay * 1000;
    timeout.order = this.#orders++;
    this.#byId.set(Number(timeout), timeout);
    const waiting = this.#waiting;
    let low = 0;
    let high = waiting.length;
    // Those with the same deadline came before, and run before: they lie behind.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (waiting[middle].due > timeout.due) low = middle + 1;
      else high = middle;
    }
    waiting.splice(low, 0, timeout);
  }

  /** A timeout's: has it not run. */
  cancel(timeout: VirtualTimeout): void {
    this.#take(timeout);
    timeout.due = -1;
    this.#byId.delete(Number(timeout));
  }

  #take(timeout: VirtualTimeout): void {
    if (timeout.due < 0) return;
    const at = this.#waiting.indexOf(timeout);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  #make(callback: Callback, delay: unknown, args: unknown[], repeats: boolean): VirtualTimeout {
    if (typeof callback !== "function") {
      const error = new TypeError('The "callback" argument must be of type function');
      throw Object.assign(error, { code: "ERR_INVALID_ARG_TYPE" });
    }
    const asked = Math.trunc(Number(delay));
    const milliseconds = asked >= 1 && asked <= LONGEST ? asked : 1;
    const run = (): void => callback(...args);
    const timeout = new VirtualTimeout(this, ++this.#ids, run, milliseconds, repeats);
    this.begin(timeout);
    return timeout;
  }
}
