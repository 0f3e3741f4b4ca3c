/**
 * One direction of a link that is not perfect: what Linux calls netem. A frame is first queued for
 * the rate and sent bit by bit, then it may be lost, damaged or doubled, and then it travels. A
 * frame that is lost has used the line all the same.
 *
 * Rate: a frame occupies the line for its bytes (at least 60, Ethernet's minimum) and 24 more:
 * preamble and start delimiter 8, check sequence 4, interframe gap 12. So 100 Mbit/s carries
 * 8127 frames of 1514 bytes a second, as a real link does. All queues of a port share its line.
 *
 * Time comes in as an argument, µs; chance comes from a seeded generator. Each sending queue draws
 * from its own sequence, derived from the seed, and counts its own waiting frames for `queueLimit`.
 *
 * The options may change at any time: for the frames that come from then on. Those that have their place
 * on the line, or are on their way, arrive when they would have; frames keep their order all the same.
 */
import { fulfil } from "./checksum.ts";
import { markCe } from "./ecn.ts";
import type { FrameStore } from "./frame-store.ts";
import { LINE_FREE_AT, LINE_LOCK, TX_COUNTERS } from "./port-state.ts";
import type { Port } from "./port.ts";
import { Random } from "./random.ts";
import { lock, unlock } from "./ring-lock.ts";
import type { LinkOptions } from "./types.ts";

/** What Ethernet puts around a frame, in byte times, and its shortest frame without that. */
export const WIRE_OVERHEAD = 24;
export const MIN_WIRE_FRAME = 60;

/** What `admit` returns of a frame that chance has taken, and of one for which the queue was full. */
export const ADMIT_LOST = -1;
export const ADMIT_FULL = -2;

const DEFAULT_QUEUE_LIMIT = 1000;
const DEFAULT_REORDER_DELAY = 1000;
/** Frames on their way that there is room for in the beginning. */
const FIRST_HEAP = 32;

const DELIVERED = TX_COUNTERS.indexOf("linkDelivered");
const LOST = TX_COUNTERS.indexOf("linkLost");
const DUPLICATED = TX_COUNTERS.indexOf("linkDuplicated");
const CORRUPTED = TX_COUNTERS.indexOf("linkCorrupted");
const REORDERED = TX_COUNTERS.indexOf("linkReordered");
const MARKED = TX_COUNTERS.indexOf("linkMarked");
const QUEUE_DROPPED = TX_COUNTERS.indexOf("linkQueueDropped");

/** Least and most of every option; times in µs. */
const LIMITS: readonly (readonly [keyof LinkOptions, number, number])[] = [
  ["rate", 1, Infinity],
  ["delay", 0, 1e12],
  ["jitter", 0, 1e12],
  ["loss", 0, 1],
  ["duplicate", 0, 1],
  ["corrupt", 0, 1],
  ["reorder", 0, 1],
  ["reorderDelay", 0, 1e12],
  ["queueLimit", 1, 1 << 20],
  ["ecnThreshold", 0, 1 << 20],
  ["seed", 0, Number.MAX_SAFE_INTEGER],
];

/** Throws TypeError for an option that there is not, RangeError when one is not what it may be. */
export function checkLinkOptions(options: LinkOptions): void {
  for (const name of Object.keys(options)) {
    if (LIMITS.some(([known]) => known === name)) continue;
    const known = LIMITS.map(([each]) => each).join(", ");
    throw new TypeError(`${name}: a link has no such option; it has ${known}`);
  }
  for (const [name, low, high] of LIMITS) {
    const value = options[name];
    if (value === undefined) continue;
    if (!(value >= low && value <= high)) {
      throw new RangeError(`${name}: ${value} is not in ${low}…${high}`);
    }
    if ((name === "queueLimit" || name === "ecnThreshold") && !Number.isInteger(value)) {
      throw new RangeError(`${name}: ${value} is no whole number of frames`);
    }
  }
}

/** True when frames can go straight from memory to memory. */
export function isPerfect(options: LinkOptions): boolean {
  const { rate = Infinity, delay = 0, jitter = 0, loss = 0 } = options;
  const { duplicate = 0, corrupt = 0, reorder = 0 } = options;
  return rate === Infinity && delay + jitter + loss + duplicate + corrupt + reorder === 0;
}

/** Where a link belongs. */
export interface LinkPlace {
  /** Has the frames on their way. */
  readonly store: FrameStore;
  /** Whose counters tell what became of them: a queue of a port. */
  readonly port: Port;
  readonly queue: number;
  /** The port whose line is used, and which of its lines, as an offset into its state. */
  readonly lineOf: Port;
  readonly line: number;
  /** Tells links with the same seed apart. Default 0. */
  readonly sequence?: number;
}

export class Link {
  readonly #store: FrameStore;
  readonly #counted: Float64Array;
  readonly #counters: number;
  readonly #random: Random;
  readonly #lineState: Int32Array;
  readonly #lineNumbers: Float64Array;
  readonly #line: number;

  #microsPerByte = 0;
  #delay = 0;
  #jitter = 0;
  #loss = 0;
  #duplicate = 0;
  #corrupt = 0;
  #reorder = 0;
  #reorderDelay = 0;
  #queueLimit = 0;
  #ecnThreshold = Infinity;

  /** When the frames that wait for the line will start: a ring, oldest first. */
  #starts = new Float64Array(0);
  #firstStart = 0;
  #waiting = 0;

  /** When the last frame that keeps its order is due. */
  #lastDue = -Infinity;

  /** Frames on their way: a binary heap by due time, then by admission. */
  #due = new Float64Array(FIRST_HEAP);
  #order = new Float64Array(FIRST_HEAP);
  #slots = new Int32Array(FIRST_HEAP);
  #size = 0;
  #admitted = 0;

  constructor(options: LinkOptions, place: LinkPlace) {
    const { store, port, queue, lineOf, line, sequence = 0 } = place;
    this.#store = store;
    this.#counted = port.numbers;
    this.#counters = port.txCounters(queue);
    this.#lineState = lineOf.state;
    this.#lineNumbers = lineOf.numbers;
    this.#line = line;
    const mixed = ((options.seed ?? 1) ^ Math.imul(sequence, 0x9e3779b1)) >>> 0;
    const seed = sequence === 0 ? (options.seed ?? 1) : mixed;
    this.#random = new Random(seed + queue * 2 ** 32);
    this.set(options);
  }

  /**
   * Treats the frames that come from now on by other options; `seed` holds from the beginning only.
   *
   * @throws {RangeError} an option is outside its range
   */
  set(options: LinkOptions): void {
    checkLinkOptions(options);
    this.#microsPerByte = 8e6 / (options.rate ?? Infinity);
    this.#delay = options.delay ?? 0;
    this.#jitter = options.jitter ?? 0;
    this.#loss = options.loss ?? 0;
    this.#duplicate = options.duplicate ?? 0;
    this.#corrupt = options.corrupt ?? 0;
    this.#reorder = options.reorder ?? 0;
    this.#reorderDelay = options.reorderDelay ?? DEFAULT_REORDER_DELAY;
    this.#queueLimit = options.queueLimit ?? DEFAULT_QUEUE_LIMIT;
    this.#ecnThreshold = options.ecnThreshold ?? Infinity;
    this.#resizeQueue(this.#microsPerByte > 0 ? this.#queueLimit : 0);
  }

  /** Makes room for `places` frames before the line; those that wait there stay. */
  #resizeQueue(places: number): void {
    const old = this.#starts;
    if (places <= old.length) return;
    const starts = new Float64Array(places);
    for (let i = 0; i < this.#waiting; i++) {
      starts[i] = old[(this.#firstStart + i) % old.length];
    }
    this.#starts = starts;
    this.#firstStart = 0;
  }

  /** When the next frame is due, µs; Infinity when none is on its way. */
  get nextDue(): number {
    return this.#size === 0 ? Infinity : this.#due[0];
  }

  /** Frames on their way. */
  get inFlight(): number {
    return this.#size;
  }

  /**
   * Takes over a frame that was put into a slot of the store. Returns when it is due, µs, or why it was
   * dropped: ADMIT_LOST, ADMIT_FULL.
   */
  admit(slot: number, now: number): number {
    const length = this.#store.length(slot);
    let sent = now;
    if (this.#microsPerByte > 0) {
      if (!this.#mayWait(now)) {
        this.#drop(slot, QUEUE_DROPPED);
        return ADMIT_FULL;
      }
      if (this.#waiting >= this.#ecnThreshold) this.#mark(slot, length);
      sent = this.#serialise(length, now);
    }
    const random = this.#random;
    if (random.chance(this.#loss)) {
      this.#drop(slot, LOST);
      return ADMIT_LOST;
    }
    if (random.chance(this.#corrupt)) this.#damage(slot, length);
    let due = sent + this.#delay;
    if (this.#jitter > 0) due += random.uniform() * this.#jitter;
    if (due < this.#lastDue) due = this.#lastDue;
    if (random.chance(this.#reorder)) {
      due += this.#reorderDelay;
      this.#count(REORDERED);
    } else {
      this.#lastDue = due;
    }
    const twice = random.chance(this.#duplicate);
    this.#push(slot, due);
    if (twice) this.#double(slot, due);
    return due;
  }

  /**
   * Takes the next frame that is due by `now` out; its slot is the caller's. -1 when there is none.
   */
  takeDue(now: number): number {
    if (this.#size === 0 || this.#due[0] > now) return -1;
    const slot = this.#slots[0];
    this.#pop();
    this.#count(DELIVERED);
    return slot;
  }

  /** Whether the queue before the line has room for one more. */
  #mayWait(now: number): boolean {
    while (this.#waiting !== 0 && this.#starts[this.#firstStart] <= now) {
      this.#firstStart = (this.#firstStart + 1) % this.#starts.length;
      this.#waiting--;
    }
    return this.#waiting < this.#queueLimit;
  }

  /** Congestion experienced, said to those who can hear it. */
  #mark(slot: number, length: number): void {
    const store = this.#store;
    if (markCe(store.view(slot).bytes, store.address(slot), length)) this.#count(MARKED);
  }

  /** Gives the frame its place on the line; returns when its last bit has left. */
  #serialise(length: number, now: number): number {
    const state = this.#lineState;
    const numbers = this.#lineNumbers;
    const lineLock = (this.#line + LINE_LOCK) >> 2;
    const freeAt = (this.#line + LINE_FREE_AT) >> 3;
    const locked = lock(state, lineLock);
    const free = numbers[freeAt];
    const start = free > now ? free : now;
    const bytes = (length < MIN_WIRE_FRAME ? MIN_WIRE_FRAME : length) + WIRE_OVERHEAD;
    const end = start + bytes * this.#microsPerByte;
    numbers[freeAt] = end;
    if (locked) unlock(state, lineLock);
    if (start > now) {
      this.#starts[(this.#firstStart + this.#waiting) % this.#starts.length] = start;
      this.#waiting++;
    }
    return end;
  }

  /**
   * Flips one bit, after the checksum that the NIC owes was filled in: the wire damages what was
   * sent.
   */
  #damage(slot: number, length: number): void {
    const store = this.#store;
    const view = store.view(slot);
    const at = store.address(slot);
    const request = store.checksum(slot);
    if (request !== 0 && !store.trusted(slot)) fulfil(view, at, length, request);
    store.setChecksum(slot, 0, false);
    const bit = this.#random.below(length * 8);
    view.bytes[at + (bit >> 3)] ^= 1 << (bit & 7);
    this.#count(CORRUPTED);
  }

  #double(slot: number, due: number): void {
    const copy = this.#store.copy(slot);
    if (copy < 0) return;
    this.#count(DUPLICATED);
    this.#push(copy, due);
  }

  #drop(slot: number, counter: number): void {
    this.#count(counter);
    this.#store.give(slot);
  }

  #count(counter: number): void {
    this.#counted[this.#counters + counter]++;
  }

  #push(slot: number, due: number): void {
    if (this.#size === this.#slots.length) this.#growHeap();
    const dues = this.#due;
    const order = this.#order;
    const slots = this.#slots;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (dues[parent] <= due) break;
      dues[at] = dues[parent];
      order[at] = order[parent];
      slots[at] = slots[parent];
      at = parent;
    }
    dues[at] = due;
    order[at] = this.#admitted++;
    slots[at] = slot;
  }

  #pop(): void {
    const dues = this.#due;
    const order = this.#order;
    const slots = this.#slots;
    const size = --this.#size;
    const due = dues[size];
    const rank = order[size];
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(child + 1, child)) child++;
      if (due < dues[child] || (due === dues[child] && rank < order[child])) break;
      dues[at] = dues[child];
      order[at] = order[child];
      slots[at] = slots[child];
      at = child;
    }
    dues[at] = due;
    order[at] = rank;
    slots[at] = slots[size];
  }

  #before(a: number, b: number): boolean {
    const dues = this.#due;
    return dues[a] < dues[b] || (dues[a] === dues[b] && this.#order[a] < this.#order[b]);
  }

  #growHeap(): void {
    const grown = this.#size * 2;
    const due = new Float64Array(grown);
    const order = new Float64Array(grown);
    const slots = new Int32Array(grown);
    due.set(this.#due);
    order.set(this.#order);
    slots.set(this.#slots);
    this.#due = due;
    this.#order = order;
    this.#slots = slots;
  }
}
