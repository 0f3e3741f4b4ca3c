/**
 * Frames on their way from a thread that moves them to the one that writes them down: a ring of bytes
 * in shared memory, one writer and one reader. The writer never waits: what finds no room is counted.
 *
 *   word 0 produced · word 16 consumed, bytes modulo 2^32 · word 32 dropped · from byte 256: records
 *
 *   record  size 4 · port and direction 4 · bytes kept 4 · bytes of the frame 4 · time, µs f64 · bytes
 *
 * Records begin at multiples of 8 and do not wrap: what is left before the end is a record of its own
 * without a frame, whose port is SKIPPED.
 */
import type { FrameObserver } from "./capture.ts";
import type { MemoryView } from "./memory-view.ts";
import { INBOUND, OUTBOUND } from "./pcapng.ts";
import type { PortHandle } from "./types.ts";

const PRODUCED = 0;
const CONSUMED = 16;
const DROPPED = 32;
const RECORDS = 256;

const HEADER = 24;
const SKIPPED = 0xffffffff;

/** Words that all rings of a capture share: whether it is on, and bytes kept of a frame. */
export const CAPTURE_ON = 0;
export const CAPTURE_SNAP = 1;
export const CAPTURE_CONTROL_SIZE = 64;

/** What a thread is given to take part in a capture: plain data. */
export interface CaptureRingHandle {
  readonly ports: readonly PortHandle[];
  readonly control: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
}

/** A frame as it was seen. */
export interface CapturedFrame {
  readonly time: number;
  /** Index of the port in the capture's list. */
  readonly port: number;
  /** INBOUND or OUTBOUND. */
  readonly direction: number;
  /** Bytes that the frame had; `bytes` may be fewer. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Makes a ring for records of `capacity` bytes altogether, a power of two. */
export function createCaptureRing(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(RECORDS + capacity);
}

/** The writer's end. The thread that made it may go, and another go on with the same ring. */
export class CaptureRingWriter implements FrameObserver {
  readonly #ports: readonly PortHandle[];
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #records: DataView;
  #produced: number;

  constructor({ ports, control, ring }: CaptureRingHandle) {
    this.#ports = ports;
    this.#control = new Int32Array(control);
    this.#words = new Int32Array(ring, 0, RECORDS / 4);
    this.#bytes = new Uint8Array(ring, RECORDS);
    this.#records = new DataView(ring, RECORDS);
    this.#produced = Atomics.load(this.#words, PRODUCED);
  }

  get active(): boolean {
    return this.#control[CAPTURE_ON] !== 0;
  }

  indexOf(port: PortHandle): number {
    return this.#ports.findIndex(({ state }) => state === port.state);
  }

  sent(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#put(port * 4 + OUTBOUND, now, view.bytes, at, length);
  }

  delivered(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#put(port * 4 + INBOUND, now, view.bytes, at, length);
  }

  /** Every frame is published at once. */
  flush(): void {}

  #put(origin: number, now: number, from: Uint8Array, at: number, length: number): void {
    const kept = Math.min(length, this.#control[CAPTURE_SNAP]);
    const place = this.#take((HEADER + kept + 7) & -8);
    if (place < 0) {
      Atomics.add(this.#words, DROPPED, 1);
      return;
    }
    const records = this.#records;
    records.setUint32(place + 4, origin, true);
    records.setUint32(place + 8, kept, true);
    records.setUint32(place + 12, length, true);
    records.setFloat64(place + 16, now, true);
    const bytes = this.#bytes;
    for (let i = 0; i < kept; i++) bytes[place + HEADER + i] = from[at + i];
    Atomics.store(this.#words, PRODUCED, this.#produced);
  }

  /** Where a record of `size` bytes goes, its size written there; -1 when there is no room. */
  #take(size: number): number {
    const capacity = this.#bytes.length;
    const used = (this.#produced - Atomics.load(this.#words, CONSUMED)) | 0;
    const place = this.#produced & (capacity - 1);
    const skipped = place + size > capacity ? capacity - place : 0;
    if (used + skipped + size > capacity) return -1;
    if (skipped !== 0) {
      this.#records.setUint32(place, skipped, true);
      this.#records.setUint32(place + 4, SKIPPED, true);
    }
    const start = skipped === 0 ? place : 0;
    this.#records.setUint32(start, size, true);
    this.#produced = (this.#produced + skipped + size) | 0;
    return start;
  }
}

/** The reader's end. */
export class CaptureRingReader {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #records: DataView;

  constructor(ring: SharedArrayBuffer) {
    this.#words = new Int32Array(ring, 0, RECORDS / 4);
    this.#bytes = new Uint8Array(ring, RECORDS);
    this.#records = new DataView(ring, RECORDS);
  }

  /** Frames that found no room since this was asked last. */
  takeDropped(): number {
    return Atomics.exchange(this.#words, DROPPED, 0);
  }

  /** Forgets what waits. */
  discard(): void {
    Atomics.store(this.#words, CONSUMED, Atomics.load(this.#words, PRODUCED));
    this.takeDropped();
  }

  /** Adds to `frames` what waits, as copies. */
  drain(frames: CapturedFrame[]): void {
    const produced = Atomics.load(this.#words, PRODUCED);
    let consumed = Atomics.load(this.#words, CONSUMED);
    const records = this.#records;
    while (consumed !== produced) {
      const place = consumed & (this.#bytes.length - 1);
      const origin = records.getUint32(place + 4, true);
      if (origin !== SKIPPED) frames.push(this.#frameAt(place, origin));
      consumed = (consumed + records.getUint32(place, true)) | 0;
    }
    Atomics.store(this.#words, CONSUMED, consumed);
  }

  #frameAt(place: number, origin: number): CapturedFrame {
    const records = this.#records;
    const kept = records.getUint32(place + 8, true);
    return {
      time: records.getFloat64(place + 16, true),
      port: origin >>> 2,
      direction: origin & 3,
      length: records.getUint32(place + 12, true),
      bytes: this.#bytes.slice(place + HEADER, place + HEADER + kept),
    };
  }
}
