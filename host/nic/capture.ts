/**
 * A capture of one or more ports: what leaves them, as it was sent, and what is delivered to them,
 * as it arrived. Give it to the backends that handle those frames (`createBackend` with
 * `capture`):
 *
 *   frames that a port sends are seen by the backends of its own queues;
 *   frames delivered to a port are seen by the backends of the ports that send to it.
 *
 * On one thread a single Capture given to every backend sees everything, in order. Where threads send,
 * each shows its frames to an observer of its own: see live-capture.ts.
 *
 * A frame that the receiver dropped was not delivered and is not seen there. Checksums that are
 * left to the NIC are filled in before a frame is written down.
 */
import type { MemoryView } from "./memory-view.ts";
import { INBOUND, OUTBOUND, PcapngWriter } from "./pcapng.ts";
import type { PcapngOptions } from "./pcapng.ts";
import type { PortHandle } from "./types.ts";

/** What a backend shows frames to; it belongs to the backend's thread. */
export interface FrameObserver {
  /** False while nobody looks: then frames are not shown. A backend asks once a batch. */
  readonly active: boolean;
  /** The port's number with this observer, or -1 when its frames are of no interest. */
  indexOf(port: PortHandle): number;
  /** A frame left the port at `now`, µs; its checksums are filled in. */
  sent(port: number, now: number, view: MemoryView, at: number, length: number): void;
  /** A frame was put into a receive buffer of the port. */
  delivered(port: number, now: number, view: MemoryView, at: number, length: number): void;
  /** A frame that was sent has its place on a link and arrives at `due`, µs, unless it is dropped there. */
  travels?(now: number, view: MemoryView, at: number, length: number, due: number): void;
  /** A frame that was sent goes no further; its bytes are valid during the call. */
  dropped?(now: number, view: MemoryView, at: number, length: number, where: DropPlace): void;
  /** The backend is closed. */
  flush(): void;
}

/** Chance on a link, the queue before its line, a full RX ring, or an empty fill ring. */
export type DropPlace = "loss" | "line" | "ring" | "fill";

export class Capture implements FrameObserver {
  readonly active = true;
  readonly #writer: PcapngWriter;
  readonly #ports: readonly PortHandle[];

  /** Captures `ports` into `sink`, which is given pcapng bytes now and then, and on `flush`. */
  constructor(
    ports: readonly PortHandle[],
    sink: (bytes: Uint8Array) => void,
    options: PcapngOptions = {},
  ) {
    this.#ports = [...ports];
    this.#writer = new PcapngWriter(sink, options);
    for (const port of ports) this.#writer.addInterface(port.name, port.mac);
  }

  /** The port's number in this capture, or -1 when it is not captured. */
  indexOf(port: PortHandle): number {
    return this.#ports.findIndex((other) => other === port || other.state === port.state);
  }

  sent(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#writer.packet(port, now, view.bytes, at, length, OUTBOUND);
  }

  delivered(port: number, now: number, view: MemoryView, at: number, length: number): void {
    this.#writer.packet(port, now, view.bytes, at, length, INBOUND);
  }

  /** Hands everything written so far to the sink. */
  flush(): void {
    this.#writer.flush();
  }
}
