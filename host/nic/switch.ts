/**
 * The MAC table of a learning switch, in memory that all its ports share: IEEE 802.1D's filtering
 * database without ageing (an entry goes when its bucket is full and another needs the place).
 *
 *   word 0 lock · word 1 next victim · word 2 changes so far · from byte 64: buckets of WAYS
 *   entries of two words: first four bytes of the MAC · last two | (port + 1) << 16, 0 when the
 *   entry is empty
 *
 * Reading takes no lock: an entry is emptied before its first word changes, and a reader looks at
 * the second word before and after the first.
 */
import { freeLock, lock, unlock } from "./ring-lock.ts";

const LOCK = 0;
const VICTIM = 1;
const CHANGES = 2;
const HEADER_WORDS = 16;
/** 2^10, as `bucketOf` takes 10 bits. */
const BUCKETS = 1024;
const WAYS = 4;
const BUCKET_WORDS = WAYS * 2;

/** Ports of a switch at most; the table keeps a port in 16 bits. */
export const MAX_SWITCH_PORTS = 65534;

export function createMacTable(): SharedArrayBuffer {
  return new SharedArrayBuffer((HEADER_WORDS + BUCKETS * BUCKET_WORDS) * 4);
}

/** One thread's view of the table. MAC addresses are given as they lie in memory, in two words. */
export class MacTable {
  readonly #words: Int32Array;
  /**
   * What this thread learned last: nearly every frame says the same again. Void after any change.
   */
  #lastChanges = -1;
  #lastHead = 0;
  #lastTail = -1;
  #lastPort = -1;

  constructor(table: SharedArrayBuffer) {
    this.#words = new Int32Array(table);
  }

  /** The port behind which a station was seen, or -1. */
  lookup(head: number, tail: number): number {
    const words = this.#words;
    const bucket = bucketOf(head, tail);
    for (let i = bucket; i < bucket + BUCKET_WORDS; i += 2) {
      const entry = Atomics.load(words, i + 1);
      if ((entry & 0xffff) !== tail || entry === 0) continue;
      if (Atomics.load(words, i) === head && Atomics.load(words, i + 1) === entry) {
        return (entry >>> 16) - 1;
      }
    }
    return -1;
  }

  /** Gives back the table's lock if a thread held it when it ended; `holder` is its LOCK_HOLDER. */
  freeLockOf(holder: number): boolean {
    return freeLock(this.#words, LOCK, holder);
  }

  /** A frame came from this station through this port. */
  learn(head: number, tail: number, port: number): void {
    const changes = this.#words[CHANGES];
    if (
      head === this.#lastHead &&
      tail === this.#lastTail &&
      port === this.#lastPort &&
      changes === this.#lastChanges
    ) {
      return;
    }
    // A group address is no station (IEEE 802.1D section 7.8).
    if ((head & 1) !== 0) return;
    if (this.lookup(head, tail) !== port && !this.#store(head, tail, port)) return;
    this.#lastChanges = changes;
    this.#lastHead = head;
    this.#lastTail = tail;
    this.#lastPort = port;
  }

  #store(head: number, tail: number, port: number): boolean {
    const words = this.#words;
    if (!lock(words, LOCK)) return false;
    const bucket = bucketOf(head, tail);
    let place = -1;
    for (let i = bucket; i < bucket + BUCKET_WORDS; i += 2) {
      if (words[i + 1] === 0) {
        if (place < 0) place = i;
      } else if (words[i] === head && (words[i + 1] & 0xffff) === tail) {
        place = i;
        break;
      }
    }
    if (place < 0) {
      place = bucket + (words[VICTIM] % WAYS) * 2;
      words[VICTIM] = (words[VICTIM] + 1) % WAYS;
    }
    Atomics.store(words, place + 1, 0);
    Atomics.store(words, place, head);
    Atomics.store(words, place + 1, tail | ((port + 1) << 16));
    words[CHANGES] = (words[CHANGES] + 1) | 0;
    unlock(words, LOCK);
    return true;
  }
}

/** First word of the bucket. */
function bucketOf(head: number, tail: number): number {
  let mixed = Math.imul(head ^ Math.imul(tail, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return HEADER_WORDS + (mixed >>> 22) * BUCKET_WORDS;
}
