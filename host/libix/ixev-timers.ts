/**
 * Any number of timers on one timer of the kernel's: a binary heap by deadline. The kernel's timer is
 * set for the earliest, once per round at most.
 */
import { RC_OK } from "../../assembly/abi.ts";
import type { Ix } from "./ix.ts";

/** Cookie of the kernel's timer; an application's must have another. */
const COOKIE = 0xffffffff;
/** Longest time the kernel's timer is set for, µs; it is set again if that was too short. */
const LONGEST = 60_000_000;

/** A timer that was set; `cancel` is harmless when it has fired. */
export interface IxevTimer {
  readonly pending: boolean;
  cancel(): void;
}

class Timer implements IxevTimer {
  /** µs on the clock of `poll`. */
  deadline: number;
  callback: (() => void) | null;

  constructor(deadline: number, callback: () => void) {
    this.deadline = deadline;
    this.callback = callback;
  }

  get pending(): boolean {
    return this.callback !== null;
  }

  /** The entry stays in the heap, empty, until its deadline. */
  cancel(): void {
    this.callback = null;
  }
}

export class IxevTimers {
  readonly #ix: Ix;
  readonly #heap: Timer[] = [];
  readonly #unsettled: Timer[] = [];
  /** When the kernel's timer fires, and its handle once known. */
  #armedFor = Infinity;
  #armed = 0;

  constructor(ix: Ix) {
    this.#ix = ix;
  }

  /** Has `callback` called at `deadline`, µs. */
  add(deadline: number, callback: () => void): IxevTimer {
    const timer = new Timer(deadline, callback);
    this.#insert(timer);
    return timer;
  }

  /** Has `callback` called `delay` µs after the next `settle`. */
  addLater(delay: number, callback: () => void): IxevTimer {
    const timer = new Timer(delay, callback);
    this.#unsettled.push(timer);
    return timer;
  }

  /** The time is `now`, µs: from here the timers count that were set without knowing it. */
  settle(now: number): void {
    if (this.#unsettled.length === 0) return;
    for (const timer of this.#unsettled.splice(0)) {
      timer.deadline += now;
      this.#insert(timer);
    }
  }

  /** The earliest deadline of a pending timer; Infinity when there is none. */
  earliest(): number {
    while (this.#heap.length > 0 && !this.#heap[0].pending) this.#removeFirst();
    return this.#heap.length === 0 ? Infinity : this.#heap[0].deadline;
  }

  /** Calls what is due at `now`; timers set meanwhile have to wait for the next round. */
  run(now: number): void {
    if (this.earliest() > now) return;
    const due: Timer[] = [];
    while (this.earliest() <= now) due.push(this.#removeFirst());
    for (const timer of due) {
      const { callback } = timer;
      timer.callback = null;
      callback?.();
    }
  }

  /** Sets the kernel's timer for the earliest deadline; `now` is the round's time, µs. */
  arm(now: number): void {
    const earliest = this.earliest();
    if (earliest === Infinity && this.#armed !== 0) {
      // All were cancelled: the kernel's would only wake an idle core for nothing.
      this.#ix.timerCancel(this.#armed);
      this.#armed = 0;
      this.#armedFor = Infinity;
      return;
    }
    if (earliest >= this.#armedFor) return;
    if (this.#armed !== 0) this.#ix.timerCancel(this.#armed);
    const delay = Math.min(Math.max(Math.ceil(earliest - now), 0), LONGEST);
    this.#ix.timerSet(COOKIE, delay);
    this.#armed = 0;
    this.#armedFor = now + delay;
  }

  /** Takes the result of the timer_set call at `index`; false: it is not of the kernel's timer here. */
  armed(index: number): boolean {
    const ix = this.#ix;
    if (ix.resultCookie(index) !== COOKIE) return false;
    if (ix.result(index) === RC_OK) this.#armed = ix.resultHandle(index);
    else this.#armedFor = Infinity;
    return true;
  }

  /** Takes the `timer` event at `index`; false: it is not of the kernel's timer here. */
  fired(index: number): boolean {
    if (this.#ix.eventCookie(index) !== COOKIE) return false;
    this.#armed = 0;
    this.#armedFor = Infinity;
    return true;
  }

  #insert(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].deadline <= timer.deadline) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = timer;
  }

  #removeFirst(): Timer {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop()!;
    const count = heap.length;
    if (count === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && heap[child + 1].deadline < heap[child].deadline) child++;
      if (heap[child].deadline >= last.deadline) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
