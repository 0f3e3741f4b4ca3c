/**
 * A stand-in for the dataplane kernel: lays out rings and frames in a memory of its own and works
 * them from the kernel's side, descriptor by descriptor.
 */
import {
  CORE_DOORBELL,
  CORE_PARKED,
  DESC_METADATA,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  QUEUE_COMPLETION,
  QUEUE_CORE,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_SIZE,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_HAS_TIME,
  TX_META_CHECKSUM,
  WASM_PAGE,
} from "../../assembly/abi.ts";
import { createPort, Port } from "../../host/nic/index.ts";
import type { PortHandle, PortOptions } from "../../host/nic/index.ts";

const RINGS = [QUEUE_FILL, QUEUE_RX, QUEUE_TX, QUEUE_COMPLETION];

export interface FakeKernelOptions extends Partial<PortOptions> {
  readonly queueCount?: number;
  readonly ringSize?: number;
  /** Pages of 64 KiB. Default 64. */
  readonly pages?: number;
  /** Fill descriptors given at the start, per queue. Default: as many as the ring holds. */
  readonly fill?: number;
}

export interface Received {
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly flags: number;
  readonly hash: number;
  /** When it arrived, µs modulo 2^32; -1 when the NIC does not say. */
  readonly time: number;
}

export class FakeKernel {
  readonly handle: PortHandle;
  readonly port: Port;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly core: number;
  /** Frames for sending start here. */
  readonly txFrames: number;
  #nextTx = 0;
  readonly #ringSize: number;

  constructor(name: string, options: FakeKernelOptions = {}) {
    const { queueCount = 1, ringSize = 256, pages = 64, fill = ringSize, ...rest } = options;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.words = new Int32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.#ringSize = ringSize;
    this.core = WASM_PAGE;
    const queues: number[] = [];
    let free = WASM_PAGE + 4096;
    for (let q = 0; q < queueCount; q++) {
      queues.push(free);
      free += QUEUE_SIZE;
    }
    for (const queue of queues) {
      this.words[(queue + QUEUE_CORE) >> 2] = this.core;
      for (const ring of RINGS) {
        const at = (queue + ring) >> 2;
        this.words[at] = free;
        this.words[at + 1] = free + 64;
        this.words[at + 2] = free + 128;
        this.words[at + RING_DESCRIPTORS / 4] = free + 192;
        this.words[at + RING_MASK / 4] = ringSize - 1;
        free += 192 + ringSize * 16;
      }
    }
    free = Math.ceil(free / FRAME_SIZE) * FRAME_SIZE;
    this.handle = createPort({
      name,
      memory,
      queues,
      mac: [2, 0, 0, 0, 0, name.charCodeAt(0)],
      offloads: 7,
      ...rest,
    });
    this.port = new Port(this.handle);
    for (let q = 0; q < queueCount; q++) {
      for (let i = 0; i < fill; i++) {
        this.giveFrame(q, free);
        free += FRAME_SIZE;
      }
    }
    this.txFrames = free;
  }

  get counters() {
    return this.port.counters();
  }

  word(queue: number, ring: number, word: number): number {
    const at = (this.handle.queues[queue] + ring + word) >>> 2;
    return word <= RING_CONSUMER ? this.words[this.words[at] >>> 2] : this.words[at];
  }

  setWord(queue: number, ring: number, word: number, value: number): void {
    const at = (this.handle.queues[queue] + ring + word) >>> 2;
    this.words[this.words[at] >>> 2] = value;
  }

  descriptors(queue: number, ring: number): number {
    return this.words[(this.handle.queues[queue] + ring + RING_DESCRIPTORS) >>> 2];
  }

  giveFrame(queue: number, address: number, high = 0): void {
    const head = this.word(queue, QUEUE_FILL, RING_PRODUCER);
    const slot = this.descriptors(queue, QUEUE_FILL) + (head & (this.#ringSize - 1)) * 8;
    this.words[slot >>> 2] = address;
    this.words[(slot >>> 2) + 1] = high;
    this.setWord(queue, QUEUE_FILL, RING_PRODUCER, head + 1);
  }

  /** Puts one raw descriptor into the TX ring. */
  descriptor(queue: number, address: number, length: number, options = 0, high = 0): void {
    const head = this.word(queue, QUEUE_TX, RING_PRODUCER);
    const slot = this.descriptors(queue, QUEUE_TX) + (head & (this.#ringSize - 1)) * 16;
    this.words.set([address, high, length, options], slot >>> 2);
    this.setWord(queue, QUEUE_TX, RING_PRODUCER, head + 1);
  }

  /** Copies bytes to fresh memory and returns their address. */
  place(bytes: ArrayLike<number>, skew = 0): number {
    const frames = Math.ceil((bytes.length + FRAME_HEADROOM + skew) / FRAME_SIZE);
    const room = Math.floor((this.bytes.length - this.txFrames) / FRAME_SIZE);
    if (this.#nextTx + frames > room) this.#nextTx = 0;
    const address = this.txFrames + this.#nextTx * FRAME_SIZE + FRAME_HEADROOM + skew;
    this.#nextTx += frames;
    this.bytes.set(bytes, address);
    return address;
  }

  /** Sends a frame; with `checksum`, asks the NIC to fill it in. Returns its address. */
  send(
    frame: ArrayLike<number>,
    { queue = 0, checksum }: { queue?: number; checksum?: { start: number; offset: number } } = {},
  ): number {
    const address = this.place(frame);
    let options = 0;
    if (checksum !== undefined) {
      options = DESC_METADATA;
      const meta = (address - METADATA_SIZE) >>> 2;
      this.words.set([TX_META_CHECKSUM, 0, checksum.start | (checksum.offset << 16), 0], meta);
    }
    this.descriptor(queue, address, frame.length, options);
    return address;
  }

  /** Takes all that was received; gives the frames back unless told to keep them. */
  receive(queue = 0, keep = false): Received[] {
    const received: Received[] = [];
    const produced = this.word(queue, QUEUE_RX, RING_PRODUCER);
    let tail = this.word(queue, QUEUE_RX, RING_CONSUMER);
    for (; tail !== produced; tail = (tail + 1) | 0) {
      const slot = (this.descriptors(queue, QUEUE_RX) + (tail & (this.#ringSize - 1)) * 16) >>> 2;
      const address = this.words[slot] >>> 0;
      // A packet need not begin at a multiple of 4, so its metadata need not either.
      const meta = new DataView(this.bytes.buffer, address - METADATA_SIZE, METADATA_SIZE);
      received.push({
        address,
        bytes: this.bytes.slice(address, address + this.words[slot + 2]),
        flags: meta.getUint32(0, true) & ~RX_META_HAS_TIME,
        hash: meta.getUint32(4, true),
        time: (meta.getUint32(0, true) & RX_META_HAS_TIME) === 0 ? -1 : meta.getUint32(8, true),
      });
      if (!keep) this.giveFrame(queue, (address & -FRAME_SIZE) >>> 0);
    }
    this.setWord(queue, QUEUE_RX, RING_CONSUMER, tail);
    return received;
  }

  /** Takes the completions: addresses, in order. */
  completions(queue = 0): number[] {
    const produced = this.word(queue, QUEUE_COMPLETION, RING_PRODUCER);
    const addresses: number[] = [];
    let tail = this.word(queue, QUEUE_COMPLETION, RING_CONSUMER);
    for (; tail !== produced; tail = (tail + 1) | 0) {
      const slot = this.descriptors(queue, QUEUE_COMPLETION) + (tail & (this.#ringSize - 1)) * 8;
      addresses.push(this.words[slot >>> 2] >>> 0);
    }
    this.setWord(queue, QUEUE_COMPLETION, RING_CONSUMER, tail);
    return addresses;
  }

  get doorbell(): number {
    return this.words[(this.core + CORE_DOORBELL) >>> 2];
  }

  set parked(on: boolean) {
    this.words[(this.core + CORE_PARKED) >>> 2] = on ? 1 : 0;
  }
}
