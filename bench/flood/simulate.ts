/**
 * The flood in simulated time: the server's core is busy for as long as its work costs by a model, and
 * what it has no time for waits in its rings or is dropped there, flood and streams alike.
 */
import { NO_COSTS, Port, REFERENCE_COSTS, SimulatedRunner } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { createBed } from "./bed.ts";
import type { Bed, BedOptions } from "./bed.ts";

export interface SimulatedFlood extends BedOptions {
  /** SYNs a second. */
  readonly flood: number;
  readonly costs: CostModel;
  /** Virtual seconds: before the flood, and each of the two measured, without it and with it. */
  readonly warmup: number;
  readonly seconds: number;
}

/** What went on while it was quiet, or under the flood. */
export interface Phase {
  /** Payload of all streams, bits a second. */
  readonly goodput: number;
  /** Newcomers that were served, and the median of how long each took, µs. */
  readonly served: number;
  readonly wait: number;
  readonly failures: number;
  /** Share of the time that the server's core worked; measured in simulated time only. */
  readonly busy: number;
  readonly syns: number;
  /** Cookies sent and taken in. */
  readonly cookiesOut: number;
  readonly cookiesIn: number;
  /** Frames that the server's NIC had no place for. */
  readonly dropped: number;
  readonly retransmits: number;
}

export interface FloodOutcome {
  readonly quiet: Phase;
  readonly flooded: Phase;
}

/** A packet in costs what a SYN does together with its cookie, which is far more than most. */
export const FLOOD_COSTS: CostModel = { ...REFERENCE_COSTS, packetIn: 300 };

/** SYNs arrive so many at a time, as a NIC's interrupts would bring them. */
const BURST = 16;

export function simulateFlood(options: SimulatedFlood): FloodOutcome {
  const bed = createBed(options);
  const { server, client, newcomers, wires } = bed;
  const runner = new SimulatedRunner({ costs: NO_COSTS });
  const { costs } = options;
  const [core] = runner.add(server, { wire: wires.server, costs, app: () => bed.receiver });
  runner.add(client, { wire: wires.client, app: () => bed.sender });
  runner.add(newcomers, { wire: wires.newcomers, app: () => bed.newcomer });
  runner.run({ forMicros: options.warmup * 1e6 });
  const micros = options.seconds * 1e6;
  const during = (): Phase => {
    const before = { ...tally(bed), busy: core.busyMicros };
    runner.run({ forMicros: micros });
    return phaseOf(bed, before, (core.busyMicros - before.busy) / micros, options.seconds);
  };
  const quiet = during();
  const period = (BURST * 1e6) / options.flood;
  const stop = runner.every(period, () => bed.source.send(BURST, runner.now));
  const flooded = during();
  stop();
  return { quiet, flooded };
}

/** What has been counted so far. */
export type Tally = ReturnType<typeof tally>;

export function tally({ server, client, sender, newcomer, source }: Bed) {
  const { tcpCookiesOut, tcpCookiesIn } = server.counters();
  const [queue] = new Port(server.port).counters().queues;
  return {
    bytes: sender.acknowledged.reduce((sum, bytes) => sum + bytes, 0),
    served: newcomer.waits.length,
    failures: newcomer.failures,
    syns: source.sent,
    cookiesOut: tcpCookiesOut,
    cookiesIn: tcpCookiesIn,
    dropped: queue.rxRingFull + queue.noFillDescriptor,
    retransmits: client.counters().tcpRetransmits,
  };
}

/** What has happened since `before`, in so many seconds. */
export function phaseOf(bed: Bed, before: Tally, busy: number, seconds: number): Phase {
  const now = tally(bed);
  const waits = bed.newcomer.waits.slice(before.served).toSorted((a, b) => a - b);
  return {
    goodput: ((now.bytes - before.bytes) * 8) / seconds,
    served: now.served - before.served,
    wait: waits.length === 0 ? 0 : waits[waits.length >> 1],
    failures: now.failures - before.failures,
    busy,
    syns: now.syns - before.syns,
    cookiesOut: now.cookiesOut - before.cookiesOut,
    cookiesIn: now.cookiesIn - before.cookiesIn,
    dropped: now.dropped - before.dropped,
    retransmits: now.retransmits - before.retransmits,
  };
}
