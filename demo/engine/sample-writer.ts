/**
 * Where a thread puts the frames of a sample: a capture's ring, but only so many of them after each time
 * that the sampler asks. Then frames are not even looked at until it asks again.
 */
import {
  CAPTURE_CONTROL_SIZE,
  CaptureRingWriter,
  type CaptureRingHandle,
  type FrameObserver,
  type PortHandle,
} from "../../host/index.ts";

/** Words of the control block behind those of the capture: times asked, and whether all frames are wanted. */
export const SAMPLE_ASKED = CAPTURE_CONTROL_SIZE / 4 - 2;
export const SAMPLE_ALL = CAPTURE_CONTROL_SIZE / 4 - 1;
/** Sightings of a sample, for each thread; a batch may go beyond. */
const QUOTA = 200;

type FrameView = Parameters<FrameObserver["sent"]>[2];

export class SampleWriter implements FrameObserver {
  readonly #inner: CaptureRingWriter;
  readonly #control: Int32Array;
  #asked = 0;
  #left = 0;

  constructor(handle: CaptureRingHandle) {
    this.#inner = new CaptureRingWriter(handle);
    this.#control = new Int32Array(handle.control);
  }

  get active(): boolean {
    if (!this.#inner.active) return false;
    const asked = this.#control[SAMPLE_ASKED];
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#left = QUOTA;
    }
    return this.#left > 0 || this.#control[SAMPLE_ALL] !== 0;
  }

  indexOf(port: PortHandle): number {
    return this.#inner.indexOf(port);
  }

  sent(port: number, now: number, view: FrameView, at: number, length: number): void {
    this.#left--;
    this.#inner.sent(port, now, view, at, length);
  }

  delivered(port: number, now: number, view: FrameView, at: number, length: number): void {
    this.#left--;
    this.#inner.delivered(port, now, view, at, length);
  }

  flush(): void {
    this.#inner.flush();
  }
}
