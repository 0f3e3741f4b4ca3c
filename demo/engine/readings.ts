/**
 * Reads off the dataplanes' memory what a snapshot says of cores, flow groups, drops and rates, whoever
 * runs them. A rate is what has been counted since a sample that is about a window old; sampling is the
 * runner's matter.
 */
import {
  CORE_MIGRATION,
  CORE_MIGRATION_BEGAN,
  GROUP_CONNECTIONS,
  GROUP_PROCESSOR,
  GROUP_SIZE,
  MIGRATION_IDLE,
  QUEUE_TX,
  RING_CONSUMER,
  RING_PRODUCER,
} from "../../assembly/abi.ts";
import {
  MetricsReader,
  modelledWatts,
  Port,
  type CounterName,
  type Counters,
  type Elasticity,
} from "../../host/index.ts";
import { dropsOf } from "./drops.ts";
import {
  FLOW_GROUPS,
  MAX_CORES,
  type CoreSnapshot,
  type GroupsSnapshot,
  type Iteration,
  type Latency,
  type Migration,
  type Totals,
} from "./messages.ts";
import type { Network } from "./network.ts";
import { MAX_FLOWS, percentile, type Tally } from "./tally.ts";

/** What a runner knows of a core beyond its memory. */
export interface CoreExtras {
  readonly asleep: boolean;
  readonly iteration: Iteration | undefined;
  /** Non-empty iterations by packets taken, since the start, by power of two. */
  readonly batches: readonly number[];
}

/** What was counted up to a time. */
interface Sample {
  readonly at: number;
  readonly answered: number;
  readonly wire: { readonly bytes: number; readonly packets: number };
  readonly cores: readonly {
    readonly counters: Counters;
    readonly busy: number;
    readonly idle: number;
    readonly batches: readonly number[];
  }[];
  readonly latencies: Float64Array;
}

const PHASES = ["idle", "leaving", "steering", "draining", "handed"] as const;
/** Samples of a window. */
const SAMPLES = 16;

export class Readings {
  readonly #network: Network;
  readonly #manager: Elasticity;
  readonly #tally: Tally;
  readonly #extras: (core: number) => CoreExtras;
  readonly #metrics: MetricsReader;
  readonly #port: Port;
  readonly #clientPort: Port;
  readonly #words: Int32Array;
  readonly #samples: Sample[] = [];
  #latest: Sample | undefined;
  /** Length of the window, µs. */
  window: number;

  constructor(
    network: Network,
    manager: Elasticity,
    tally: Tally,
    extras: (core: number) => CoreExtras,
    window: number,
  ) {
    this.#network = network;
    this.#manager = manager;
    this.#tally = tally;
    this.#extras = extras;
    this.#metrics = new MetricsReader(network.server);
    this.#port = new Port(network.server.port);
    this.#clientPort = new Port(network.client.port);
    this.#words = new Int32Array(network.server.memory.buffer);
    this.window = window;
  }

  /** Takes a sample at `now` (µs) when the last one is old enough. */
  sample(now: number): void {
    const last = this.#samples.at(-1);
    if (last && now - last.at < this.window / SAMPLES) return;
    this.#samples.push(this.#take(now));
    while (this.#samples.length > 2 && this.#samples[1].at <= now - this.window) {
      this.#samples.shift();
    }
  }

  /** The queue of the server's port that a flow group's packets go to now. */
  queueOf(group: number): number {
    this.#port.refresh();
    return this.#port.reta[group];
  }

  totals(now: number): Totals {
    const { first, last, seconds } = this.#span(now);
    const { server, client } = this.#network;
    const counters = [server.counters(), client.counters()];
    const sum = (name: CounterName): number => counters.reduce((all, each) => all + each[name], 0);
    const { active } = this;
    return {
      messages: (last.answered - first.answered) / seconds,
      bits: ((last.wire.bytes - first.wire.bytes) * 8) / seconds,
      packets: (last.wire.packets - first.wire.packets) / seconds,
      answered: last.answered,
      retransmissions: sum("tcpRetransmits"),
      timeouts: sum("tcpTimeouts"),
      cookies: counters[0].tcpCookiesOut,
      open: this.#tally.open,
      forged: this.#tally.forged,
      drops: dropsOf(this.#port, this.#clientPort, counters[0], this.#tally.shed),
      power: watts(active) / watts(MAX_CORES),
    };
  }

  get active(): number {
    return this.#manager.cores.filter((state) => state === "active").length;
  }

  latency(now: number): Latency {
    const { first, last } = this.#span(now);
    const counts = last.latencies.map((count, bucket) => count - first.latencies[bucket]);
    return {
      count: last.answered - first.answered,
      p50: percentile(counts, 0.5),
      p90: percentile(counts, 0.9),
      p99: percentile(counts, 0.99),
    };
  }

  cores(now: number): CoreSnapshot[] {
    const span = this.#span(now);
    const owners = this.#manager.owners();
    const { ringSize } = this.#network.server.options;
    const states = this.#manager.cores;
    return states.map((state, core) => {
      const { first, last, seconds } = span;
      const [before, after] = [first.cores[core], last.cores[core]];
      const rate = (name: CounterName): number =>
        (after.counters[name] - before.counters[name]) / seconds;
      const metrics = this.#metrics.read(core, now);
      const extras = this.#extras(core);
      const gauges = this.#network.server.gauges(core);
      const busy = after.busy - before.busy;
      const idle = after.idle - before.idle;
      return {
        core,
        state,
        asleep: extras.asleep,
        iteration: extras.iteration,
        rxDepth: metrics.waiting,
        fillDepth: Math.min(gauges.fill, ringSize),
        ringSize,
        txDepth: this.#txDepth(core),
        batch: extras.iteration?.received ?? metrics.queueNow,
        batchMean: metrics.batch.fast,
        batchHistogram: after.batches.map((count, bin) => count - before.batches[bin]),
        iterations: sumOf(after.batches, before.batches) / seconds,
        packets: rate("rxPackets"),
        events: rate("events"),
        calls: rate("syscalls"),
        idle: busy + idle > 0 ? idle / (busy + idle) : 1,
        queueDelay: metrics.queueDelay.fast,
        connections: gauges.connections,
        groups: owners.filter((owner) => owner === core).length,
      };
    });
  }

  groups(): GroupsSnapshot {
    this.#port.refresh();
    const owner = this.#manager.owners();
    const moving = new Set(this.migrations().flatMap(({ groups }) => groups));
    const base = this.#network.server.map.groups.address;
    const word = (group: number, offset: number): number =>
      this.#words[(base + group * GROUP_SIZE + offset) >>> 2];
    const all = Array.from({ length: FLOW_GROUPS }, (_, group) => group);
    return {
      owner,
      reta: Uint8Array.from(all, (group) => this.#port.reta[group] % MAX_CORES),
      moving: Uint8Array.from(all, (group) =>
        moving.has(group) || word(group, GROUP_PROCESSOR) !== owner[group] ? 1 : 0,
      ),
      connections: Uint16Array.from(all, (group) => word(group, GROUP_CONNECTIONS)),
      packets: this.#metrics.groupPackets(new Float64Array(FLOW_GROUPS)),
    };
  }

  /** The migrations under way, without their backlogs, which only who follows packets knows. */
  migrations(): Migration[] {
    const found: Migration[] = [];
    for (const { id, block } of this.#network.server.cores) {
      const phase = this.#words[(block + CORE_MIGRATION) >>> 2];
      if (phase === MIGRATION_IDLE) continue;
      const { groups, target } = this.#manager.control(id).underWay;
      found.push({
        from: id,
        to: target,
        groups,
        phase: PHASES[phase] as Migration["phase"],
        began: this.#words[(block + CORE_MIGRATION_BEGAN) >>> 2] >>> 0,
        fromBacklog: 0,
        toBacklog: 0,
      });
    }
    return found;
  }

  flows(): number[] {
    const flows = Array.from({ length: MAX_FLOWS }, (_, flow) => this.#tally.groupOf(flow));
    const last = flows.findLastIndex((group) => group >= 0);
    return flows.slice(0, last + 1);
  }

  #span(now: number): { first: Sample; last: Sample; seconds: number } {
    const last = this.#take(now);
    const first = this.#samples[0] ?? last;
    return { first, last, seconds: Math.max(last.at - first.at, 1) / 1e6 };
  }

  #take(now: number): Sample {
    if (this.#latest?.at !== now) this.#latest = this.#read(now);
    return this.#latest;
  }

  #read(now: number): Sample {
    const { server, client } = this.#network;
    const { queues } = this.#clientPort.counters();
    const counters = client.counters();
    return {
      at: now,
      answered: this.#tally.answered,
      wire: {
        bytes: queues[0].receivedBytes + queues[0].sentBytes,
        packets: counters.rxPackets + counters.txPackets,
      },
      cores: server.cores.map(({ id }) => {
        const { busyTime, idleTime } = this.#metrics.read(id, now);
        const { batches } = this.#extras(id);
        return {
          counters: server.counters(id),
          busy: busyTime,
          idle: idleTime,
          batches: [...batches],
        };
      }),
      latencies: this.#tally.latencies(),
    };
  }

  #txDepth(core: number): number {
    const { port } = this.#network.server;
    const at = (port.queues[core] + QUEUE_TX) >>> 2;
    const word = (ring: number): number =>
      Atomics.load(this.#words, this.#words[at + (ring >>> 2)] >>> 2);
    return (word(RING_PRODUCER) - word(RING_CONSUMER)) >>> 0;
  }
}

/** Bins of a batch histogram: 1, 2, 3–4, …, 33–64. */
export const BATCH_BINS = 7;

export function batchBin(packets: number): number {
  return Math.min(Math.ceil(Math.log2(packets)), BATCH_BINS - 1);
}

function sumOf(after: readonly number[], before: readonly number[]): number {
  return after.reduce((sum, count, bin) => sum + count - before[bin], 0);
}

function watts(active: number): number {
  return modelledWatts({ active, cores: MAX_CORES, frequency: 1 });
}
