/** A port that a backend delivers to, and how it gets there through a switch. */
import type { FrameObserver } from "./capture.ts";
import { isPerfect, type Link } from "./link.ts";
import { Port } from "./port.ts";
import { RxQueue } from "./rx-queue.ts";
import type { PortHandle, Way } from "./types.ts";

export class Destination {
  readonly port: Port;
  readonly queues: readonly RxQueue[];
  /** Number of the port in the capture, -1: not captured. */
  readonly captured: number;
  /** Of a switch: frames do not simply get there, but by `link`, or not at all. */
  impaired = false;
  blocked = false;
  /** The way from the switch to the port, once a frame has gone there while it was not perfect. */
  link: Link | null = null;

  constructor(handle: PortHandle, capture: FrameObserver | null) {
    const port = new Port(handle);
    this.port = port;
    this.queues = handle.queues.map((_, i) => new RxQueue(port, i));
    this.captured = capture?.indexOf(handle) ?? -1;
  }

  /** Takes in what the switch says: `own` is the sender's way to it, `way` that of port `index`. */
  follow(own: Way, way: Way, index: number): void {
    this.blocked = own.cut || way.cut || own.blocked.has(index);
    this.link?.set(way.down);
    this.impaired = this.blocked || this.link !== null || !isPerfect(way.down);
  }
}
