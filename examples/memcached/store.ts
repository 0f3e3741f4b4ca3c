/**
 * The items of a server: what may be done to them, whichever protocol asks for it. They lie in the part of the
 * application's window that all cores share, so that a client finds its keys from whatever core its connection
 * is on, and values can be sent from where they lie.
 *
 * The store is cut into partitions by the hash of the key, with a lock each, so that cores seldom meet; a
 * dataplane of one core has one partition and takes no lock.
 */
import { CFG_CORES, CFG_SECRET, CONFIG_BASE } from "../../assembly/abi.ts";
import type { Ix } from "../../host/libix/ix.ts";
import {
  CAS_BADVAL,
  CAS_HITS,
  CAS_MISSES,
  CMD_GET,
  CMD_SET,
  CMD_TOUCH,
  CORE_COUNTERS,
  DECR_HITS,
  DECR_MISSES,
  DELETE_HITS,
  DELETE_MISSES,
  GET_EXPIRED,
  GET_FLUSHED,
  GET_HITS,
  GET_MISSES,
  INCR_HITS,
  INCR_MISSES,
  PARTITION_COUNTERS,
  TOUCH_HITS,
  TOUCH_MISSES,
} from "./counters.ts";
import { HASH_BITS, hashKey } from "./hash.ts";
import {
  CAS_HIGH,
  CAS_LOW,
  EXPIRY,
  FLAGS,
  HASH,
  itemSize,
  KEY,
  KEY_LENGTH_MASK,
  LENGTH,
  REFERENCES,
  STATE,
} from "./item.ts";
import { U64 } from "./numbers.ts";
import { Partition, type SharedViews } from "./partition.ts";

/** How a value is stored. */
export const SET = 0;
export const ADD = 1;
export const REPLACE = 2;
export const APPEND = 3;
export const PREPEND = 4;
export const CAS = 5;

/** What came of it. */
export const STORED = 1;
export const NOT_STORED = 2;
export const EXISTS = 3;
export const NOT_FOUND = 4;
export const TOO_LARGE = 5;
export const NO_MEMORY = 6;
export const NOT_A_NUMBER = 7;

/** Expiry of `touch` that leaves it as it is. */
export const KEEP_EXPIRY = -1;

/** State of the store's first word. */
const EMPTY = 0;
const BEING_MADE = 1;
const READY = 2;
/** The first word is the state; the cores' counters follow, a cache line or more each. */
const HEADER = 64;
const CORE_CELLS = Math.ceil(CORE_COUNTERS.length / 8) * 64;
/** Partitions for each core, and the least a partition must have room for: so many of the largest items. */
const PARTITIONS_PER_CORE = 4;
const LARGEST_ITEMS = 8;

export class Store {
  /** Seconds since the epoch, set by the server in every round. */
  now = 1;
  /** Most bytes of an item. */
  readonly itemMax: number;
  readonly partitions: readonly Partition[];
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  /** Of this core, and of all of them. */
  readonly coreCounters: Float64Array;
  readonly allCoreCounters: readonly Float64Array[];
  /** The number that `change` has made. */
  readonly number = new U64();

  readonly #seed: number;
  readonly #shift: number;

  /**
   * The store of the dataplane, made by whichever core comes first.
   *
   * @param itemMax most bytes of an item: key, value and some 58 more
   * @throws {RangeError} the shared window has no room for it
   */
  constructor(ix: Ix, itemMax: number) {
    const { address, size } = ix.shared;
    const cores = ix.words[(CONFIG_BASE + CFG_CORES) >>> 2];
    this.itemMax = itemMax;
    this.bytes = ix.bytes;
    this.words = ix.words;
    const cells = address + HEADER;
    const counters = (core: number): Float64Array =>
      new Float64Array(ix.memory.buffer, cells + core * CORE_CELLS, CORE_COUNTERS.length);
    const first = cells + cores * CORE_CELLS;
    const count = countPartitions(address + size - first, cores, itemMax);
    this.#shift = HASH_BITS - Math.log2(count);
    const share = Math.floor((address + size - first) / count / 64) * 64;
    const views: SharedViews = {
      bytes: ix.bytes,
      words: ix.words,
      locks: new Int32Array(ix.memory.buffer),
      counters: new Float64Array(ix.memory.buffer),
    };
    this.partitions = Array.from(
      { length: count },
      (_, i) => new Partition(views, first + i * share, share, ix.core, cores > 1),
    );
    this.allCoreCounters = Array.from({ length: cores }, (_, core) => counters(core));
    this.coreCounters = this.allCoreCounters[ix.core];
    makeOnce(views.locks, address >>> 2, this.partitions);
    // Nobody outside knows it, so nobody can choose keys that meet in a bucket.
    this.#seed = ix.words[(CONFIG_BASE + CFG_SECRET) >>> 2];
  }

  count(counter: number, by = 1): void {
    this.coreCounters[counter] += by;
  }

  /** A partitions' counter, by its place in `PARTITION_COUNTERS`, over all of them. */
  sum(counter: number): number {
    return this.partitions.reduce((sum, p) => sum + p.counters[p.firstCounter + counter], 0);
  }

  hash(key: number, length: number): number {
    return hashKey(this.bytes, key, length, this.#seed);
  }

  partition(hash: number): Partition {
    return this.partitions[hash >>> this.#shift];
  }

  /** Unix seconds for an expiry as clients give it: seconds from now up to 30 days, else Unix seconds; 0: never. */
  expiry(time: number): number {
    if (time === 0) return 0;
    if (time < 0) return 1;
    return time <= MONTH ? this.now + time : time;
  }

  // -------------------------------------------------------------------------------------------
  // Reading

  /**
   * Looks up the key of a get, and counts it. When it returns an item, `partition(hash)` has been entered and
   * is for the caller to leave.
   *
   * @param expiry for gat: the item's new expiry; else KEEP_EXPIRY
   */
  get(hash: number, key: number, length: number, expiry = KEEP_EXPIRY): number {
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return 0;
    const item = partition.find(hash, key, length);
    partition.count(CMD_GET);
    if (expiry !== KEEP_EXPIRY) partition.count(CMD_TOUCH);
    if (item === 0) {
      partition.count(GET_MISSES);
      if (partition.missedExpired) partition.count(GET_EXPIRED);
      if (partition.missedFlushed) partition.count(GET_FLUSHED);
      if (expiry !== KEEP_EXPIRY) partition.count(TOUCH_MISSES);
      partition.leave();
      return 0;
    }
    partition.count(GET_HITS);
    if (expiry !== KEEP_EXPIRY) {
      partition.count(TOUCH_HITS);
      this.words[(item >>> 2) + EXPIRY] = expiry;
    }
    partition.use(item);
    return item;
  }

  /** Gives up an item that was kept. */
  release(item: number): void {
    const partition = this.partition(this.words[(item >>> 2) + HASH]);
    if (!partition.enter(this.now)) return;
    partition.release(item);
    partition.leave();
  }

  // -------------------------------------------------------------------------------------------
  // Storing, in two steps: `begin` makes an item whose value is to be written, `commit` stores it

  /** Returns the item, or 0: `refusal` says why. */
  begin(key: number, keyLength: number, flags: number, expiry: number, length: number): number {
    this.refusal = TOO_LARGE;
    if (itemSize(keyLength, length) > this.itemMax) return 0;
    this.refusal = NO_MEMORY;
    const hash = this.hash(key, keyLength);
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return 0;
    const item = partition.create(hash, key, keyLength, flags, expiry, length);
    partition.leave();
    return item;
  }

  /** Flags of the item that was touched last. */
  touchedFlags = 0;

  /** Why the last `begin` made no item. */
  refusal = 0;

  /**
   * Stores an item that `begin` has made, or gives it up; it is not the caller's any more. After STORED `number`
   * is its CAS unique.
   *
   * @param cas the CAS unique that the present item must have; null, or 0, for any
   */
  commit(item: number, mode: number, cas: U64 | null): number {
    const { words } = this;
    const at = item >>> 2;
    const hash = words[at + HASH];
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return NO_MEMORY;
    partition.count(CMD_SET);
    const present = partition.find(hash, item + KEY, words[at + STATE] & KEY_LENGTH_MASK);
    const outcome = this.#mayStore(partition, present, mode, cas);
    if (outcome !== STORED) {
      if (mode === ADD && present !== 0) partition.use(present);
      partition.release(item);
      partition.leave();
      return outcome;
    }
    let stored = item;
    if (mode === APPEND || mode === PREPEND) {
      stored = this.#join(partition, present, item, mode === APPEND);
      partition.release(item);
    }
    if (stored !== 0) this.#replace(partition, present, stored);
    partition.leave();
    return stored === 0 ? this.refusal : STORED;
  }

  /** Gives up an item that `begin` has made. */
  discard(item: number): void {
    this.release(item);
  }

  /** What `commit` answers if nothing else comes in between. */
  #mayStore(partition: Partition, present: number, mode: number, cas: U64 | null): number {
    if (present === 0) {
      if (mode === CAS) partition.count(CAS_MISSES);
      if (mode === CAS) return NOT_FOUND;
      return mode === SET || mode === ADD ? STORED : NOT_STORED;
    }
    if (mode === ADD) return NOT_STORED;
    const wantsCas = cas !== null && !cas.isZero;
    // A compare and swap with 0 matches no item.
    const matches = wantsCas ? this.#matches(present, cas) : mode !== CAS;
    if (mode === CAS) partition.count(matches ? CAS_HITS : CAS_BADVAL);
    return matches ? STORED : EXISTS;
  }

  #matches(item: number, cas: U64): boolean {
    const at = item >>> 2;
    return this.words[at + CAS_LOW] === cas.low && this.words[at + CAS_HIGH] === cas.high;
  }

  /** A new item of the present one's value and another's; 0 when there is no room. */
  #join(partition: Partition, present: number, item: number, append: boolean): number {
    const { words, bytes } = this;
    const old = present >>> 2;
    const keyLength = words[old + STATE] & KEY_LENGTH_MASK;
    const oldLength = words[old + LENGTH];
    const addedLength = words[(item >>> 2) + LENGTH];
    const length = oldLength + addedLength;
    this.refusal = TOO_LARGE;
    if (itemSize(keyLength, length) > this.itemMax) return 0;
    this.refusal = NO_MEMORY;
    // Making room may evict the present item.
    partition.keep(present);
    const { [old + HASH]: hash, [old + FLAGS]: flags, [old + EXPIRY]: expiry } = words;
    const joined = partition.create(hash, present + KEY, keyLength, flags, expiry, length);
    if (joined !== 0) {
      const from = present + KEY + keyLength;
      const added = item + KEY + keyLength;
      const to = joined + KEY + keyLength;
      bytes.copyWithin(append ? to : to + addedLength, from, from + oldLength);
      bytes.copyWithin(append ? to + oldLength : to, added, added + addedLength);
    }
    partition.release(present);
    return joined;
  }

  /** Puts an item that this core keeps in the place of another, or of none, and gives it up. */
  #replace(partition: Partition, present: number, item: number): void {
    if (present !== 0) partition.unlink(present);
    partition.link(item);
    this.#tellCas(item);
    partition.release(item);
  }

  #tellCas(item: number): void {
    const at = item >>> 2;
    this.number.set(this.words[at + CAS_HIGH], this.words[at + CAS_LOW]);
  }

  // -------------------------------------------------------------------------------------------
  // Other changes

  /** Removes a key. Returns STORED when it was there, NOT_FOUND, EXISTS when its CAS unique is another, NO_MEMORY. */
  remove(key: number, length: number, cas: U64 | null): number {
    const hash = this.hash(key, length);
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return NOT_FOUND;
    const item = partition.find(hash, key, length);
    let outcome = STORED;
    if (item === 0) outcome = NOT_FOUND;
    else if (cas !== null && !cas.isZero && !this.#matches(item, cas)) outcome = EXISTS;
    if (outcome === STORED) partition.unlink(item);
    if (outcome !== EXISTS) partition.count(item === 0 ? DELETE_MISSES : DELETE_HITS);
    partition.leave();
    return outcome;
  }

  /** Removes a key whose new value was refused, so that nobody gets the old one. */
  forget(key: number, length: number): void {
    const hash = this.hash(key, length);
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return;
    const item = partition.find(hash, key, length);
    if (item !== 0) partition.unlink(item);
    partition.leave();
  }

  /** Gives a key another expiry (Unix seconds). Returns STORED or NOT_FOUND. */
  touch(key: number, length: number, expiry: number): number {
    const hash = this.hash(key, length);
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return NOT_FOUND;
    const item = partition.find(hash, key, length);
    partition.count(CMD_TOUCH);
    partition.count(item === 0 ? TOUCH_MISSES : TOUCH_HITS);
    if (item !== 0) {
      this.words[(item >>> 2) + EXPIRY] = expiry;
      partition.use(item);
      this.#tellCas(item);
      this.touchedFlags = this.words[(item >>> 2) + FLAGS];
    }
    partition.leave();
    return item === 0 ? NOT_FOUND : STORED;
  }

  /**
   * Adds to a decimal number, or takes from it; what it becomes is in `number`, its CAS unique in `cas`. Returns
   * STORED, NOT_FOUND, NOT_A_NUMBER, NO_MEMORY, or EXISTS when `cas` is neither 0 nor the present one.
   */
  change(key: number, length: number, delta: U64, add: boolean, cas: U64): number {
    const hash = this.hash(key, length);
    const partition = this.partition(hash);
    if (!partition.enter(this.now)) return NO_MEMORY;
    const item = partition.find(hash, key, length);
    let outcome = NOT_FOUND;
    if (item === 0) partition.count(add ? INCR_MISSES : DECR_MISSES);
    else outcome = this.#changeItem(partition, item, delta, add, cas);
    partition.leave();
    return outcome;
  }

  #changeItem(partition: Partition, item: number, delta: U64, add: boolean, cas: U64): number {
    const { words, bytes, number } = this;
    const at = item >>> 2;
    const value = item + KEY + (words[at + STATE] & KEY_LENGTH_MASK);
    if (!cas.isZero && !this.#matches(item, cas)) return EXISTS;
    if (!number.parse(bytes, value, value + words[at + LENGTH], true)) return NOT_A_NUMBER;
    partition.count(add ? INCR_HITS : DECR_HITS);
    if (add) number.add(delta);
    else number.subtract(delta);
    const digits = number.toString();
    const changed = this.#rewrite(partition, item, digits);
    if (changed === 0) return NO_MEMORY;
    cas.set(words[(changed >>> 2) + CAS_HIGH], words[(changed >>> 2) + CAS_LOW]);
    return STORED;
  }

  /** Writes digits in place and spaces after them, as memcached does, or else a new item. Returns it, or 0. */
  #rewrite(partition: Partition, item: number, digits: string): number {
    const { words } = this;
    const at = item >>> 2;
    const keyLength = words[at + STATE] & KEY_LENGTH_MASK;
    let changed = item;
    if (digits.length > words[at + LENGTH] || words[at + REFERENCES] > 0) {
      partition.keep(item);
      const { [at + HASH]: hash, [at + FLAGS]: flags, [at + EXPIRY]: expiry } = words;
      const length = digits.length;
      changed = partition.create(hash, item + KEY, keyLength, flags, expiry, length);
      partition.release(item);
      if (changed === 0) return 0;
    }
    const value = changed + KEY + keyLength;
    for (let i = 0; i < words[(changed >>> 2) + LENGTH]; i++) {
      this.bytes[value + i] = i < digits.length ? digits.charCodeAt(i) : 0x20;
    }
    if (changed === item) {
      partition.renew(item);
      partition.use(item);
    } else {
      partition.unlink(item);
      partition.link(changed);
      partition.release(changed);
    }
    return changed;
  }

  /** Everything stored until `time` (Unix seconds) is gone from then on; 0: from now on. */
  flush(time: number): void {
    for (const partition of this.partitions) {
      if (!partition.enter(this.now)) continue;
      partition.flush(time);
      partition.leave();
    }
  }

  resetCounters(): void {
    for (const partition of this.partitions) {
      if (!partition.enter(this.now)) continue;
      partition.resetCounters();
      partition.leave();
    }
  }

  /** Name and value of all counters. */
  counters(): [string, number][] {
    return [
      ...CORE_COUNTERS.map((name, i): [string, number] => [
        name,
        this.allCoreCounters.reduce((sum, cells) => sum + cells[i], 0),
      ]),
      ...PARTITION_COUNTERS.map((name, i): [string, number] => [name, this.sum(i)]),
    ];
  }
}

/** Times up to this are counted from now (memcached's protocol.txt). */
const MONTH = 30 * 24 * 60 * 60;

/** A power of two; one where there is one core. */
function countPartitions(size: number, cores: number, itemMax: number): number {
  if (size < 2 * itemMax + (1 << 20)) {
    throw new RangeError(
      `sharedWindow: memcached needs at least ${2 * itemMax + (1 << 20)} bytes of it and ` +
        `some for each core, there are ${Math.max(size, 0)}`,
    );
  }
  if (cores === 1) return 1;
  const most = Math.min(cores * PARTITIONS_PER_CORE, size / (LARGEST_ITEMS * itemMax));
  return 2 ** Math.floor(Math.log2(Math.max(most, 1)));
}

/** Initializes the partitions unless another core has; waits while another does. */
function makeOnce(locks: Int32Array, at: number, partitions: readonly Partition[]): void {
  const before = Atomics.compareExchange(locks, at, EMPTY, BEING_MADE);
  if (before === EMPTY) {
    for (const partition of partitions) partition.initialize();
    Atomics.store(locks, at, READY);
  }
  while (Atomics.load(locks, at) !== READY);
}
