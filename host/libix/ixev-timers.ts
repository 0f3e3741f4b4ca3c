/**
 * Any number of timers on one timer of the kernel's: a binary heap by deadline. The kernel's timer is
 * set for the earliest, once per round at most.
 */

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
  readonly #heap: Timer[] = [];
  readonly #unsettled: Timer[] = [];

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
