/**
 * Exact-match filters, as 82599's Flow Director has them: a 5-tuple of a TCP or UDP packet that
 * goes to a queue of its own, before RSS is asked. An open-addressing table in the port's shared
 * state, keyed by the RSS hash that the NIC computes anyway.
 *
 * Senders look up without a lock while the control plane changes the table (under the port's
 * control lock). A slot's tag is stored last when it is filled and first when it is emptied, and
 * never has the same value twice in a row; a reader that finds the tag unchanged after comparing
 * has read one filter.
 *
 *   word 0 tag · 1 hash · 2 queue · 3 protocol · 4 ports · 5–8 source · 9–12 destination
 *
 * Addresses are in network order, IPv4 ones IPv4-mapped, as everywhere.
 */
import { hashIpv4, hashIpv6, STANDARD_TABLES } from "./rss.ts";
import {
  FILTER_SIZE,
  FILTER_SLOTS,
  MAX_FILTERS,
  STATE_FILTER_COUNT,
  STATE_FILTER_GENERATION,
} from "./port-state.ts";

/** A packet as the receiving port sees it: source is the far end. */
export interface FilterTuple {
  /** 6 (TCP) or 17 (UDP). */
  readonly protocol: number;
  /** 4 or 16 bytes, network order; an IPv4-mapped address counts as IPv4. */
  readonly source: ArrayLike<number>;
  readonly sourcePort: number;
  readonly destination: ArrayLike<number>;
  readonly destinationPort: number;
}

const WORDS = FILTER_SIZE / 4;
const SLOT_MASK = FILTER_SLOTS - 1;

const TAG = 0;
const HASH = 1;
const QUEUE = 2;
const PROTOCOL = 3;
const PORTS = 4;
const SOURCE = 5;
const DESTINATION = 9;

/** Tags: never used, emptied (the search goes on behind it), or in use: generation * 4 + 2. */
const EMPTY = 0;
const REMOVED = 1;
const IN_USE = 2;

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;

export class FilterTable {
  readonly #words: Int32Array;
  /** The words of all slots. */
  readonly #slots: Int32Array;
  /** A tuple in the shape that slots and packets are compared in. */
  readonly #key = new Int32Array(WORDS);
  readonly #tuple = new Uint8Array(36);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);

  /** @param offset where the slots begin in the port's state */
  constructor(state: SharedArrayBuffer, offset: number) {
    this.#words = new Int32Array(state);
    this.#slots = new Int32Array(state, offset, FILTER_SLOTS * WORDS);
  }

  /** Filters in force. */
  get count(): number {
    return Atomics.load(this.#words, STATE_FILTER_COUNT >> 2);
  }

  /**
   * Adds a filter, or changes the queue of the one that is there; false when the table is full. The
   * caller holds the port's control lock.
   */
  add(tuple: FilterTuple, queue: number): boolean {
    this.#setKey(tuple);
    const found = this.#find();
    if (found >= 0) {
      Atomics.store(this.#slots, found + QUEUE, queue);
      return true;
    }
    if (this.count >= MAX_FILTERS) return false;
    const slots = this.#slots;
    let index = this.#key[HASH] & SLOT_MASK;
    while (slots[index * WORDS] > REMOVED) index = (index + 1) & SLOT_MASK;
    const slot = index * WORDS;
    for (let i = HASH; i <= DESTINATION + 3; i++) slots[slot + i] = this.#key[i];
    slots[slot + QUEUE] = queue;
    const generation = Atomics.add(this.#words, STATE_FILTER_GENERATION >> 2, 1);
    Atomics.store(slots, slot + TAG, ((generation << 2) & 0x7ffffffc) | IN_USE);
    Atomics.add(this.#words, STATE_FILTER_COUNT >> 2, 1);
    return true;
  }

  /** Removes a filter; false when there is none. The caller holds the port's control lock. */
  remove(tuple: FilterTuple): boolean {
    this.#setKey(tuple);
    const found = this.#find();
    if (found < 0) return false;
    const slots = this.#slots;
    Atomics.store(slots, found + TAG, REMOVED);
    Atomics.sub(this.#words, STATE_FILTER_COUNT >> 2, 1);
    // Emptied slots at the end of a run hold up no search: give them back.
    let index = found / WORDS;
    while (slots[index * WORDS] === REMOVED && slots[((index + 1) & SLOT_MASK) * WORDS] === EMPTY) {
      Atomics.store(slots, index * WORDS, EMPTY);
      index = (index - 1) & SLOT_MASK;
    }
    return true;
  }

  /** The queue of the packet whose tuple lies at these offsets, or -1. Any thread, any time. */
  lookup(
    hash: number,
    protocol: number,
    bytes: Uint8Array,
    addresses: number,
    addressBytes: number,
    ports: number,
  ): number {
    const key = this.#key;
    key[HASH] = hash;
    key[PROTOCOL] = protocol;
    this.#setAddresses(bytes, addresses, addressBytes, ports);
    const found = this.#find();
    return found < 0 ? -1 : this.#slots[found + QUEUE];
  }

  /** First word of the slot that holds the key, or -1. */
  #find(): number {
    const slots = this.#slots;
    const key = this.#key;
    let index = key[HASH] & SLOT_MASK;
    for (let probes = 0; probes < FILTER_SLOTS; probes++) {
      const slot = index * WORDS;
      const tag = Atomics.load(slots, slot + TAG);
      if (tag === EMPTY) return -1;
      if (tag !== REMOVED && slots[slot + HASH] === key[HASH]) {
        let equal = true;
        for (let i = PROTOCOL; i <= DESTINATION + 3; i++) {
          if (slots[slot + i] !== key[i]) equal = false;
        }
        if (equal && Atomics.load(slots, slot + TAG) === tag) return slot;
      }
      index = (index + 1) & SLOT_MASK;
    }
    return -1;
  }

  #setKey(tuple: FilterTuple): void {
    const source = unmapped(tuple.source, "source");
    const destination = unmapped(tuple.destination, "destination");
    const size = source.length;
    if (destination.length !== size) {
      throw new TypeError("source and destination of a filter must be of one IP version");
    }
    if (tuple.protocol !== 6 && tuple.protocol !== 17) {
      throw new RangeError(`protocol: a filter matches 6 (TCP) or 17 (UDP), not ${tuple.protocol}`);
    }
    checkPort(tuple.sourcePort, "sourcePort");
    checkPort(tuple.destinationPort, "destinationPort");
    const bytes = this.#tuple;
    for (let i = 0; i < size; i++) {
      bytes[i] = source[i];
      bytes[size + i] = destination[i];
    }
    const ports = size * 2;
    bytes[ports] = tuple.sourcePort >> 8;
    bytes[ports + 1] = tuple.sourcePort;
    bytes[ports + 2] = tuple.destinationPort >> 8;
    bytes[ports + 3] = tuple.destinationPort;
    const hash = size === 4 ? hashIpv4 : hashIpv6;
    this.#key[HASH] = hash(STANDARD_TABLES, bytes, 0, ports);
    this.#key[PROTOCOL] = tuple.protocol;
    this.#setAddresses(bytes, 0, size, ports);
  }

  #setAddresses(bytes: Uint8Array, addresses: number, size: number, ports: number): void {
    const key = this.#keyBytes;
    for (let i = 0; i < 4; i++) key[PORTS * 4 + i] = bytes[ports + i];
    const gap = 16 - size;
    for (let i = 0; i < gap; i++) {
      key[SOURCE * 4 + i] = MAPPED[i];
      key[DESTINATION * 4 + i] = MAPPED[i];
    }
    for (let i = 0; i < size; i++) {
      key[SOURCE * 4 + gap + i] = bytes[addresses + i];
      key[DESTINATION * 4 + gap + i] = bytes[addresses + size + i];
    }
  }
}

function checkPort(port: number, name: string): void {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new RangeError(`${name}: ${port} is not in 0…65535`);
  }
}

/** The 4 bytes of an IPv4 or IPv4-mapped address, the 16 of another. */
function unmapped(address: ArrayLike<number>, name: string): ArrayLike<number> {
  if (address.length === 4) return address;
  if (address.length !== 16) {
    throw new RangeError(`${name}: an IP address has 4 or 16 bytes, not ${address.length}`);
  }
  const bytes = Array.from(address);
  return MAPPED.every((byte, i) => bytes[i] === byte) ? bytes.slice(12) : bytes;
}
