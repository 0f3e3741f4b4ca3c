/**
 * Packets at full speed: nobody could look at all of them, so the first ones after each frame of the
 * page are. Every thread writes them into a ring; the rest of the time that costs nothing.
 */
import {
  CAPTURE_ON,
  CAPTURE_SNAP,
  CaptureRings,
  INBOUND,
  OUTBOUND,
  PcapngWriter,
  type CapturedFrame,
  type CaptureRingHandle,
  type PortHandle,
} from "../../host/index.ts";
import { join } from "./capture.ts";
import type { CaptureFile } from "./messages.ts";
import { SAMPLE_ALL, SAMPLE_ASKED } from "./sample-writer.ts";
import type { Tracker } from "./tracker.ts";

const RING_BYTES = 1 << 20;
/** Bytes of each sampled frame: all headers, and some of the payload. */
const SNAP = 160;
const WHOLE = 0xffff;
/** A capture's length, ms, or so many packets. */
const CAPTURE_TIME = 1000;
const CAPTURE_PACKETS = 10_000;

export class Sampler {
  readonly #ports: readonly PortHandle[];
  readonly #rings: CaptureRings;
  #capturing = false;

  /** @param ports the server's first */
  constructor(ports: readonly PortHandle[]) {
    this.#ports = ports;
    this.#rings = new CaptureRings(ports, RING_BYTES);
  }

  /** A ring for one more thread. */
  addThread(): CaptureRingHandle {
    return this.#rings.addThread();
  }

  /**
   * Shows the tracker what has passed since the last call, a few packets of each thread, and asks for
   * more. Times become relative to `origin`; `coreOf` knows the core of the server that sends for a flow
   * group, `travel` how long a frame is on the link.
   */
  show(
    tracker: Tracker,
    origin: number,
    coreOf: (group: number) => number,
    travel: (length: number) => number,
  ): void {
    if (this.#capturing) return;
    const frames = this.#drain();
    this.#ask(SNAP, false);
    for (const { port, time, bytes, length, direction } of frames) {
      const at = time - origin;
      const own = new Uint8Array(bytes);
      if (direction === OUTBOUND) tracker.sent(port, coreOf, at, own, length, at + travel(length));
      if (direction !== INBOUND) continue;
      const queue = tracker.delivered(port, at, own);
      // What a core does with a single packet is not known: to say that it took it at once will do.
      const times = { taken: at, protocols: at, app: at, done: at };
      if (queue >= 0) tracker.taken(port, queue, 1, times);
    }
  }

  /** Captures what passes the server's port for a while. */
  async capture(): Promise<CaptureFile> {
    if (this.#capturing) throw new Error("a capture is under way already");
    this.#capturing = true;
    this.#drain();
    this.#ask(WHOLE, true);
    const frames: CapturedFrame[] = [];
    for (let ms = 0; ms < CAPTURE_TIME && frames.length < CAPTURE_PACKETS; ms += 10) {
      await pause(10);
      frames.push(...this.#drain());
    }
    this.#ask(SNAP, false);
    this.#capturing = false;
    const own = frames.filter(({ port }) => port === 0).toSorted((a, b) => a.time - b.time);
    return this.#fileOf(own.slice(0, CAPTURE_PACKETS));
  }

  #ask(snap: number, all: boolean): void {
    const { words } = this.#rings;
    words[CAPTURE_SNAP] = snap;
    words[SAMPLE_ALL] = all ? 1 : 0;
    words[SAMPLE_ASKED]++;
    Atomics.store(words, CAPTURE_ON, 1);
  }

  #drain(): CapturedFrame[] {
    const frames: CapturedFrame[] = [];
    this.#rings.drain(frames);
    // At the same instant a frame leaves before it arrives.
    return frames.toSorted((a, b) => a.time - b.time || b.direction - a.direction);
  }

  #fileOf(frames: readonly CapturedFrame[]): CaptureFile {
    const parts: Uint8Array[] = [];
    const [{ name, mac }] = this.#ports;
    const writer = new PcapngWriter((bytes) => parts.push(bytes));
    writer.addInterface(name, mac);
    for (const { time, bytes, length, direction } of frames) {
      writer.packet(0, time, bytes, 0, length, direction);
    }
    writer.flush();
    return { type: "capture", bytes: join(parts), packets: frames.length };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
