/**
 * A machine without a dataplane that sends SYNs from forged addresses (RFC 4987): a NIC port of its own,
 * and somebody's thread that pumps it along with its own queue. What is sent back to it is lost, because
 * it never gives its NIC a buffer.
 */
import {
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_SIZE,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  WASM_PAGE,
} from "../../assembly/abi.ts";
import {
  createBackend,
  createPort,
  Random,
  type FrameObserver,
  type PortHandle,
  type QueueBackend,
  type Wire,
} from "../../host/index.ts";
import { FLOODER_MAC } from "./addresses.ts";
import { forgeSyn, SYN_FRAME } from "./forged-syn.ts";

const ENTRIES = 64;
const QUEUE = WASM_PAGE;
const RINGS = WASM_PAGE + QUEUE_SIZE;
const RING_BYTES = 256 + ENTRIES * 16;
const FRAMES = 2 * WASM_PAGE;
const FRAME = 128;
const PAGES = 3;

/** Where the flooder is plugged in: plain data. */
export function createFlooderPort(): PortHandle {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const words = new Uint32Array(memory.buffer);
  for (const [index, ring] of [QUEUE_FILL, QUEUE_RX, QUEUE_TX, QUEUE_COMPLETION].entries()) {
    const at = RINGS + index * RING_BYTES;
    words[(QUEUE + ring + RING_PRODUCER) >>> 2] = at;
    words[(QUEUE + ring + RING_CONSUMER) >>> 2] = at + 64;
    words[(QUEUE + ring + RING_DESCRIPTORS) >>> 2] = at + 256;
    words[(QUEUE + ring + RING_MASK) >>> 2] = ENTRIES - 1;
  }
  return createPort({ name: "flooder", memory, queues: [QUEUE], mac: FLOODER_MAC, offloads: 0 });
}

export interface FlooderOptions {
  readonly port: PortHandle;
  readonly wire: Wire;
  /** Of the server's NIC. */
  readonly target: readonly number[];
  /** SYNs a second, as of now. */
  readonly rate: () => number;
  readonly seed: number;
  readonly onForged: () => void;
  readonly observer?: FrameObserver;
}

/** Pumps the flooder's port after another backend of the same thread. */
export class Flooded implements QueueBackend {
  readonly #inner: QueueBackend;
  readonly #options: FlooderOptions;
  readonly #backend: QueueBackend;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #random: Random;
  /** When the next SYN goes out, µs. */
  #next = -1;
  #sent = 0;

  constructor(inner: QueueBackend, options: FlooderOptions) {
    const { port, wire, observer, seed } = options;
    this.#inner = inner;
    this.#options = options;
    this.#backend = createBackend(port, 0, wire, { capture: observer });
    this.#words = new Uint32Array(port.memory.buffer);
    this.#bytes = new Uint8Array(port.memory.buffer);
    this.#random = new Random(seed);
  }

  pump(now: number): number {
    const moved = this.#inner.pump(now);
    const forged = this.#forge(now);
    return forged === 0 ? moved : moved + this.#backend.pump(now);
  }

  nextDeadline(): number {
    const due = this.#options.rate() > 0 ? this.#next : Infinity;
    return Math.min(due, this.#inner.nextDeadline());
  }

  close(): void {
    this.#inner.close?.();
    this.#backend.close?.();
  }

  /** Puts what is due into the TX ring; returns how many frames that were. */
  #forge(now: number): number {
    const rate = this.#options.rate();
    if (rate <= 0) {
      this.#next = -1;
      return 0;
    }
    const gap = 1e6 / rate;
    // What a thread that was held up has missed is not made up for.
    if (this.#next < now - ENTRIES * gap || this.#next > now + gap) this.#next = now;
    let frames = 0;
    for (; frames < ENTRIES && this.#next <= now; this.#next += gap) {
      this.#place();
      frames++;
    }
    const producer = this.#words[(QUEUE + QUEUE_TX + RING_PRODUCER) >>> 2] >>> 2;
    Atomics.store(this.#words, producer, this.#sent);
    return frames;
  }

  #place(): void {
    const slot = this.#sent++ % ENTRIES;
    const at = FRAMES + slot * FRAME;
    forgeSyn(this.#bytes, at, this.#options.target, this.#random);
    const ring = this.#words[(QUEUE + QUEUE_TX + RING_DESCRIPTORS) >>> 2];
    this.#words.set([at, 0, SYN_FRAME, 0], (ring + slot * 16) >>> 2);
    // The completions are of no interest: all that counts is that their ring has room.
    const consumer = this.#words[(QUEUE + QUEUE_COMPLETION + RING_CONSUMER) >>> 2] >>> 2;
    const producer = this.#words[(QUEUE + QUEUE_COMPLETION + RING_PRODUCER) >>> 2] >>> 2;
    Atomics.store(this.#words, consumer, Atomics.load(this.#words, producer));
    this.#options.onForged();
  }
}
