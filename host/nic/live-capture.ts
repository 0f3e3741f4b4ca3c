/**
 * A capture of ports whose frames are moved by several threads, switched on and off while they run.
 * Every thread writes the frames it moves into a ring of its own (capture-ring.ts); here they are put
 * in order and written as pcapng. While it is off, a backend's batch pays one load of one word.
 *
 *   const live = new LiveCapture([dataplane.port]);
 *   startThreaded([{ dataplane, capture: live, … }, …]);      every core takes its handle
 *   live.start(sink, { snapLength: 128 });
 *   live.pump(now);                                            now and then
 *   live.stop(now);
 */
import {
  CAPTURE_ON,
  CAPTURE_SNAP,
  type CapturedFrame,
  type CaptureRingHandle,
} from "./capture-ring.ts";
import { CaptureRings } from "./capture-rings.ts";
import { PcapngWriter, type PcapngOptions } from "./pcapng.ts";
import type { PortHandle } from "./types.ts";

/** Bytes of frames that may wait to be read, for each thread. */
const RING_SIZE = 4 << 20;
/** A thread puts its batch down this long after the batch's time at the latest, µs, or out of order. */
const SETTLED = 20_000;
/** All that a frame may have. */
const WHOLE_FRAME = 0xffff;

export class LiveCapture {
  readonly #ports: readonly PortHandle[];
  readonly #rings: CaptureRings;
  #writer: PcapngWriter | undefined;
  /** Read and not yet written, since an earlier frame may still come. */
  #pending: CapturedFrame[] = [];
  /** Frames written, by port. */
  readonly #frames: number[];
  #dropped = 0;

  /** @param ports whose frames are captured */
  constructor(ports: readonly PortHandle[]) {
    this.#ports = [...ports];
    this.#rings = new CaptureRings(ports, RING_SIZE);
    this.#frames = ports.map(() => 0);
  }

  /** True between `start` and `stop`. */
  get active(): boolean {
    return this.#writer !== undefined;
  }

  /** Of the capture that runs, or ran last: frames written, and frames that found no room. */
  get frames(): number {
    return this.#frames.reduce((sum, count) => sum + count, 0);
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** A ring for one more thread, for a `CaptureRingWriter` there. */
  addThread(): CaptureRingHandle {
    return this.#rings.addThread();
  }

  /**
   * Begins to capture. `sink` is given the file's bytes, by `pump` and `stop`.
   *
   * @throws {Error} a capture runs already
   */
  start(sink: (bytes: Uint8Array) => void, options: PcapngOptions = {}): void {
    if (this.active) throw new Error("a capture runs already");
    this.#rings.discard();
    this.#pending = [];
    this.#frames.fill(0);
    this.#dropped = 0;
    this.#writer = new PcapngWriter(sink, options);
    for (const port of this.#ports) this.#writer.addInterface(port.name, port.mac);
    this.#rings.words[CAPTURE_SNAP] = options.snapLength ?? WHOLE_FRAME;
    Atomics.store(this.#rings.words, CAPTURE_ON, 1);
  }

  /**
   * Writes what threads have captured, `most` frames at most, in the order of time: all that is old
   * enough at `now` (µs, the threads' clock). Returns how many frames were written.
   */
  pump(now: number, most = Infinity): number {
    this.#collect();
    return this.#write(now - SETTLED, most);
  }

  /** Ends the capture, writing what is left, `most` frames at most. */
  stop(now: number, most = Infinity): void {
    Atomics.store(this.#rings.words, CAPTURE_ON, 0);
    if (this.#writer === undefined) return;
    this.#collect();
    this.#write(Infinity, most);
    // Which port the missing frames were of is not known: they are said to be the first one's.
    for (const [port, frames] of this.#frames.entries()) {
      const missing = port === 0 ? this.#dropped : 0;
      this.#writer.statistics(port, now, frames + missing, missing);
    }
    this.#writer.flush();
    this.#writer = undefined;
    this.#pending = [];
  }

  #collect(): void {
    this.#rings.drain(this.#pending);
    this.#dropped += this.#rings.takeDropped();
    this.#pending.sort((a, b) => a.time - b.time);
  }

  /** Writes frames up to time `until`; returns how many. */
  #write(until: number, most: number): number {
    const pending = this.#pending;
    let count = 0;
    while (count < pending.length && count < most && pending[count].time <= until) {
      const { port, time, bytes, length, direction } = pending[count++];
      this.#writer!.packet(port, time, bytes, 0, length, direction);
      this.#frames[port]++;
    }
    pending.splice(0, count);
    this.#writer?.flush();
    return count;
  }
}
