/**
 * The NIC's side of a sending queue: reads frames from the TX ring and completes their descriptors.
 *
 * Nothing in a descriptor is believed. One that lies outside the memory, is empty or too long, or a
 * chain without an end is dropped, counted, and completed like any other, so a kernel that errs
 * gets its frames back and harms only what it meant to send.
 *
 * A descriptor is taken only when the completion ring has room for it: a kernel that does not
 * reclaim stops its own transmission, as with AF_XDP.
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
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../../assembly/abi.ts";
import { BATCH, MAX_FRAGMENTS } from "./batch.ts";
import type { Frame, FrameBatch } from "./batch.ts";
import { MIN_FRAME } from "./checksum.ts";
import type { MemoryView } from "./memory-view.ts";
import type { Port } from "./port.ts";
import { TX_COUNTERS } from "./port-state.ts";

/** Longest frame that may be asked for, in one descriptor or many. */
const MAX_LENGTH = 65536;

const ADDRESS = DESC_ADDRESS / 4;
const HIGH = ADDRESS + 1;
const LENGTH = DESC_LENGTH / 4;
const OPTIONS = DESC_OPTIONS / 4;

// Constants of this module's own, for the sake of speed: see rx-queue.ts.
const FRAMES = BATCH;
const CONTINUED = DESC_CONTINUED;
const METADATA = DESC_METADATA;
const META_FLAGS = (METADATA_SIZE - TX_META_FLAGS) / 4;
const META_CHECKSUM = (METADATA_SIZE - TX_META_CSUM_START) / 4;
const CHECKSUM_WANTED = TX_META_CHECKSUM;
const SHORTEST = MIN_FRAME;

const SENT = TX_COUNTERS.indexOf("sent");
const SENT_BYTES = TX_COUNTERS.indexOf("sentBytes");
const BAD_DESCRIPTOR = TX_COUNTERS.indexOf("badDescriptor");
const BAD_CHAIN = TX_COUNTERS.indexOf("badChain");
const TOO_SHORT = TX_COUNTERS.indexOf("tooShort");

export class TxQueue {
  readonly #memory: MemoryView;
  readonly #numbers: Float64Array;
  readonly #counters: number;
  /** Whether checksum requests are for this NIC to fulfil. */
  readonly #takesChecksums: boolean;

  readonly #txProducer: number;
  readonly #txConsumer: number;
  readonly #txDescriptors: number;
  readonly #txMask: number;
  readonly #completionProducer: number;
  readonly #completionConsumer: number;
  readonly #completionDescriptors: number;
  readonly #completionMask: number;

  /** Next tx descriptor to take, and next completion to write. */
  #tail: number;
  #head: number;
  /** Descriptors that may be taken now. */
  #left = 0;
  /** A chain of so many descriptors without an end can never get one: the rings hold no more. */
  #hopeless = -1;
  /** In the middle of a chain that is being thrown away. */
  #discarding = false;

  constructor(port: Port, queue: number, takesChecksums: boolean) {
    this.#memory = port.memory;
    this.#takesChecksums = takesChecksums;
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
    const { words } = this.#memory;
    const entries = this.#txMask + 1;
    let waiting = (Atomics.load(words, this.#txProducer) - this.#tail) | 0;
    if (waiting === 0) return false;
    // A distance that no honest producer leaves: there are only so many descriptors.
    if (waiting >>> 0 > entries) waiting = entries;
    const taken = (this.#head - Atomics.load(words, this.#completionConsumer)) >>> 0;
    const room = taken > this.#completionMask ? 0 : this.#completionMask + 1 - taken;
    this.#left = waiting < room ? waiting : room;
    const full = waiting === entries || (waiting > room && taken === 0);
    this.#hopeless = full ? this.#left : -1;
    return this.#left !== 0;
  }

  /** Appends frames to the batch until it is full or nothing is left. Returns how many. */
  read(batch: FrameBatch): number {
    const { words, size } = this.#memory;
    const txMask = this.#txMask;
    const completionMask = this.#completionMask;
    const { frames } = batch;
    const before = batch.count;
    let count = before;
    let left = this.#left;
    let tail = this.#tail;
    let head = this.#head;
    let bytes = 0;
    while (left !== 0 && count < FRAMES) {
      const slot = this.#txDescriptors + ((tail & txMask) << 2);
      const options = words[slot + OPTIONS];
      if ((options & CONTINUED) !== 0 || this.#discarding) {
        if (batch.fragmentsFull) break;
        this.#left = left;
        this.#tail = tail;
        this.#head = head;
        const length = this.#readChain(batch, frames[count]);
        left = this.#left;
        tail = this.#tail;
        head = this.#head;
        if (length === 0) continue;
        count++;
        bytes += length;
        continue;
      }
      const address = words[slot + ADDRESS];
      const high = words[slot + HIGH];
      const length = words[slot + LENGTH];
      const completion = this.#completionDescriptors + ((head & completionMask) << 1);
      words[completion] = address;
      words[completion + 1] = high;
      head = (head + 1) | 0;
      tail = (tail + 1) | 0;
      left--;
      if (high !== 0 || length < SHORTEST || length > MAX_LENGTH) {
        this.#refuse(high === 0 && length > 0 && length < SHORTEST ? TOO_SHORT : BAD_DESCRIPTOR);
        continue;
      }
      if ((address >>> 0) + length > size) {
        this.#refuse(BAD_DESCRIPTOR);
        continue;
      }
      const frame = frames[count];
      frame.address = address;
      frame.length = length;
      frame.state = 0;
      frame.checksum = (options & METADATA) === 0 ? 0 : this.#checksumRequest(address);
      frame.fragments = 0;
      count++;
      bytes += length;
    }
    this.#left = left;
    this.#tail = tail;
    this.#head = head;
    batch.count = count;
    const read = count - before;
    this.#numbers[this.#counters + SENT] += read;
    this.#numbers[this.#counters + SENT_BYTES] += bytes;
    return read;
  }

  /** Publishes what was taken and completed. The kernel may reuse those frames at once. */
  end(): void {
    const { words } = this.#memory;
    Atomics.store(words, this.#txConsumer, this.#tail);
    Atomics.store(words, this.#completionProducer, this.#head);
  }

  /** Takes one descriptor and completes it. */
  #complete(address: number, high: number): void {
    const { words } = this.#memory;
    const at = this.#completionDescriptors + ((this.#head & this.#completionMask) << 1);
    words[at] = address;
    words[at + 1] = high;
    this.#head = (this.#head + 1) | 0;
    this.#tail = (this.#tail + 1) | 0;
    this.#left--;
  }

  /** The checksum word of the metadata before a frame, or 0 when none is asked for. */
  #checksumRequest(address: number): number {
    if (!this.#takesChecksums) return 0;
    const at = (address >>> 0) - METADATA_SIZE;
    if (at < 0) return 0;
    if ((address & 3) === 0) {
      const { words } = this.#memory;
      const word = address >>> 2;
      if ((words[word - META_FLAGS] & CHECKSUM_WANTED) === 0) return 0;
      return words[word - META_CHECKSUM];
    }
    const { bytes } = this.#memory;
    if ((bytes[at + TX_META_FLAGS] & CHECKSUM_WANTED) === 0) return 0;
    const start = at + TX_META_CSUM_START;
    return (
      bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16) | (bytes[start + 3] << 24)
    );
  }

  /**
   * Takes a chain of descriptors and makes it the frame, unless something is wrong with
   * it. Takes nothing more when its end has not been published yet. Returns the frame's bytes, or
   * 0.
   */
  #readChain(batch: FrameBatch, frame: Frame): number {
    const { words, size } = this.#memory;
    const mask = this.#txMask;
    const first = batch.fragmentCount;
    const head = this.#txDescriptors + ((this.#tail & mask) << 2);
    const address = words[head + ADDRESS];
    const options = words[head + OPTIONS];
    let count = 0;
    let length = 0;
    let valid = !this.#discarding;
    let last = false;
    while (!last && count < this.#left && count < MAX_FRAGMENTS) {
      const slot = this.#txDescriptors + (((this.#tail + count) & mask) << 2);
      const start = words[slot + ADDRESS] >>> 0;
      const part = words[slot + LENGTH];
      if (words[slot + HIGH] !== 0 || part <= 0 || start + part > size) valid = false;
      length += part;
      if (length > MAX_LENGTH) valid = false;
      batch.fragmentAddress[first + count] = start;
      batch.fragmentLength[first + count] = part;
      last = (words[slot + OPTIONS] & CONTINUED) === 0;
      count++;
    }
    if (!last && !this.#discarding && count < MAX_FRAGMENTS && count !== this.#hopeless) {
      this.#left = 0;
      return 0;
    }
    for (let i = 0; i < count; i++) {
      const slot = this.#txDescriptors + ((this.#tail & mask) << 2);
      this.#complete(words[slot + ADDRESS], words[slot + HIGH]);
    }
    if (!valid || !last) {
      if (!this.#discarding) this.#refuse(BAD_CHAIN);
      this.#discarding = !last;
      return 0;
    }
    if (length < SHORTEST) {
      this.#refuse(TOO_SHORT);
      return 0;
    }
    batch.fragmentCount = first + count;
    frame.address = address;
    frame.length = length;
    frame.state = 0;
    frame.checksum = (options & METADATA) === 0 ? 0 : this.#checksumRequest(address);
    frame.fragments = count;
    frame.firstFragment = first;
    return length;
  }

  #refuse(counter: number): void {
    this.#numbers[this.#counters + counter]++;
  }
}
