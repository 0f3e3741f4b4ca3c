/**
 * A worse wire between a dataplane and Linux: frames pass an emulated link, with its loss, delay,
 * reordering and duplication, before they reach the TAP, and the same on the way back.
 *
 *   dataplane ══ emulated link ══ near port ── far port ══ TAP ══ Linux
 *
 * Both ports of the repeater lie in one memory, so a frame is handed on by moving its descriptor.
 */
import {
  FRAME_SIZE,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_SIZE,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
} from "../../assembly/abi.ts";
import {
  connectPorts,
  createBackend,
  createPort,
  type LinkOptions,
  type PortHandle,
  type QueueBackend,
} from "../../host/nic/index.ts";
import type { Tap } from "../../host/node/index.ts";

/** More than a window of segments, so that it is the link that loses frames and not the repeater. */
const ENTRIES = 8192;
const FRAMES = 2 * ENTRIES;
const BLOCKS = 0x10000;
const RINGS = 0x20000;
const RING_SPACE = 0x21000;
const FRAME_BASE = 0x200000;
const PAGES = (FRAME_BASE + FRAMES * FRAME_SIZE) / 65536;

/** One ring of the repeater's own side. */
class Ring {
  readonly words: Int32Array;
  readonly producer: number;
  readonly consumer: number;
  readonly #descriptors: number;
  readonly #stride: number;

  constructor(words: Int32Array, description: number, base: number, stride: number) {
    this.words = words;
    this.producer = base >>> 2;
    this.consumer = (base + 64) >>> 2;
    this.#descriptors = (base + 256) >>> 2;
    this.#stride = stride >>> 2;
    words[(description + RING_PRODUCER) >>> 2] = base;
    words[(description + RING_CONSUMER) >>> 2] = base + 64;
    words[(description + RING_DESCRIPTORS) >>> 2] = base + 256;
    words[(description + RING_MASK) >>> 2] = ENTRIES - 1;
  }

  get used(): number {
    return (this.words[this.producer] - this.words[this.consumer]) | 0;
  }

  put(address: number, length = 0): void {
    const at = this.#descriptors + (this.words[this.producer]++ & (ENTRIES - 1)) * this.#stride;
    this.words[at] = address;
    this.words[at + 1] = 0;
    if (this.#stride === 2) return;
    this.words[at + 2] = length;
    this.words[at + 3] = 0;
  }

  /** Word index of the oldest descriptor, which is thereby taken. */
  take(): number {
    return this.#descriptors + (this.words[this.consumer]++ & (ENTRIES - 1)) * this.#stride;
  }
}

class RepeaterPort {
  readonly handle: PortHandle;
  readonly fill: Ring;
  readonly rx: Ring;
  readonly tx: Ring;
  readonly completion: Ring;

  constructor(memory: WebAssembly.Memory, index: number) {
    const words = new Int32Array(memory.buffer);
    const block = BLOCKS + index * QUEUE_SIZE;
    const ring = (offset: number, number: number, stride: number): Ring =>
      new Ring(words, block + offset, RINGS + (index * 4 + number) * RING_SPACE, stride);
    this.fill = ring(QUEUE_FILL, 0, 8);
    this.rx = ring(QUEUE_RX, 1, 16);
    this.tx = ring(QUEUE_TX, 2, 16);
    this.completion = ring(QUEUE_COMPLETION, 3, 8);
    for (let i = 0; i < ENTRIES; i++)
      this.fill.put(FRAME_BASE + (index * ENTRIES + i) * FRAME_SIZE);
    this.handle = createPort({
      name: `repeater ${index}`,
      memory,
      queues: [block],
      mac: [2, 0, 0, 0, 1, index],
      offloads: 0,
      promiscuous: true,
      multicast: true,
    });
  }

  /** Sends what the other port has received, and gives it back the frames that were sent. */
  forward(from: RepeaterPort): number {
    const { words } = this.tx;
    let moved = 0;
    for (; from.rx.used > 0 && this.tx.used < ENTRIES; moved++) {
      const at = from.rx.take();
      this.tx.put(words[at], words[at + 2]);
    }
    while (this.completion.used > 0) {
      const address = words[this.completion.take()];
      from.fill.put(address - ((address - FRAME_BASE) % FRAME_SIZE));
    }
    return moved;
  }
}

/** Puts `port` and the TAP at the ends of a link with these options, one for both ways or for each. */
export function createRepeater(
  port: PortHandle,
  tap: Tap,
  options: LinkOptions | readonly [fromDataplane: LinkOptions, fromLinux: LinkOptions],
): QueueBackend {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const near = new RepeaterPort(memory, 0);
  const far = new RepeaterPort(memory, 1);
  const [toNear, toDataplane] = connectPorts(port, near.handle, options);
  const dataplane = createBackend(port, 0, toNear);
  const link = createBackend(near.handle, 0, toDataplane);
  const linux = tap.backend(far.handle);
  return {
    pump(now) {
      let moved = dataplane.pump(now);
      // A backend of a TAP moves a bounded number at a time: whatever is dropped, the link shall drop it.
      for (let step = 1; step > 0; moved += step) {
        step = far.forward(near) + linux.pump(now) + near.forward(far) + link.pump(now);
      }
      return moved;
    },
    nextDeadline: () => Math.min(dataplane.nextDeadline(), link.nextDeadline()),
    wait: (micros) => linux.wait(micros),
    close: () => linux.close(),
  };
}
