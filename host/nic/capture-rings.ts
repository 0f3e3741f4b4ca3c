/** The rings of all threads that take part in a capture, as the one that reads them has them. */
import {
  CAPTURE_CONTROL_SIZE,
  CaptureRingReader,
  createCaptureRing,
  type CapturedFrame,
  type CaptureRingHandle,
} from "./capture-ring.ts";
import type { PortHandle } from "./types.ts";

export class CaptureRings {
  /** Words that all threads look at: `CAPTURE_*`. */
  readonly words: Int32Array;
  readonly #ports: readonly PortHandle[];
  readonly #control = new SharedArrayBuffer(CAPTURE_CONTROL_SIZE);
  readonly #capacity: number;
  readonly #readers: CaptureRingReader[] = [];

  /**
   * @param ports whose frames are captured
   * @param capacity bytes that may wait to be read, for each thread; a power of two
   */
  constructor(ports: readonly PortHandle[], capacity: number) {
    this.#ports = [...ports];
    this.#capacity = capacity;
    this.words = new Int32Array(this.#control);
  }

  /** A ring for one more thread, for a `CaptureRingWriter` there. */
  addThread(): CaptureRingHandle {
    const ring = createCaptureRing(this.#capacity);
    this.#readers.push(new CaptureRingReader(ring));
    return { ports: this.#ports, control: this.#control, ring };
  }

  /** Adds to `frames` what waits, thread by thread. */
  drain(frames: CapturedFrame[]): void {
    for (const reader of this.#readers) reader.drain(frames);
  }

  /** Frames that found no room since this was asked last. */
  takeDropped(): number {
    return this.#readers.reduce((sum, reader) => sum + reader.takeDropped(), 0);
  }

  /** Forgets what waits. */
  discard(): void {
    for (const reader of this.#readers) reader.discard();
  }
}
