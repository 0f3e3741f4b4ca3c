/**
 * A receiving queue as one sending thread sees it: it takes buffers from the fill ring and puts
 * descriptors into the rx ring, as the NIC's receive DMA does.
 *
 * The frames of a batch for one queue are listed first and then delivered together: lock, read the
 * words, deliver, publish, unlock, and wake the core if it sleeps. The lock is what several senders
 * need; alone, a sender pays about 15 ns a batch for it.
 */
import {
  CORE_DOORBELL,
  CORE_PARKED,
  DESC_ADDRESS,
  DESC_LENGTH,
  DESC_OPTIONS,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  OFFLOAD_RX_CHECKSUM,
  OFFLOAD_RX_HASH,
  QUEUE_CORE,
  QUEUE_FILL,
  QUEUE_RX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_CHECKSUM_OK,
  RX_META_FLAGS,
  RX_META_HAS_TIME,
  RX_META_HASH,
  RX_META_TIME,
  WASM_PAGE,
} from "../../assembly/abi.ts";
import {
  BATCH,
  Frame,
  HASHED,
  LOOPBACK,
  REQUESTED,
  TRUSTED,
  UNUSUAL,
  VERIFIABLE,
} from "./batch.ts";
import type { FrameBatch } from "./batch.ts";
import { fulfil, transportChecksumOk } from "./checksum.ts";
import { Classifier } from "./classifier.ts";
import type { FrameObserver } from "./capture.ts";
import { copyBytes } from "./copy.ts";
import type { MemoryView } from "./memory-view.ts";
import type { Port } from "./port.ts";
import { RX_COUNTERS } from "./port-state.ts";
import { lock, unlock } from "./ring-lock.ts";

/** Longest frame a receive buffer takes. */
export const MAX_FRAME = FRAME_SIZE - FRAME_HEADROOM;

// What the delivery loop uses, as constants of this module: those V8 folds into its code, while it
// fetches imported ones anew each time.
const FRAME = FRAME_SIZE;
const HEADROOM = FRAME_HEADROOM;
const FIRST_FRAME = WASM_PAGE;
const META_FLAGS = (METADATA_SIZE - RX_META_FLAGS) / 4;
const META_HASH = (METADATA_SIZE - RX_META_HASH) / 4;
const META_TIME = (METADATA_SIZE - RX_META_TIME) / 4;
const HAS_TIME = RX_META_HAS_TIME;
const ADDRESS = DESC_ADDRESS / 4;
const LENGTH = DESC_LENGTH / 4;
const OPTIONS = DESC_OPTIONS / 4;

const RECEIVED = RX_COUNTERS.indexOf("received");
const RECEIVED_BYTES = RX_COUNTERS.indexOf("receivedBytes");
const NO_FILL_DESCRIPTOR = RX_COUNTERS.indexOf("noFillDescriptor");
const BAD_FILL_DESCRIPTOR = RX_COUNTERS.indexOf("badFillDescriptor");
const RX_RING_FULL = RX_COUNTERS.indexOf("rxRingFull");
const BAD_CHECKSUM = RX_COUNTERS.indexOf("badChecksum");

/** Shorter frames have room to begin up to 7 bytes later, and to end with a whole word. */
const SHIFTABLE = MAX_FRAME - 16;

const NO_FRAME = new Frame();

/** Sees each frame that was delivered, or dropped for want of room. */
export type DeliveryObserver = Pick<FrameObserver, "delivered" | "dropped">;

export class RxQueue {
  /** Frames of the sender's batch that go here. */
  readonly frames: Frame[] = Array.from({ length: BATCH }, () => NO_FRAME);
  frameCount = 0;

  readonly #port: Port;
  readonly #memory: MemoryView;
  readonly #lock: number;
  readonly #counters: number;

  readonly #fillProducer: number;
  readonly #fillConsumer: number;
  readonly #fillDescriptors: number;
  readonly #fillMask: number;
  readonly #rxProducer: number;
  readonly #rxConsumer: number;
  readonly #rxDescriptors: number;
  readonly #rxMask: number;
  readonly #doorbell: number;
  /** 0 when no core waits for this queue. */
  readonly #parked: number;

  /** Frame states with which a frame's checksum needs attention, by the port's offloads. */
  readonly #careful: number;
  /** Frame states that become metadata flags. */
  readonly #flags: number;
  readonly #verifies: boolean;
  readonly #classifier = new Classifier();

  constructor(port: Port, queue: number) {
    this.#port = port;
    this.#memory = port.memory;
    const { words } = port.memory;
    this.#lock = port.lockOf(queue);
    this.#counters = port.rxCounters(queue);
    const block = port.handle.queues[queue];
    const fill = (block + QUEUE_FILL) >>> 2;
    const rx = (block + QUEUE_RX) >>> 2;
    this.#fillProducer = words[fill + RING_PRODUCER / 4] >>> 2;
    this.#fillConsumer = words[fill + RING_CONSUMER / 4] >>> 2;
    this.#fillDescriptors = words[fill + RING_DESCRIPTORS / 4] >>> 2;
    this.#fillMask = words[fill + RING_MASK / 4];
    this.#rxProducer = words[rx + RING_PRODUCER / 4] >>> 2;
    this.#rxConsumer = words[rx + RING_CONSUMER / 4] >>> 2;
    this.#rxDescriptors = words[rx + RING_DESCRIPTORS / 4] >>> 2;
    this.#rxMask = words[rx + RING_MASK / 4];
    const core = words[(block + QUEUE_CORE) >>> 2] >>> 0;
    this.#doorbell = (core + CORE_DOORBELL) >>> 2;
    this.#parked = core === 0 ? 0 : (core + CORE_PARKED) >>> 2;
    this.#verifies = (port.offloads & OFFLOAD_RX_CHECKSUM) !== 0;
    this.#careful = this.#verifies ? UNUSUAL | VERIFIABLE : REQUESTED;
    this.#flags =
      LOOPBACK |
      ((port.offloads & OFFLOAD_RX_HASH) !== 0 ? HASHED : 0) |
      (this.#verifies ? TRUSTED : 0);
  }

  /** Whether a core has ever given buffers: one that has not begun is not waited for. */
  get isOpen(): boolean {
    return Atomics.load(this.#memory.words, this.#fillProducer) !== 0;
  }

  /** Whether so many frames more find a buffer and a place in the ring. */
  hasRoom(frames: number): boolean {
    const { words } = this.#memory;
    const used = (words[this.#rxProducer] - Atomics.load(words, this.#rxConsumer)) >>> 0;
    const left = (Atomics.load(words, this.#fillProducer) - words[this.#fillConsumer]) >>> 0;
    return used + frames <= this.#rxMask + 1 && left >= frames;
  }

  /**
   * Delivers the listed frames and empties the list. Or leaves everything as it is and returns false:
   * the port's RETA or filters have changed since the frames were steered.
   *
   * @param observer sees what arrives, if anybody does, as arriving at its port number `observed`
   */
  deliver(
    batch: FrameBatch,
    now: number,
    observer: DeliveryObserver | null,
    observed: number,
  ): boolean {
    const { state } = this.#port;
    if (!lock(state, this.#lock)) {
      for (; this.frameCount !== 0; this.frameCount--) this.#port.count("senderStuck");
      return true;
    }
    if (this.#port.isStale) {
      unlock(state, this.#lock);
      return false;
    }
    try {
      this.#deliverLocked(batch, now, observer, observed);
    } finally {
      this.frameCount = 0;
      unlock(state, this.#lock);
    }
    this.#wake();
    return true;
  }

  /** Takes a fill descriptor for each frame, puts the frame there, and publishes all at the end. */
  #deliverLocked(
    batch: FrameBatch,
    now: number,
    observer: DeliveryObserver | null,
    observed: number,
  ): void {
    const memory = this.#memory;
    const { words } = memory;
    const { frames, frameCount } = this;
    const careful = observer === null ? this.#careful : this.#careful | REQUESTED;
    const rxMask = this.#rxMask;
    const firstHead = words[this.#rxProducer];
    let room = rxMask + 1 - (firstHead - Atomics.load(words, this.#rxConsumer));
    if (room >>> 0 > rxMask + 1) room = 0;
    const fillMask = this.#fillMask;
    let tail = words[this.#fillConsumer];
    let left = (Atomics.load(words, this.#fillProducer) - tail) | 0;
    // A distance that no honest producer leaves: there are only so many descriptors.
    if (left >>> 0 > fillMask + 1) left = fillMask + 1;
    let head = firstHead;
    let bytes = 0;
    // Modulo 2^32, as a signed word.
    const time = now | 0;
    for (let k = 0; k < frameCount;) {
      if (room === 0 || left === 0) {
        this.#drop(room === 0 ? RX_RING_FULL : NO_FILL_DESCRIPTOR, frameCount - k);
        if (observer?.dropped) this.#showDropped(batch, k, now, observer, room === 0);
        break;
      }
      const fill = this.#fillDescriptors + ((tail & fillMask) << 1);
      tail = (tail + 1) | 0;
      left--;
      // As with AF_XDP, the NIC rounds an address down to its frame.
      const start = words[fill] & -FRAME;
      if (words[fill + 1] !== 0 || !this.#isFrame(start)) {
        this.#drop(BAD_FILL_DESCRIPTOR, 1);
        continue;
      }
      const frame = frames[k++];
      const { length } = frame;
      const packet = this.#place(batch, frame, start, careful, time);
      const slot = this.#rxDescriptors + ((head & rxMask) << 2);
      words[slot + ADDRESS] = packet;
      words[slot + ADDRESS + 1] = 0;
      words[slot + LENGTH] = length;
      words[slot + OPTIONS] = 0;
      head = (head + 1) | 0;
      room--;
      bytes += length;
      if (observer !== null) observer.delivered(observed, now, memory, packet >>> 0, length);
    }
    Atomics.store(words, this.#fillConsumer, tail);
    const received = (head - firstHead) | 0;
    if (received === 0) return;
    Atomics.store(words, this.#rxProducer, head);
    const { numbers } = this.#port;
    numbers[this.#counters + RECEIVED] += received;
    numbers[this.#counters + RECEIVED_BYTES] += bytes;
  }

  /** Shows the listed frames from number `first` on, for which there was no room. */
  #showDropped(
    batch: FrameBatch,
    first: number,
    now: number,
    observer: DeliveryObserver,
    isRingFull: boolean,
  ): void {
    for (let k = first; k < this.frameCount; k++) {
      const frame = this.frames[k];
      const where = isRingFull ? "ring" : "fill";
      observer.dropped!(now, batch.viewOf(frame), frame.address >>> 0, frame.length, where);
    }
  }

  /**
   * Copies a frame into the receive buffer at `start` and writes the metadata before it. Returns
   * where the packet begins, as a signed word.
   *
   * @param careful states of a frame whose checksum needs attention
   * @param time of arrival, µs
   */
  #place(batch: FrameBatch, frame: Frame, start: number, careful: number, time: number): number {
    const memory = this.#memory;
    const { state } = frame;
    let packet = start + HEADROOM;
    if (frame.fragments === 0 && frame.slot < 0) {
      copyBytes(memory, packet, batch.memory, frame.address, frame.length);
    } else {
      // Sums are quicker from an aligned start.
      if ((state & careful) === 0 && frame.length < SHIFTABLE) packet += batch.shiftOf(frame);
      batch.gather(frame, memory, packet);
    }
    let flags = (state & this.#flags) | HAS_TIME;
    if ((state & careful) !== 0) flags |= this.#settleChecksum(packet, frame);
    if ((packet & 3) === 0) {
      memory.words[(packet >>> 2) - META_FLAGS] = flags;
      memory.words[(packet >>> 2) - META_HASH] = frame.hash;
      memory.words[(packet >>> 2) - META_TIME] = time;
    } else {
      storeBytes(memory, (packet >>> 0) - META_FLAGS * 4, flags);
      storeBytes(memory, (packet >>> 0) - META_HASH * 4, frame.hash);
      storeBytes(memory, (packet >>> 0) - META_TIME * 4, time);
    }
    return packet;
  }

  /**
   * Rings the core's doorbell if it sleeps. The core sets CORE_PARKED, looks at its rings once
   * more, and sleeps; here the ring was stored first and CORE_PARKED is looked at second. So at
   * least one of the two sees the other.
   */
  #wake(): void {
    const { words } = this.#memory;
    if (this.#parked === 0 || Atomics.load(words, this.#parked) === 0) return;
    Atomics.add(words, this.#doorbell, 1);
    Atomics.notify(words, this.#doorbell);
  }

  /** Page 0 holds no frame, and neither does what lies outside the memory. */
  #isFrame(address: number): boolean {
    const start = address >>> 0;
    return start >= FIRST_FRAME && start + FRAME <= this.#memory.size;
  }

  #drop(counter: number, frames: number): void {
    this.#port.numbers[this.#counters + counter] += frames;
  }

  /**
   * Fills in a checksum that the sender left to the NIC, where somebody may look at it, and checks
   * one that nobody has vouched for. Returns the metadata flag that this earns.
   */
  #settleChecksum(packet: number, { length, state, checksum }: Frame): number {
    const memory = this.#memory;
    const start = packet >>> 0;
    if ((state & REQUESTED) !== 0) fulfil(memory, start, length, checksum);
    if (!this.#verifies || (state & VERIFIABLE) === 0) return 0;
    const headers = this.#classifier;
    headers.parse(memory, start, length);
    const right =
      headers.request !== 0 &&
      transportChecksumOk(
        memory,
        start + headers.addresses,
        headers.addressBytes,
        headers.protocol,
        start + headers.ports,
        headers.transportLength,
      );
    if (right) return RX_META_CHECKSUM_OK;
    this.#drop(BAD_CHECKSUM, 1);
    return 0;
  }
}

/** Stores a word where it need not be aligned. */
function storeBytes({ bytes }: MemoryView, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}
