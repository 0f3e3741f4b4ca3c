/**
 * What the work of a core costs in simulated time. A model, not a measurement: costs are fixed and add
 * up, so caches, memory bandwidth and locks that cores compete for are not in it. Figures made with it
 * are to be called simulated.
 */
import {
  CNT_EVENTS,
  CNT_ITERATIONS,
  CNT_RX_BYTES,
  CNT_RX_PACKETS,
  CNT_SYSCALLS,
  CNT_TCP_DELAYED_ACKS,
  CNT_TCP_PROBES,
  CNT_TCP_TIMEOUTS,
  CNT_TX_BYTES,
  CNT_TX_PACKETS,
} from "../../assembly/abi.ts";

/** Nanoseconds each, unless it says otherwise. */
export interface CostModel {
  /** An iteration, whatever it does. */
  readonly poll: number;
  /** Taking a packet through the gate and TCP; and for each of its bytes. */
  readonly packetIn: number;
  readonly byteIn: number;
  /** Sending a packet: the NIC's hash, descriptors and copy, which the sending core does. */
  readonly packetOut: number;
  readonly byteOut: number;
  /** A batched system call, the making of its segment included. */
  readonly call: number;
  /** An event, with what the application does about it. */
  readonly event: number;
  /** A TCP timer that fires. */
  readonly timer: number;
  /** How long an idle core goes on polling before it sleeps, and how long waking it takes, µs. */
  readonly spin: number;
  readonly wake: number;
}

/**
 * About what one core of an AMD EPYC VM with Node 20 needs for echoes (`calibrate` of bench/lib measures
 * it anew). For tests and wherever figures must be the same on every machine.
 */
export const REFERENCE_COSTS: CostModel = {
  poll: 80,
  packetIn: 60,
  byteIn: 0.02,
  packetOut: 70,
  byteOut: 0.1,
  call: 25,
  event: 20,
  timer: 100,
  spin: 200,
  wake: 40,
};

/** A machine whose speed does not matter, such as that of a load generator. */
export const NO_COSTS: CostModel = {
  poll: 0,
  packetIn: 0,
  byteIn: 0,
  packetOut: 0,
  byteOut: 0,
  call: 0,
  event: 0,
  timer: 0,
  spin: Infinity,
  wake: 0,
};

type Charge = Exclude<keyof CostModel, "event" | "spin" | "wake">;

/** Which counters say how often something was done; `event` is kept apart, see `Meter`. */
const COUNTED: readonly (readonly [cost: Charge, counter: number])[] = [
  ["poll", CNT_ITERATIONS],
  ["packetIn", CNT_RX_PACKETS],
  ["byteIn", CNT_RX_BYTES],
  ["packetOut", CNT_TX_PACKETS],
  ["byteOut", CNT_TX_BYTES],
  ["call", CNT_SYSCALLS],
  ["timer", CNT_TCP_TIMEOUTS],
  ["timer", CNT_TCP_DELAYED_ACKS],
  ["timer", CNT_TCP_PROBES],
];

/** Reads off a core's counters what its work since the last reading cost. */
export class Meter {
  readonly #words: Uint32Array;
  readonly #at: Uint32Array;
  readonly #nanos: Float64Array;
  readonly #seen: Uint32Array;
  readonly #eventsAt: number;
  readonly #eventNanos: number;
  #eventsSeen: number;

  /** `block` is the core's control block. */
  constructor(memory: WebAssembly.Memory, block: number, costs: CostModel) {
    this.#words = new Uint32Array(memory.buffer);
    this.#at = Uint32Array.from(COUNTED, ([, counter]) => (block + counter) >>> 2);
    this.#nanos = Float64Array.from(COUNTED, ([cost]) => costs[cost]);
    this.#seen = this.#at.map((at) => this.#words[at]);
    this.#eventsAt = (block + CNT_EVENTS) >>> 2;
    this.#eventNanos = costs.event;
    this.#eventsSeen = this.#words[this.#eventsAt];
  }

  /** Cost of the kernel's and the NIC's work since the last call, µs. */
  kernel(): number {
    let nanos = 0;
    for (let i = 0; i < this.#at.length; i++) {
      const count = this.#words[this.#at[i]];
      // Low halves of u64 counters: differences are right modulo 2^32.
      nanos += ((count - this.#seen[i]) >>> 0) * this.#nanos[i];
      this.#seen[i] = count;
    }
    return nanos / 1000;
  }

  /** Cost of the events since the last call, the application's time included, µs. */
  application(): number {
    const events = this.#words[this.#eventsAt];
    const fresh = (events - this.#eventsSeen) >>> 0;
    this.#eventsSeen = events;
    return (fresh * this.#eventNanos) / 1000;
  }
}
