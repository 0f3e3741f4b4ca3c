/**
 * The receiving end of a batch: each frame is listed with the queue that it goes to; then queue after queue
 * is delivered under its lock. So no sender waits for one queue while it holds another, and copies to
 * different queues go on side by side.
 */
import { HASHED, type Frame, type FrameBatch } from "./batch.ts";
import type { FrameObserver } from "./capture.ts";
import type { Classifier } from "./classifier.ts";
import type { Destination } from "./destination.ts";
import type { FlowControl } from "./flow-control.ts";
import type { Port } from "./port.ts";
import { MAX_FRAME, type RxQueue } from "./rx-queue.ts";

// A constant of this module's own, for the sake of speed: see rx-queue.ts.
const LONGEST = MAX_FRAME;

export class Delivery {
  readonly #batch: FrameBatch;
  readonly #classifier: Classifier;
  readonly #flowControl: FlowControl | null;

  /** Queues that have frames of this batch listed, and the ports they belong to; a stack. */
  readonly #busy: RxQueue[] = [];
  readonly #busyAt: Destination[] = [];
  #busyCount = 0;

  /** For the frames of one batch, whose headers `classifier` reads one after the other. */
  constructor(batch: FrameBatch, classifier: Classifier, flowControl: FlowControl | null) {
    this.#batch = batch;
    this.#classifier = classifier;
    this.#flowControl = flowControl;
  }

  /**
   * The receiving port's view of the frame just classified: MAC filter, exact-match filters, RSS.
   */
  accept(destination: Destination, frame: Frame): void {
    const { port } = destination;
    const headers = this.#classifier;
    if (frame.length > LONGEST) {
      port.count("tooLong");
      return;
    }
    if (!port.accepts(headers.macHead, headers.macTail)) {
      port.count("macFilter");
      return;
    }
    this.#list(destination, frame);
  }

  /** Lists a frame of the batch with the queue of `destination` that it goes to. */
  #list(destination: Destination, frame: Frame): void {
    const { port, queues } = destination;
    let queue = 0;
    if (queues.length !== 1) {
      // What has no hash, as ARP, has hash 0, and goes along with the first flow group.
      queue = port.reta[frame.hash & 127];
      if (port.filterCount !== 0 && (frame.state & HASHED) !== 0)
        queue = this.#filteredQueue(port, frame, queue);
    }
    const rx = queues[queue];
    if (rx.frameCount === 0) {
      this.#busy[this.#busyCount] = rx;
      this.#busyAt[this.#busyCount++] = destination;
    }
    rx.frames[rx.frameCount++] = frame;
  }

  /** The queue that a filter names for the frame, or else the given one. */
  #filteredQueue(port: Port, frame: Frame, otherwise: number): number {
    const headers = this.#classifier;
    const view = this.#batch.viewOf(frame);
    const start = frame.address >>> 0;
    headers.parse(view, start, frame.length);
    if (headers.ports === 0) return otherwise;
    const queue = port.filters.lookup(
      headers.hash,
      headers.protocol,
      view.bytes,
      start + headers.addresses,
      headers.addressBytes,
      start + headers.ports,
    );
    return queue < 0 ? otherwise : queue;
  }

  /** Delivers what is listed, at `now` (µs). `observer`, if anybody, is shown what captured ports get. */
  deliver(now: number, observer: FrameObserver | null): void {
    const batch = this.#batch;
    const busy = this.#busy;
    // The arrays keep their length: emptied ones would give up their memory and get it anew each
    // batch.
    for (let i = 0; i < this.#busyCount; i++) {
      if (busy[i].frameCount === 0) continue;
      const { captured } = this.#busyAt[i];
      const delivered = busy[i].deliver(batch, now, captured < 0 ? null : observer, captured);
      if (!delivered) this.#steerAgain(i);
      this.#flowControl?.delivered(busy[i]);
    }
    this.#busyCount = 0;
  }

  /**
   * The RETA or the filters of the port of queue `first` of the busy ones changed since its frames were
   * listed: lists all of them anew that are not delivered yet. Frames of a flow are in one list, and so
   * keep their order.
   */
  #steerAgain(first: number): void {
    const destination = this.#busyAt[first];
    const frames: Frame[] = [];
    for (let i = first; i < this.#busyCount; i++) {
      const rx = this.#busy[i];
      if (this.#busyAt[i] !== destination) continue;
      frames.push(...rx.frames.slice(0, rx.frameCount));
      rx.frameCount = 0;
    }
    destination.port.refresh();
    for (const frame of frames) this.#list(destination, frame);
  }

  /** Forgets what is listed. */
  forget(): void {
    for (let i = 0; i < this.#busyCount; i++) this.#busy[i].frameCount = 0;
    this.#busyCount = 0;
  }
}
