/**
 * Sees every frame of a network: sums all of them up in a digest, by which runs are compared, and keeps
 * the latest for a capture. One thread moves all frames, so their order is the order of their times.
 */
import type { FrameObserver } from "../nic/capture.ts";
import type { MemoryView } from "../nic/memory-view.ts";
import { INBOUND, OUTBOUND, PcapngWriter } from "../nic/pcapng.ts";
import type { PortHandle } from "../nic/types.ts";

export interface RecorderOptions {
  /** Bytes of frames that are kept; older ones go. Default 16 MiB; 0 keeps none. */
  readonly limit?: number;
  /** Bytes kept of a frame. Default all. */
  readonly snapLength?: number;
}

interface Recorded {
  readonly port: number;
  readonly time: number;
  readonly direction: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** What a kept frame takes besides its bytes, about. */
const RECORD_SIZE = 128;

export class Recorder implements FrameObserver {
  readonly active = true;
  readonly #ports: PortHandle[] = [];
  readonly #limit: number;
  readonly #snapLength: number;
  #kept: Recorded[] = [];
  /** The first of `#kept` that is still kept. */
  #first = 0;
  #size = 0;
  #frames = 0;
  #low = 0x811c9dc5 | 0;
  #high = 0x9e3779b9 | 0;
  readonly #time = new Float64Array(1);
  readonly #timeWords = new Int32Array(this.#time.buffer);

  constructor({ limit = 16 << 20, snapLength = 0x40000 }: RecorderOptions = {}) {
    this.#limit = limit;
    this.#snapLength = snapLength;
  }

  /** Frames seen, sent and delivered ones. */
  get frames(): number {
    return this.#frames;
  }

  /** Looks at a port from now on. */
  add(port: PortHandle): void {
    this.#ports.push(port);
  }

  indexOf(port: PortHandle): number {
    return this.#ports.indexOf(port);
  }

  sent(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#see(port, now, view.bytes, at, length, OUTBOUND);
  }

  delivered(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#see(port, now, view.bytes, at, length, INBOUND);
  }

  flush(): void {}

  /** Of all frames so far: who sent or was given what, when, and in which order. 16 hexadecimal digits. */
  digest(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /**
   * The frames that are kept, as a pcapng file.
   *
   * @param names the hosts to show. Default all
   */
  pcapng(names?: readonly string[], epoch = 0): Uint8Array {
    const chunks: Uint8Array[] = [];
    const writer = new PcapngWriter((bytes) => chunks.push(bytes), {
      epoch: epoch * 1000,
      snapLength: this.#snapLength,
    });
    const shown = this.#ports.map(({ name, mac }) =>
      names === undefined || names.includes(name) ? writer.addInterface(name, mac) : -1,
    );
    for (let i = this.#first; i < this.#kept.length; i++) {
      const { port, time, bytes, direction, length } = this.#kept[i];
      if (shown[port] >= 0) writer.packet(shown[port], time, bytes, 0, length, direction);
    }
    writer.flush();
    return concat(chunks);
  }

  #see(
    port: number,
    now: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    direction: number,
  ): void {
    this.#frames++;
    this.#time[0] = now;
    this.#mix(this.#timeWords[0]);
    this.#mix(this.#timeWords[1]);
    this.#mix(port * 4 + direction);
    this.#mix(length);
    this.#sum(bytes, at, length);
    if (this.#limit > 0)
      this.#keep({
        port,
        time: now,
        direction,
        length,
        bytes: bytes.slice(at, at + Math.min(length, this.#snapLength)),
      });
  }

  /** Two sums of 32 bits: FNV-1a over words, and the finalizer steps of MurmurHash3. */
  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#low ^= this.#low >>> 15;
    let high = Math.imul(this.#high ^ word, 0x85ebca6b);
    high ^= high >>> 13;
    this.#high = (Math.imul(high, 0xc2b2ae35) + this.#low) | 0;
  }

  #sum(bytes: Uint8Array, at: number, length: number): void {
    const words = at + (length & ~3);
    let i = at;
    for (; i < words; i += 4) {
      this.#mix(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    }
    for (; i < at + length; i++) this.#mix(bytes[i]);
  }

  #keep(frame: Recorded): void {
    this.#kept.push(frame);
    this.#size += frame.bytes.length + RECORD_SIZE;
    while (this.#size > this.#limit) {
      this.#size -= this.#kept[this.#first++].bytes.length + RECORD_SIZE;
    }
    if (this.#first > 1024 && this.#first * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
