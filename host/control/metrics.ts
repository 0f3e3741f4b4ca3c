/**
 * Reading what the cores say of their load: the kernel's averages (`METRIC_*` of assembly/abi.ts), and
 * what waits in the RX rings this very moment, which is known even while a core is deep in its
 * application. Whatever is read here may be a poll old; nothing is written.
 */
import {
  CNT_RX_PACKETS,
  CORE_PARKED,
  DESC_ADDRESS,
  FLOW_GROUPS,
  GROUP_PACKETS,
  GROUP_SIZE,
  METADATA_SIZE,
  METRIC_BATCH,
  METRIC_BUSY_TIME,
  METRIC_DELAY_NOW,
  METRIC_IDLE,
  METRIC_IDLE_TIME,
  METRIC_LAST_POLL,
  METRIC_LOOP,
  METRIC_PERIOD,
  METRIC_QUEUE_DELAY,
  METRIC_QUEUE_NOW,
  METRIC_QUEUE_SIZE,
  METRIC_UPDATED,
  PACKET_DESC_SIZE,
  QUEUE_RX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_FLAGS,
  RX_META_HAS_TIME,
  RX_META_TIME,
} from "../../assembly/abi.ts";
import { widen } from "../dataplane/clock.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import { queuesOf } from "../dataplane/queues.ts";

/** A metric smoothed three times, with alpha 1/2, 1/4 and 1/8 for each 10 ms. */
export interface Average {
  readonly fast: number;
  readonly medium: number;
  readonly slow: number;
}

/** What is known of one core. Times in µs. */
export interface CoreMetrics {
  /** How long the oldest packet of a batch had waited. */
  readonly queueDelay: Average;
  /** Packets taken per non-empty iteration, and packets that waited then. */
  readonly batch: Average;
  readonly queueSize: Average;
  /** A busy iteration until the next one. */
  readonly loop: Average;
  /** Share of the time, 0 to 1. */
  readonly idle: Average;
  /** Of the last instant polled at: queuing delay and packets waiting. */
  readonly delayNow: number;
  readonly queueNow: number;
  /** Packets in the RX rings right now, and how long the oldest has waited. */
  readonly waiting: number;
  readonly waited: number;
  /** Packets taken since the start. */
  readonly packets: number;
  /** When the core polled last. */
  readonly lastPoll: number;
  /** Since the start. */
  readonly busyTime: number;
  readonly idleTime: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends Average ? Mutable<Average> : T[K] };
/** What a reading is written into. */
type Reading = Mutable<CoreMetrics>;

/** The averages, and where they are in a core's control block. */
const AVERAGES = [
  ["queueDelay", METRIC_QUEUE_DELAY],
  ["batch", METRIC_BATCH],
  ["queueSize", METRIC_QUEUE_SIZE],
  ["loop", METRIC_LOOP],
  ["idle", METRIC_IDLE],
] as const;

export class MetricsReader {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #bytes: Uint8Array;
  /** Of each core: its block's address, its RX rings, and its readings. */
  readonly #blocks: readonly number[];
  readonly #rings: readonly (readonly number[])[];
  readonly #readings: readonly Reading[];
  readonly #groups: number;

  constructor(dataplane: Dataplane) {
    const { memory, cores, port, map } = dataplane;
    this.#words = new Int32Array(memory.buffer);
    this.#floats = new Float64Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#blocks = cores.map(({ block }) => block);
    this.#rings = cores.map(({ id }) =>
      queuesOf(port, cores.length, id).map((queue) => port.queues[queue] + QUEUE_RX),
    );
    this.#readings = cores.map(() => emptyReading());
    this.#groups = map.groups.address;
  }

  /**
   * The metrics of a core at `now` (µs). The object is the same each time, and holds the last reading.
   */
  read(core: number, now: number): CoreMetrics {
    const reading = this.#readings[core];
    if (!reading) throw new RangeError(`ixwasm: there is no core ${core}`);
    const block = this.#blocks[core];
    const word = block >>> 2;
    for (const [name, offset] of AVERAGES) this.#readAverage(reading[name], block + offset);
    reading.delayNow = this.#words[word + (METRIC_DELAY_NOW >>> 2)] >>> 0;
    reading.queueNow = this.#words[word + (METRIC_QUEUE_NOW >>> 2)] >>> 0;
    reading.packets = this.#count(block + CNT_RX_PACKETS);
    reading.busyTime = this.#floats[(block + METRIC_BUSY_TIME) >>> 3];
    reading.idleTime = this.#floats[(block + METRIC_IDLE_TIME) >>> 3];
    const updated = this.#floats[(block + METRIC_UPDATED) >>> 3];
    const polled = this.#words[word + (METRIC_LAST_POLL >>> 2)];
    reading.lastPoll = updated === 0 ? polled >>> 0 : widen(polled, now);
    if (this.#words[word + (CORE_PARKED >>> 2)] !== 0) makeUp(reading, updated, now);
    this.#look(reading, this.#rings[core], now);
    return reading;
  }

  /**
   * TCP packets of each flow group since the start, into `into` (FLOW_GROUPS numbers): what a group
   * costs its core.
   */
  groupPackets(into: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
    for (let group = 0; group < FLOW_GROUPS; group++) {
      into[group] = this.#count(this.#groups + group * GROUP_SIZE + GROUP_PACKETS);
    }
    return into;
  }

  /** TCP packets of all flow groups that have been processed since the start. */
  processed(): number {
    let packets = 0;
    for (let group = 0; group < FLOW_GROUPS; group++) {
      packets += this.#count(this.#groups + group * GROUP_SIZE + GROUP_PACKETS);
    }
    return packets;
  }

  /** A u64 counter that its core may be adding to: read again while a carry changes the upper half. */
  #count(address: number): number {
    const at = address >>> 2;
    for (;;) {
      const high = Atomics.load(this.#words, at + 1);
      const low = Atomics.load(this.#words, at) >>> 0;
      if (Atomics.load(this.#words, at + 1) === high) return (high >>> 0) * 2 ** 32 + low;
    }
  }

  #readAverage(average: Mutable<Average>, address: number): void {
    const at = address >>> 3;
    average.fast = this.#floats[at];
    average.medium = this.#floats[at + 1];
    average.slow = this.#floats[at + 2];
  }

  /** What waits in the RX rings. */
  #look(reading: Reading, rings: readonly number[], now: number): void {
    reading.waiting = 0;
    reading.waited = 0;
    for (const ring of rings) {
      const consumer = this.#load(ring + RING_CONSUMER);
      const waiting = (this.#load(ring + RING_PRODUCER) - consumer) >>> 0;
      if (waiting === 0) continue;
      reading.waiting += waiting;
      const waited = this.#waited(ring, consumer, now);
      // The core may have taken the packet meanwhile, and its frame hold something else by now.
      if (this.#load(ring + RING_CONSUMER) === consumer && waited > reading.waited) {
        reading.waited = waited;
      }
    }
  }

  /** The word that a ring's description points to. */
  #load(pointer: number): number {
    return Atomics.load(this.#words, this.#words[pointer >>> 2] >>> 2);
  }

  /** How long the packet at the head of a ring has waited, µs; 0 when the NIC did not stamp it. */
  #waited(ring: number, head: number, now: number): number {
    const words = this.#words;
    const mask = words[(ring + RING_MASK) >>> 2];
    const slot = (words[(ring + RING_DESCRIPTORS) >>> 2] >>> 0) + (head & mask) * PACKET_DESC_SIZE;
    const packet = words[(slot + DESC_ADDRESS) >>> 2] >>> 0;
    const metadata = packet - METADATA_SIZE;
    if (metadata < 0 || packet > this.#bytes.length) return 0;
    if ((this.#bytes[metadata + RX_META_FLAGS] & RX_META_HAS_TIME) === 0) return 0;
    const at = metadata + RX_META_TIME;
    const bytes = this.#bytes;
    const stamp = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    return Math.max(now - widen(stamp, now), 0);
  }
}

function zeroAverage(): Average {
  return { fast: 0, medium: 0, slow: 0 };
}

function emptyReading(): Reading {
  return {
    queueDelay: zeroAverage(),
    batch: zeroAverage(),
    queueSize: zeroAverage(),
    loop: zeroAverage(),
    idle: zeroAverage(),
    delayNow: 0,
    queueNow: 0,
    waiting: 0,
    waited: 0,
    packets: 0,
    lastPoll: 0,
    busyTime: 0,
    idleTime: 0,
  };
}

/** A core that sleeps renews nothing: what it would have said, had it polled and found nothing. */
function makeUp(reading: Reading, updated: number, now: number): void {
  reading.idleTime += Math.max(now - reading.lastPoll, 0);
  reading.delayNow = 0;
  reading.queueNow = 0;
  const periods = Math.floor((now - updated) / METRIC_PERIOD);
  if (periods <= 0) return;
  for (const [name] of AVERAGES) decay(reading[name], name === "idle" ? 1 : 0, periods);
}

/** Moves the averages towards `sample`, once for each of `periods`. */
function decay(average: Mutable<Average>, sample: number, periods: number): void {
  average.fast = sample + (average.fast - sample) * 0.5 ** periods;
  average.medium = sample + (average.medium - sample) * 0.75 ** periods;
  average.slow = sample + (average.slow - sample) * 0.875 ** periods;
}
