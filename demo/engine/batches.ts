/** How large the batches of each core are, at full speed: counted by the core's thread after every poll. */
import { CNT_RX_PACKETS } from "../../assembly/abi.ts";
import type { QueueBackend } from "../../host/index.ts";
import { MAX_CORES } from "./messages.ts";
import { BATCH_BINS, batchBin } from "./readings.ts";

export function createBatches(): SharedArrayBuffer {
  return new SharedArrayBuffer(MAX_CORES * BATCH_BINS * 8);
}

/** Of a core: iterations by packets taken, since the start. */
export function readBatches(batches: SharedArrayBuffer, core: number): number[] {
  return [...new Float64Array(batches, core * BATCH_BINS * 8, BATCH_BINS)];
}

/** A core's backend, which is pumped after every poll: looks at what that poll has taken. */
export class BatchCounter implements QueueBackend {
  readonly #inner: QueueBackend;
  readonly #words: Uint32Array;
  readonly #packets: number;
  readonly #bins: Float64Array;
  #seen: number;

  /** `block` is the core's control block. */
  constructor(
    inner: QueueBackend,
    memory: WebAssembly.Memory,
    block: number,
    batches: SharedArrayBuffer,
    core: number,
  ) {
    this.#inner = inner;
    this.#words = new Uint32Array(memory.buffer);
    this.#packets = (block + CNT_RX_PACKETS) >>> 2;
    this.#bins = new Float64Array(batches, core * BATCH_BINS * 8, BATCH_BINS);
    this.#seen = this.#words[this.#packets];
  }

  pump(now: number): number {
    const packets = this.#words[this.#packets];
    if (packets !== this.#seen) this.#bins[batchBin((packets - this.#seen) >>> 0)]++;
    this.#seen = packets;
    return this.#inner.pump(now);
  }

  nextDeadline(): number {
    return this.#inner.nextDeadline();
  }

  close(): void {
    this.#inner.close?.();
  }
}
