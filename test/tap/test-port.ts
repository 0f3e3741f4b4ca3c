/**
 * The dataplane's side of one NIC queue pair, played by a test: it fills frames, takes received ones,
 * queues packets of one or several descriptors and collects their completions.
 */
import {
  DESC_CONTINUED,
  DESC_METADATA,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_FLAGS,
  RX_META_HAS_TIME,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../../assembly/abi.ts";
import type { PortHandle } from "../../host/nic/types.ts";

const QUEUE_BLOCK = 0x10000;
const RINGS = 0x11000;
const RING_SPACE = 0x4000;
const FRAMES = 0x40000;
const FRAME_COUNT = 64;
/** Frames that the test sends from; the others are for the fill ring. */
const SEND_FRAMES = 32;
const PAGES = (FRAMES + FRAME_COUNT * FRAME_SIZE) / 65536;

export interface Received {
  readonly frame: Uint8Array;
  readonly flags: number;
}

export interface SendOptions {
  /** Sizes of the descriptors that the packet is cut into; the last one takes the rest. */
  readonly parts?: readonly number[];
  /** Asks for a checksum from `start` on, put at `start + offset`. */
  readonly checksum?: { readonly start: number; readonly offset: number };
}

export class TestPort {
  readonly memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly handle: PortHandle;
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  /** Addresses of frames that nobody uses. */
  readonly spare: number[] = [];
  #sendFrame = 0;

  /**
   * Rings of `entries` descriptors each, positions starting near their wrap at 2^32. There is one
   * queue pair, which stands for every queue of the port.
   */
  constructor(entries = 16, offloads = 0, queues = 1) {
    const block = QUEUE_BLOCK;
    [QUEUE_FILL, QUEUE_RX, QUEUE_TX, QUEUE_COMPLETION].forEach((ring, index) => {
      const base = RINGS + index * RING_SPACE;
      this.view.setUint32(block + ring + RING_PRODUCER, base, true);
      this.view.setUint32(block + ring + RING_CONSUMER, base + 64, true);
      this.view.setUint32(block + ring + RING_DESCRIPTORS, base + 256, true);
      this.view.setUint32(block + ring + RING_MASK, entries - 1, true);
      this.view.setUint32(base, 0xfffffff0, true);
      this.view.setUint32(base + 64, 0xfffffff0, true);
    });
    for (let i = SEND_FRAMES; i < FRAME_COUNT; i++) this.spare.push(FRAMES + i * FRAME_SIZE);
    this.handle = {
      name: "test",
      memory: this.memory,
      queues: Array.from({ length: queues }, () => block),
      state: new SharedArrayBuffer(64),
      mac: [2, 0, 0, 0, 0, 2],
      offloads,
    };
  }

  /** Descriptors between consumer and producer. */
  used(ring: number): number {
    return (this.#word(ring, RING_PRODUCER) - this.#word(ring, RING_CONSUMER)) >>> 0;
  }

  /** Puts up to `count` spare frames into the fill ring. */
  fill(count: number): void {
    for (let i = 0; i < count && this.spare.length > 0; i++) this.fillWith(this.spare.pop()!);
  }

  fillWith(address: number): void {
    const slot = this.#slot(QUEUE_FILL, RING_PRODUCER, 8);
    this.view.setUint32(slot, address, true);
    this.view.setUint32(slot + 4, 0, true);
    this.#advance(QUEUE_FILL, RING_PRODUCER);
  }

  /** Takes what was received; its frames are spare again. */
  take(limit = Infinity): Received[] {
    const received: Received[] = [];
    while (received.length < limit && this.used(QUEUE_RX) > 0) {
      const slot = this.#slot(QUEUE_RX, RING_CONSUMER, 16);
      const address = this.view.getUint32(slot, true);
      const length = this.view.getUint32(slot + 8, true);
      received.push({
        frame: this.bytes.slice(address, address + length),
        flags:
          this.view.getUint32(address - METADATA_SIZE + RX_META_FLAGS, true) & ~RX_META_HAS_TIME,
      });
      this.spare.push(address - FRAME_HEADROOM);
      this.#advance(QUEUE_RX, RING_CONSUMER);
    }
    return received;
  }

  /** Queues a packet for sending. */
  send(frame: Uint8Array, options: SendOptions = {}): void {
    const address = FRAMES + (this.#sendFrame++ % SEND_FRAMES) * FRAME_SIZE + FRAME_HEADROOM;
    this.bytes.set(frame, address);
    let flags = 0;
    if (options.checksum !== undefined) {
      const meta = address - METADATA_SIZE;
      this.view.setBigUint64(meta + TX_META_FLAGS, BigInt(TX_META_CHECKSUM), true);
      this.view.setUint16(meta + TX_META_CSUM_START, options.checksum.start, true);
      this.view.setUint16(meta + TX_META_CSUM_OFFSET, options.checksum.offset, true);
      flags = DESC_METADATA;
    }
    let at = 0;
    for (const length of options.parts ?? []) {
      this.sendDescriptor(address + at, length, flags | DESC_CONTINUED);
      at += length;
    }
    this.sendDescriptor(address + at, frame.length - at, flags);
  }

  sendDescriptor(address: number, length: number, options: number): void {
    const slot = this.#slot(QUEUE_TX, RING_PRODUCER, 16);
    this.view.setUint32(slot, address, true);
    this.view.setUint32(slot + 4, 0, true);
    this.view.setUint32(slot + 8, length, true);
    this.view.setUint32(slot + 12, options, true);
    this.#advance(QUEUE_TX, RING_PRODUCER);
  }

  /** Takes the completions that have come. Returns their addresses. */
  completions(): number[] {
    const addresses: number[] = [];
    while (this.used(QUEUE_COMPLETION) > 0) {
      addresses.push(this.view.getUint32(this.#slot(QUEUE_COMPLETION, RING_CONSUMER, 8), true));
      this.#advance(QUEUE_COMPLETION, RING_CONSUMER);
    }
    return addresses;
  }

  #address(ring: number, word: number): number {
    return this.view.getUint32(QUEUE_BLOCK + ring + word, true);
  }

  #word(ring: number, word: number): number {
    return this.view.getUint32(this.#address(ring, word), true);
  }

  #slot(ring: number, position: number, size: number): number {
    const index = this.#word(ring, position) & this.#address(ring, RING_MASK);
    return this.#address(ring, RING_DESCRIPTORS) + index * size;
  }

  #advance(ring: number, position: number): void {
    this.view.setUint32(this.#address(ring, position), this.#word(ring, position) + 1, true);
  }
}
