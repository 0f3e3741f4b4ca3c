/**
 * The NIC's side of a sending queue: reads the TX ring frame by frame and completes descriptors.
 *
 * Nothing in a descriptor is believed. One that lies outside the memory, is empty or too long, or a
 * chain without an end is dropped, counted, and completed like any other, so a kernel that errs gets
 * its frames back and harms only what it meant to send.
 *
 * A descriptor is taken only when the completion ring has room for it: a kernel that does not reclaim
 * stops its own transmission, as with AF_XDP.
 */
import {
  DESC_ADDRESS,
  DESC_CONTINUED,
  DESC_LENGTH,
  DESC_METADATA,
  DESC_OPTIONS,
  METADATA_SIZE,
  QUEUE_COMPLETION,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../../assembly/abi.ts";
import { MIN_FRAME } from "./classifier.ts";
import type { MemoryView } from "./memory-view.ts";
import type { Port } from "./port.ts";

/** Most descriptors of one frame. */
export const MAX_FRAGMENTS = 80;
/** Longest frame that may be asked for, in one descriptor or many. */
const MAX_LENGTH = 65536;
/** Fragments kept for the frames of a batch. */
const FRAGMENTS = 1024;

const ADDRESS = DESC_ADDRESS / 4;
const LENGTH = DESC_LENGTH / 4;
const OPTIONS = DESC_OPTIONS / 4;

/** Indices of the counters, in the order of TX_COUNTERS. */
const BAD_DESCRIPTOR = 2;
const BAD_CHAIN = 3;
const TOO_SHORT = 4;

export class TxQueue {
  readonly memory: MemoryView;

  /** The frame that `next` found: where its first part lies, and all its bytes. */
  address = 0;
  length = 0;
  /** 1 for a frame in one piece; else its parts are in the fragment arrays from `firstFragment`. */
  fragments = 1;
  firstFragment = 0;
  /** Bytes in the first part. */
  firstLength = 0;
  /** Checksum request: offsets from the frame's start; start 0 when there is none. */
  checksumStart = 0;
  checksumField = 0;

  /** Parts of the batch's scattered frames. */
  readonly fragmentAddress = new Uint32Array(FRAGMENTS);
  readonly fragmentLength = new Int32Array(FRAGMENTS);
  #fragmentEnd = 0;

  readonly #numbers: Float64Array;
  readonly #counters: number;
  readonly #txProducer: number;
  readonly #txConsumer: number;
  readonly #txDescriptors: number;
  readonly #txMask: number;
  readonly #completionProducer: number;
  readonly #completionConsumer: number;
  readonly #completionDescriptors: number;
  readonly #completionMask: number;

  #tail: number;
  #head: number;
  /** Descriptors that may be taken now. */
  #left = 0;
  /** A chain of so many descriptors without an end can never get one: the rings hold no more. */
  #hopeless = -1;
  /** In the middle of a chain that is being thrown away. */
  #discarding = false;
  #sent = 0;
  #sentBytes = 0;

  constructor(port: Port, queue: number) {
    this.memory = port.memory;
    const { words } = port.memory;
    this.#numbers = port.numbers;
    this.#counters = port.txCounters(queue);
    const block = port.handle.queues[queue];
    const tx = (block + QUEUE_TX) >>> 2;
    const completion = (block + QUEUE_COMPLETION) >>> 2;
    this.#txProducer = words[tx + RING_PRODUCER / 4] >>> 2;
    this.#txConsumer = words[tx + RING_CONSUMER / 4] >>> 2;
    this.#txDescriptors = words[tx + RING_DESCRIPTORS / 4] >>> 2;
    this.#txMask = words[tx + RING_MASK / 4];
    this.#completionProducer = words[completion + RING_PRODUCER / 4] >>> 2;
    this.#completionConsumer = words[completion + RING_CONSUMER / 4] >>> 2;
    this.#completionDescriptors = words[completion + RING_DESCRIPTORS / 4] >>> 2;
    this.#completionMask = words[completion + RING_MASK / 4];
    this.#tail = words[this.#txConsumer];
    this.#head = words[this.#completionProducer];
  }

  /** Looks at the kernel's words; true when there is something to take. */
  begin(): boolean {
    const { words } = this.memory;
    const entries = this.#txMask + 1;
    let waiting = (Atomics.load(words, this.#txProducer) - this.#tail) | 0;
    if (waiting === 0) return false;
    if (waiting >>> 0 > entries) waiting = entries;
    const taken = (this.#head - Atomics.load(words, this.#completionConsumer)) >>> 0;
    const room = taken > this.#completionMask ? 0 : this.#completionMask + 1 - taken;
    this.#left = waiting < room ? waiting : room;
    const full = waiting === entries || (waiting > room && taken === 0);
    this.#hopeless = full ? this.#left : -1;
    this.#fragmentEnd = 0;
    return this.#left !== 0;
  }

  /** Finds the next frame that can be sent; false when there is none. */
  next(): boolean {
    const { words, size } = this.memory;
    while (this.#left !== 0) {
      const slot = this.#txDescriptors + ((this.#tail & this.#txMask) << 2);
      const options = words[slot + OPTIONS];
      if ((options & DESC_CONTINUED) !== 0 || this.#discarding) {
        const chain = this.#nextChain();
        if (chain < 0) return false;
        if (chain === 0) continue;
        return true;
      }
      const address = words[slot + ADDRESS] >>> 0;
      const length = words[slot + LENGTH];
      const valid = words[slot + ADDRESS + 1] === 0 && length > 0 && address + length <= size;
      this.#complete(slot);
      if (!valid || length > MAX_LENGTH) {
        this.#count(BAD_DESCRIPTOR);
        continue;
      }
      if (length < MIN_FRAME) {
        this.#count(TOO_SHORT);
        continue;
      }
      this.address = address;
      this.length = length;
      this.firstLength = length;
      this.fragments = 1;
      this.#readMetadata(address, length, options);
      this.#sent++;
      this.#sentBytes += length;
      return true;
    }
    return false;
  }

  /** True when the fragment arrays hold no further frame of any shape; `begin` empties them. */
  get fragmentsFull(): boolean {
    return this.#fragmentEnd > FRAGMENTS - MAX_FRAGMENTS;
  }

  /** The frames found so far have been dealt with: their fragments may be forgotten. */
  forgetFragments(): void {
    this.#fragmentEnd = 0;
  }

  /** Publishes what was taken and completed. The kernel may reuse those frames at once. */
  end(): void {
    const { words } = this.memory;
    Atomics.store(words, this.#txConsumer, this.#tail);
    Atomics.store(words, this.#completionProducer, this.#head);
    this.#numbers[this.#counters] += this.#sent;
    this.#numbers[this.#counters + 1] += this.#sentBytes;
    this.#sent = 0;
    this.#sentBytes = 0;
  }

  /**
   * Takes a chain of descriptors. Returns 1 when it is a frame, 0 when it (or part of it) was thrown
   * away, -1 when its end has not been published yet; then nothing was taken.
   */
  #nextChain(): number {
    const { words, size } = this.memory;
    const mask = this.#txMask;
    const first = this.#fragmentEnd;
    let count = 0;
    let length = 0;
    let valid = !this.#discarding;
    let last = false;
    while (!last && count < this.#left && count < MAX_FRAGMENTS) {
      const slot = this.#txDescriptors + (((this.#tail + count) & mask) << 2);
      const address = words[slot + ADDRESS] >>> 0;
      const part = words[slot + LENGTH];
      if (words[slot + ADDRESS + 1] !== 0 || part <= 0 || address + part > size) valid = false;
      length += part;
      if (length > MAX_LENGTH) valid = false;
      this.fragmentAddress[first + count] = address;
      this.fragmentLength[first + count] = part;
      last = (words[slot + OPTIONS] & DESC_CONTINUED) === 0;
      count++;
    }
    if (!last && !this.#discarding && count < MAX_FRAGMENTS && count !== this.#hopeless) {
      this.#left = 0;
      return -1;
    }
    const options = words[this.#txDescriptors + ((this.#tail & mask) << 2) + OPTIONS];
    for (let i = 0; i < count; i++) {
      this.#complete(this.#txDescriptors + ((this.#tail & mask) << 2));
    }
    if (!valid || !last) {
      if (!this.#discarding) this.#count(BAD_CHAIN);
      this.#discarding = !last;
      return 0;
    }
    if (length < MIN_FRAME) {
      this.#count(TOO_SHORT);
      return 0;
    }
    this.address = this.fragmentAddress[first];
    this.length = length;
    this.firstFragment = first;
    this.firstLength = this.fragmentLength[first];
    this.fragments = count;
    this.#fragmentEnd = first + count;
    this.#readMetadata(this.address, length, options);
    this.#sent++;
    this.#sentBytes += length;
    return 1;
  }

  /** Takes one descriptor, whose first word is `slot`, and completes it. */
  #complete(slot: number): void {
    const { words } = this.memory;
    const at = this.#completionDescriptors + ((this.#head & this.#completionMask) << 1);
    words[at] = words[slot + ADDRESS];
    words[at + 1] = words[slot + ADDRESS + 1];
    this.#head = (this.#head + 1) | 0;
    this.#tail = (this.#tail + 1) | 0;
    this.#left--;
  }

  #readMetadata(address: number, length: number, options: number): void {
    this.checksumStart = 0;
    if ((options & DESC_METADATA) === 0 || address < METADATA_SIZE) return;
    const { bytes } = this.memory;
    const at = address - METADATA_SIZE;
    if ((bytes[at + TX_META_FLAGS] & TX_META_CHECKSUM) === 0) return;
    const start = bytes[at + TX_META_CSUM_START] | (bytes[at + TX_META_CSUM_START + 1] << 8);
    const field =
      start + (bytes[at + TX_META_CSUM_OFFSET] | (bytes[at + TX_META_CSUM_OFFSET + 1] << 8));
    if (start < MIN_FRAME || field + 2 > length) {
      this.#count(5);
      return;
    }
    this.checksumStart = start;
    this.checksumField = field;
  }

  #count(counter: number): void {
    this.#numbers[this.#counters + counter]++;
  }
}
