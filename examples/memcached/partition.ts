/**
 * A part of the store, with everything that belongs to it: index, LRU list, memory, counters, lock. A key is
 * in the partition that its hash names, whichever core a client's connection is on. All state is in shared
 * memory; an object of this class is one core's way to it, and knows addresses only.
 *
 *   control     lock · newest · oldest · flush generation · time of the next flush · CAS unique (2 words)
 *   counters    float64 cells, see counters.ts
 *   classes     items stored, by class of their block
 *   arena       its control words
 *   buckets     first item of each
 *   items
 *
 * Between `enter` and `leave` the partition is this core's, and addresses of items are valid; beyond that
 * only those of items that it has been made to keep (`keep`, `release`).
 */
import { Arena, ARENA_CONTROL, CLASSES, classOf } from "./arena.ts";
import {
  BYTES,
  CURR_ITEMS,
  EVICTED_UNFETCHED,
  EVICTIONS,
  EXPIRED_UNFETCHED,
  LEVELS,
  PARTITION_COUNTERS,
  RECLAIMED,
  TOTAL_ITEMS,
} from "./counters.ts";
import { HASH_BITS } from "./hash.ts";
import {
  CAS_HIGH,
  CAS_LOW,
  EXPIRY,
  FETCHED,
  FLAGS,
  GENERATION,
  HASH,
  itemSize,
  KEY,
  KEY_LENGTH_MASK,
  LENGTH,
  LINKED,
  MOVED,
  NEWER,
  NEXT,
  OLDER,
  REFERENCES,
  STATE,
} from "./item.ts";
import { lock, unlock } from "./lock.ts";

/** Words of the control block. */
const LOCK = 0;
const NEWEST = 1;
const OLDEST = 2;
const FLUSHES = 3;
const FLUSH_AT = 4;
const UNIQUE_LOW = 5;
const UNIQUE_HIGH = 6;
const CONTROL = 32;

const COUNTERS = PARTITION_COUNTERS.length * 8;
/** Memory for each bucket: about what a small item takes. */
const BYTES_PER_BUCKET = 128;
/** Items in use that an eviction passes over before it gives up. */
const PASSED_OVER = 64;
const NONE = 0;

export interface SharedViews {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly locks: Int32Array;
  readonly counters: Float64Array;
}

export class Partition {
  /** Float64 cells, from `firstCounter`. */
  readonly counters: Float64Array;
  readonly firstCounter: number;
  /** Why `find` found nothing: the item was there but had expired, or was flushed. */
  missedExpired = false;
  missedFlushed = false;

  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #locks: Int32Array;
  readonly #core: number;
  readonly #isShared: boolean;
  readonly #arena: Arena;
  /** Word indices. */
  readonly #control: number;
  readonly #classes: number;
  readonly #buckets: number;
  readonly #bucketMask: number;
  /** Where items begin and end. */
  readonly #first: number;
  readonly #end: number;
  #now = 1;

  /** `isShared`: other cores use it too. */
  constructor(views: SharedViews, address: number, size: number, core: number, isShared: boolean) {
    this.#bytes = views.bytes;
    this.#words = views.words;
    this.#locks = views.locks;
    this.counters = views.counters;
    this.#core = core;
    this.#isShared = isShared;
    this.#control = address >>> 2;
    this.firstCounter = (address + CONTROL) >>> 3;
    const classes = address + CONTROL + COUNTERS;
    this.#classes = classes >>> 2;
    const arena = classes + CLASSES * 4;
    this.#arena = new Arena(views.words, arena);
    const buckets = 2 ** Math.min(Math.floor(Math.log2(size / BYTES_PER_BUCKET)), HASH_BITS);
    this.#buckets = (arena + ARENA_CONTROL) >>> 2;
    this.#bucketMask = buckets - 1;
    this.#first = arena + ARENA_CONTROL + buckets * 4;
    this.#end = address + size;
  }

  /** Makes it empty; its memory must be zero. */
  initialize(): void {
    this.#arena.initialize(this.#first, this.#end - this.#first);
  }

  /** Buckets, and bytes that items may take. */
  get buckets(): number {
    return this.#bucketMask + 1;
  }

  get capacity(): number {
    return this.#end - this.#first;
  }

  /** Takes the partition at `now`, Unix seconds; false when it is lost with the core that held it. */
  enter(now: number): boolean {
    if (this.#isShared && !lock(this.#locks, this.#control + LOCK, this.#core)) return false;
    this.#now = now;
    const words = this.#words;
    const flushAt = words[this.#control + FLUSH_AT];
    if (flushAt !== 0 && flushAt <= now) {
      words[this.#control + FLUSH_AT] = 0;
      words[this.#control + FLUSHES]++;
    }
    return true;
  }

  leave(): void {
    if (this.#isShared) unlock(this.#locks, this.#control + LOCK);
  }

  count(counter: number, by = 1): void {
    this.counters[this.firstCounter + counter] += by;
  }

  /** Counts from zero again what has happened. */
  resetCounters(): void {
    for (let counter = 0; counter < PARTITION_COUNTERS.length; counter++) {
      if (!LEVELS.includes(counter)) this.counters[this.firstCounter + counter] = 0;
    }
  }

  /** Items whose blocks are of a class. */
  itemsOfClass(index: number): number {
    return this.#words[this.#classes + index];
  }

  /** What is stored now is gone from `time` on, Unix seconds; 0: at once. */
  flush(time: number): void {
    this.#nextUnique();
    if (time > this.#now) {
      this.#words[this.#control + FLUSH_AT] = time;
    } else {
      this.#words[this.#control + FLUSH_AT] = 0;
      this.#words[this.#control + FLUSHES]++;
    }
  }

  // -------------------------------------------------------------------------------------------
  // Items

  /** The item of a key, or 0. */
  find(hash: number, key: number, length: number): number {
    const words = this.#words;
    let item = words[this.#buckets + (hash & this.#bucketMask)];
    for (; item !== NONE; item = words[(item >>> 2) + NEXT]) {
      const at = item >>> 2;
      if (words[at + HASH] !== hash || (words[at + STATE] & KEY_LENGTH_MASK) !== length) continue;
      if (this.#hasKey(item, key, length)) break;
    }
    this.missedFlushed = item !== NONE && this.#isFlushed(item);
    this.missedExpired = item !== NONE && !this.missedFlushed && this.#hasExpired(item);
    if (!this.missedFlushed && !this.missedExpired) return item;
    this.#countDead(item);
    this.unlink(item);
    return NONE;
  }

  /** The item is in use: moves it to the front, once in a second. */
  use(item: number): void {
    const words = this.#words;
    const at = item >>> 2;
    words[at + STATE] |= FETCHED;
    if (words[at + MOVED] === this.#now) return;
    this.#leaveList(item);
    this.#joinList(item);
  }

  /**
   * A new item that nobody finds yet, kept by the caller; its value is for the caller to write. Evicts others
   * for it. 0: there is no room, because everything is in use.
   */
  create(
    hash: number,
    key: number,
    keyLength: number,
    flags: number,
    expiry: number,
    length: number,
  ): number {
    const item = this.#allocate(itemSize(keyLength, length));
    if (item === NONE) return NONE;
    const words = this.#words;
    const at = item >>> 2;
    words[at + HASH] = hash;
    words[at + EXPIRY] = expiry;
    words[at + FLAGS] = flags;
    words[at + CAS_LOW] = 0;
    words[at + CAS_HIGH] = 0;
    words[at + LENGTH] = length;
    words[at + REFERENCES] = 1;
    words[at + STATE] = keyLength;
    const bytes = this.#bytes;
    const to = item + KEY;
    for (let i = 0; i < keyLength; i++) bytes[to + i] = bytes[key + i];
    const end = to + keyLength + length;
    bytes[end] = 0x0d;
    bytes[end + 1] = 0x0a;
    return item;
  }

  /** Lets clients find an item, which has no namesake. */
  link(item: number): void {
    const words = this.#words;
    const at = item >>> 2;
    const bucket = this.#buckets + (words[at + HASH] & this.#bucketMask);
    words[at + NEXT] = words[bucket];
    words[bucket] = item;
    words[at + STATE] |= LINKED;
    words[at + GENERATION] = words[this.#control + FLUSHES];
    this.renew(item);
    this.#joinList(item);
    words[this.#classes + this.#classOf(item)]++;
    this.count(CURR_ITEMS);
    this.count(TOTAL_ITEMS);
    this.count(BYTES, this.sizeOf(item));
  }

  /** Takes an item out; its memory is free when nobody keeps it. */
  unlink(item: number): void {
    const words = this.#words;
    const at = item >>> 2;
    let link = this.#buckets + (words[at + HASH] & this.#bucketMask);
    while (words[link] !== item) link = (words[link] >>> 2) + NEXT;
    words[link] = words[at + NEXT];
    words[at + STATE] &= ~LINKED;
    this.#leaveList(item);
    words[this.#classes + this.#classOf(item)]--;
    this.count(CURR_ITEMS, -1);
    this.count(BYTES, -this.sizeOf(item));
    if (words[at + REFERENCES] === 0) this.#arena.free(item);
  }

  /** Gives an item its next CAS unique. */
  renew(item: number): void {
    const words = this.#words;
    this.#nextUnique();
    words[(item >>> 2) + CAS_LOW] = words[this.#control + UNIQUE_LOW];
    words[(item >>> 2) + CAS_HIGH] = words[this.#control + UNIQUE_HIGH];
  }

  /** The item's bytes stay as they are until it is released. */
  keep(item: number): void {
    this.#words[(item >>> 2) + REFERENCES]++;
  }

  release(item: number): void {
    const at = item >>> 2;
    const references = --this.#words[at + REFERENCES];
    if (references === 0 && (this.#words[at + STATE] & LINKED) === 0) this.#arena.free(item);
  }

  /** Bytes of an item, without what its block has to spare. */
  sizeOf(item: number): number {
    const at = item >>> 2;
    return itemSize(this.#words[at + STATE] & KEY_LENGTH_MASK, this.#words[at + LENGTH]);
  }

  // -------------------------------------------------------------------------------------------

  #nextUnique(): void {
    const words = this.#words;
    const low = (words[this.#control + UNIQUE_LOW] + 1) >>> 0;
    if (low === 0) words[this.#control + UNIQUE_HIGH]++;
    words[this.#control + UNIQUE_LOW] = low;
  }

  #hasKey(item: number, key: number, length: number): boolean {
    const bytes = this.#bytes;
    const own = item + KEY;
    for (let i = 0; i < length; i++) {
      if (bytes[own + i] !== bytes[key + i]) return false;
    }
    return true;
  }

  #isFlushed(item: number): boolean {
    return this.#words[(item >>> 2) + GENERATION] !== this.#words[this.#control + FLUSHES];
  }

  #hasExpired(item: number): boolean {
    const expiry = this.#words[(item >>> 2) + EXPIRY];
    return expiry !== 0 && expiry <= this.#now;
  }

  #allocate(size: number): number {
    let block = this.#arena.allocate(size);
    while (block === NONE) {
      if (!this.#evict()) return NONE;
      block = this.#arena.allocate(size);
    }
    return block;
  }

  /** Frees the item that was longest not in use; false when there is none. */
  #evict(): boolean {
    const words = this.#words;
    let item = words[this.#control + OLDEST];
    for (let passed = 0; passed < PASSED_OVER && item !== NONE; passed++) {
      const at = item >>> 2;
      if (words[at + REFERENCES] === 0) {
        if (this.#isFlushed(item) || this.#hasExpired(item)) {
          this.#countDead(item);
        } else {
          this.count(EVICTIONS);
          if ((words[at + STATE] & FETCHED) === 0) this.count(EVICTED_UNFETCHED);
        }
        this.unlink(item);
        return true;
      }
      item = words[at + NEWER];
    }
    return false;
  }

  #countDead(item: number): void {
    this.count(RECLAIMED);
    if ((this.#words[(item >>> 2) + STATE] & FETCHED) === 0) this.count(EXPIRED_UNFETCHED);
  }

  #classOf(item: number): number {
    return classOf(this.#arena.sizeOf(item));
  }

  #joinList(item: number): void {
    const words = this.#words;
    const at = item >>> 2;
    const newest = words[this.#control + NEWEST];
    words[at + NEWER] = NONE;
    words[at + OLDER] = newest;
    words[at + MOVED] = this.#now;
    if (newest === NONE) words[this.#control + OLDEST] = item;
    else words[(newest >>> 2) + NEWER] = item;
    words[this.#control + NEWEST] = item;
  }

  #leaveList(item: number): void {
    const words = this.#words;
    const newer = words[(item >>> 2) + NEWER];
    const older = words[(item >>> 2) + OLDER];
    if (newer === NONE) words[this.#control + NEWEST] = older;
    else words[(newer >>> 2) + OLDER] = older;
    if (older === NONE) words[this.#control + OLDEST] = newer;
    else words[(older >>> 2) + NEWER] = newer;
  }
}
