/**
 * Flow control of a link, as with PAUSE frames (IEEE 802.3 annex 31B): while a ring that it delivers to
 * has no room for a batch, a sender leaves frames in its TX ring, where its kernel sees that they do not
 * get on, instead of having them dropped. Who is silent for too long is no longer waited for.
 */
import { BATCH } from "./batch.ts";
import type { RxQueue } from "./rx-queue.ts";

/** Longest wait for one ring, µs: three of the longest that a PAUSE frame asks for at 1 Gbit/s. */
const LONGEST_PAUSE = 100_000;
/** How soon a sender looks again, µs. */
const RETRY = 50;

export class FlowControl {
  #full: RxQueue | null = null;
  /** Rings that were waited for in vain, until they have room again. */
  readonly #silent = new Set<RxQueue>();
  #since = 0;
  #now = 0;
  #paused = false;

  /** A ring was delivered to. */
  delivered(to: RxQueue): void {
    if (to.hasRoom(BATCH)) {
      if (this.#silent.size !== 0) this.#silent.delete(to);
    } else if (to.isOpen && !this.#silent.has(to)) {
      this.#full = to;
    }
  }

  /** True while nothing is to be sent at `now`, µs. */
  isPaused(now: number): boolean {
    const full = this.#full;
    if (full === null) return false;
    if (!this.#paused) this.#since = now;
    this.#now = now;
    const hasRoom = full.hasRoom(BATCH);
    this.#paused = !hasRoom && now - this.#since < LONGEST_PAUSE;
    if (this.#paused) return true;
    if (!hasRoom) this.#silent.add(full);
    this.#full = null;
    return false;
  }

  /** When to look again, µs, if anything waits. */
  get nextDeadline(): number {
    return this.#paused ? this.#now + RETRY : Infinity;
  }
}
