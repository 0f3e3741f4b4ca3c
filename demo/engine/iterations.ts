/**
 * What the iterations of a core did, read off its counters, and when each stage ran: by what the cost model
 * charges for it, since in virtual time nothing else takes any.
 */
import {
  CNT_EVENTS,
  CNT_RX_BYTES,
  CNT_RX_PACKETS,
  CNT_SYSCALLS,
  CNT_TCP_DELAYED_ACKS,
  CNT_TCP_PROBES,
  CNT_TCP_TIMEOUTS,
  CNT_TX_BYTES,
  CNT_TX_PACKETS,
} from "../../assembly/abi.ts";
import type { CostModel, SimulatedIteration } from "../../host/index.ts";
import { STAGES, type Iteration, type Stage } from "./messages.ts";
import type { IterationTimes } from "./tracker.ts";

const COUNTED = {
  received: CNT_RX_PACKETS,
  receivedBytes: CNT_RX_BYTES,
  sent: CNT_TX_PACKETS,
  sentBytes: CNT_TX_BYTES,
  events: CNT_EVENTS,
  calls: CNT_SYSCALLS,
  timeouts: CNT_TCP_TIMEOUTS,
  delayedAcks: CNT_TCP_DELAYED_ACKS,
  probes: CNT_TCP_PROBES,
} as const;

type Done = Record<keyof typeof COUNTED, number>;
const NAMES = Object.keys(COUNTED) as (keyof Done)[];

export class IterationReader {
  readonly #words: Uint32Array;
  readonly #block: number;
  readonly #costs: CostModel;
  readonly #seen: Done;
  #number = 0;

  /** `block` is the core's control block. */
  constructor(memory: WebAssembly.Memory, block: number, costs: CostModel) {
    this.#words = new Uint32Array(memory.buffer);
    this.#block = block;
    this.#costs = costs;
    this.#seen = this.#read();
  }

  /** The iteration that has just been run; undefined when it found nothing to do. */
  read({ began, sent, ended, work }: SimulatedIteration): Iteration | undefined {
    const now = this.#read();
    const done = { ...now };
    for (const name of NAMES) done[name] = (now[name] - this.#seen[name]) >>> 0;
    Object.assign(this.#seen, now);
    if (work === 0) return undefined;
    return {
      number: this.#number++,
      began,
      ended,
      received: done.received,
      sent: done.sent,
      events: done.events,
      calls: done.calls,
      timers: done.timeouts + done.delayedAcks + done.probes,
      stages: this.#stages(done, began, sent, ended),
    };
  }

  #read(): Done {
    const done = {} as Done;
    for (const name of NAMES) done[name] = this.#words[(this.#block + COUNTED[name]) >>> 2];
    return done;
  }

  /** Shares the kernel's time out to its stages. */
  #stages(done: Done, began: number, sent: number, ended: number): Iteration["stages"] {
    const { call, packetOut, byteOut, poll, packetIn, byteIn, timer } = this.#costs;
    // The gate and TCP share what a packet costs.
    const packets = (done.received * packetIn + done.receivedBytes * byteIn) / 2;
    const shares: Record<Stage, number> = {
      calls: done.calls * call,
      transmit: done.sent * packetOut + done.sentBytes * byteOut,
      receive: packets + poll / 2,
      protocols: packets + poll / 2,
      timers: (done.timeouts + done.delayedAcks + done.probes) * timer,
      app: 0,
    };
    const total = STAGES.reduce((sum, stage) => sum + shares[stage], 0);
    let from = began;
    return STAGES.map((stage) => {
      const until = stage === "app" ? ended : from + ((sent - began) * shares[stage]) / total;
      const span = { stage, from, until };
      from = until;
      return span;
    });
  }
}

/** When a packet that the iteration has taken went through its stages. */
export function timesOf({ stages, ended }: Iteration): IterationTimes {
  const begin = (stage: Stage): number => stages[STAGES.indexOf(stage)].from;
  return {
    taken: begin("receive"),
    protocols: begin("protocols"),
    app: begin("app"),
    done: ended,
  };
}
