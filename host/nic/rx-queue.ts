/**
 * A receiving queue as one sending thread sees it: it takes buffers from the fill ring and puts
 * descriptors into the rx ring, as the NIC's receive DMA does.
 *
 * The frames of a batch for one queue are listed first and then delivered together: lock, read the
 * words, deliver, publish, unlock, and wake the core if it sleeps. The lock is what several senders need;
 * alone, a sender pays about 15 ns a batch for it.
 */
import {
  CORE_DOORBELL,
  CORE_PARKED,
  FRAME_HEADROOM,
  FRAME_SIZE,
  QUEUE_CORE,
  QUEUE_FILL,
  QUEUE_RX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
} from "../../assembly/abi.ts";
import type { Port } from "./port.ts";
import { QUEUE_LOCK, QUEUE_STATE_SIZE, STATE_QUEUES } from "./port-state.ts";
import { lock, unlock } from "./ring-lock.ts";

/** Longest frame a receive buffer takes. */
export const MAX_FRAME = FRAME_SIZE - FRAME_HEADROOM;

/** Frames a sender handles at a time. */
export const BATCH = 128;

export class RxQueue {
  readonly port: Port;
  /** Frames of the sender's batch that go here, by their index in the batch. */
  readonly frames = new Uint8Array(BATCH);
  frameCount = 0;

  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #size: number;
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
  readonly #parked: number;

  /** Valid between `begin` and `end`: next fill position, fill descriptors left. */
  #fillTail = 0;
  #fillLeft = 0;
  #rxHead = 0;
  #rxRoom = 0;
  #received = 0;
  #receivedBytes = 0;

  constructor(port: Port, queue: number) {
    this.port = port;
    const { words, size } = port.memory;
    this.#words = words;
    this.#size = size;
    this.#numbers = port.numbers;
    this.#lock = (STATE_QUEUES + queue * QUEUE_STATE_SIZE + QUEUE_LOCK) >> 2;
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
  }

  /** Takes the rings; false when their lock could not be had, and then all frames are to be dropped. */
  begin(): boolean {
    if (!lock(this.port.state, this.#lock)) return false;
    const words = this.#words;
    this.#fillTail = words[this.#fillConsumer];
    this.#fillLeft = Atomics.load(words, this.#fillProducer) - this.#fillTail;
    // A distance that no honest producer leaves means descriptors that nobody wrote.
    if (this.#fillLeft >>> 0 > this.#fillMask + 1) this.#fillLeft = this.#fillMask + 1;
    this.#rxHead = words[this.#rxProducer];
    this.#rxRoom = this.#rxMask + 1 - (this.#rxHead - Atomics.load(words, this.#rxConsumer));
    if (this.#rxRoom >>> 0 > this.#rxMask + 1) this.#rxRoom = 0;
    return true;
  }

  /**
   * Address at which the next packet is to be written, or 0 when the frame had to be dropped, which is
   * counted. `put` must follow.
   */
  take(): number {
    if (this.#rxRoom === 0) {
      this.#numbers[this.#counters + 4]++;
      return 0;
    }
    while (this.#fillLeft !== 0) {
      const slot = this.#fillDescriptors + ((this.#fillTail & this.#fillMask) << 1);
      const words = this.#words;
      const address = (words[slot] & -FRAME_SIZE) >>> 0;
      const high = words[slot + 1];
      this.#fillTail = (this.#fillTail + 1) | 0;
      this.#fillLeft--;
      // As AF_XDP has it, the NIC rounds an address down to its frame; page 0 holds none.
      if (high === 0 && address >= 0x10000 && address + FRAME_SIZE <= this.#size) {
        return address + FRAME_HEADROOM;
      }
      this.#numbers[this.#counters + 3]++;
    }
    this.#numbers[this.#counters + 2]++;
    return 0;
  }

  /** Puts the packet that was written at `address` into the rx ring. */
  put(address: number, length: number): void {
    const words = this.#words;
    const slot = this.#rxDescriptors + ((this.#rxHead & this.#rxMask) << 2);
    words[slot] = address;
    words[slot + 1] = 0;
    words[slot + 2] = length;
    words[slot + 3] = 0;
    this.#rxHead = (this.#rxHead + 1) | 0;
    this.#rxRoom--;
    this.#received++;
    this.#receivedBytes += length;
  }

  countBadChecksum(): void {
    this.#numbers[this.#counters + 5]++;
  }

  /** Publishes what was put, gives the rings back and wakes the core. */
  end(): void {
    const words = this.#words;
    const received = this.#received;
    Atomics.store(words, this.#fillConsumer, this.#fillTail);
    if (received !== 0) {
      this.#numbers[this.#counters] += received;
      this.#numbers[this.#counters + 1] += this.#receivedBytes;
      this.#received = 0;
      this.#receivedBytes = 0;
      Atomics.store(words, this.#rxProducer, this.#rxHead);
    }
    unlock(this.port.state, this.#lock);
    if (received !== 0) this.#wake();
  }

  /**
   * The core sets CORE_PARKED, then looks at its rings once more, then sleeps; here the ring comes
   * first and CORE_PARKED second. So one of the two sees the other's store.
   */
  #wake(): void {
    if (this.#parked === 0 || Atomics.load(this.#words, this.#parked) === 0) return;
    Atomics.add(this.#words, this.#doorbell, 1);
    Atomics.notify(this.#words, this.#doorbell);
  }
}
