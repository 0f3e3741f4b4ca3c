/** Flows over one bottleneck in virtual time: every run of a scenario is the same. */
import { InlineRunner } from "../../host/node/index.ts";
import type { LinkOptions } from "../../host/node/index.ts";
import { CONGESTION_CONTROLS } from "../../host/dataplane/options.ts";
import type { CongestionControl } from "../../host/dataplane/options.ts";
import { createPair } from "../lib/pair.ts";
import { Random } from "../lib/random.ts";
import { FlowReceiver, FlowSender } from "./apps.ts";

export interface Scenario {
  /** One flow for each. */
  readonly controls: readonly CongestionControl[];
  /** Of the link: bits a second, µs there and back, part of the frames lost each way. */
  readonly rate: number;
  readonly roundTrip: number;
  readonly loss: number;
  /** Frames that wait for the link: this many times what the path holds, at least 64 frames. */
  readonly queue: number;
  /** Frames waiting from which on the link marks. */
  readonly ecnThreshold?: number;
  /** False: both ends do without SACK and timestamps. */
  readonly sack?: boolean;
  /** Virtual seconds within which the flows begin, at random times. Default 0: all at once. */
  readonly spread?: number;
  /**
   * A frame is held up for up to so long, µs, at random and in order, as by hosts that have other things
   * to do. Default 0.
   */
  readonly jitter?: number;
  /** Virtual seconds: before measuring, and measured. */
  readonly warmup: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface Outcome {
  /** Payload of each flow, bits a second. */
  readonly goodputs: readonly number[];
  /** While it was measured. */
  readonly retransmits: number;
  readonly timeouts: number;
}

/**
 * What a measurement of fairness needs. Hosts hold a frame up for about as long as 100 Mbit/s takes for two,
 * which breaks up the phases of a full queue (Floyd and Jacobson, "On Traffic Phase Effects in
 * Packet-Switched Gateways", 1992): without, it is always the same flow that loses. Connections that begin
 * at once lose their SYNs at once. Warming up takes longer than the ten seconds after which BBR looks for
 * its round trip anew.
 */
export const SHARING = { jitter: 250, spread: 1, warmup: 15, seconds: 60 } as const;

const FRAME = 1500;
const LEAST_QUEUE = 64;
const MIB = 1 << 20;

export function simulate(scenario: Scenario): Outcome {
  const { controls } = scenario;
  const { link, flight } = linkOf(scenario);
  const pair = createPair(dimensions(flight, scenario), link);
  const numbers = controls.map((name) => CONGESTION_CONTROLS.indexOf(name) + 1);
  const sender = new FlowSender(numbers, startsOf(scenario));
  const runner = new InlineRunner();
  runner.add(pair.server, { wire: pair.serverWire, app: () => new FlowReceiver() });
  runner.add(pair.client, { wire: pair.clientWire, app: () => sender });
  runner.run({ forMicros: scenario.warmup * 1e6 });
  const before = Float64Array.from(sender.acknowledged);
  const { tcpRetransmits, tcpTimeouts } = pair.client.counters();
  runner.run({ forMicros: scenario.seconds * 1e6 });
  const after = pair.client.counters();
  return {
    goodputs: Array.from(sender.acknowledged, (bytes, flow) => {
      return ((bytes - before[flow]) * 8) / scenario.seconds;
    }),
    retransmits: after.tcpRetransmits - tcpRetransmits,
    timeouts: after.tcpTimeouts - tcpTimeouts,
  };
}

/** When each flow begins, µs; the first at once. */
function startsOf({ controls, spread = 0, seed }: Scenario): number[] {
  const random = new Random(seed);
  return controls.map((_, flow) => (flow === 0 ? 0 : random.below(Math.ceil(spread * 1e6) + 1)));
}

/** The link, both ways alike, and how many bytes it holds with its queue. */
export function linkOf(scenario: Scenario): {
  readonly link: LinkOptions;
  readonly flight: number;
} {
  const { rate, roundTrip, loss, queue, seed, ecnThreshold, jitter = 0 } = scenario;
  const path = (rate * roundTrip) / 8e6;
  const queueLimit = Math.max(Math.ceil((path * queue) / FRAME), LEAST_QUEUE);
  const marking = ecnThreshold === undefined ? {} : { ecnThreshold };
  const link = { rate, delay: roundTrip / 2, jitter, loss, queueLimit, seed, ...marking };
  return { link, flight: path * (1 + queue) };
}

/** Windows and buffers that let `flight` bytes, and as much again that is out of order, be on the way. */
export function dimensions(
  flight: number,
  { controls, sack = true }: Scenario,
): Parameters<typeof createPair>[0] {
  const window = Math.min(Math.max(4 * MIB, 2 * Math.ceil(flight)), 64 * MIB);
  const segments = Math.ceil(window / 1000);
  return {
    secret: new Uint8Array(16).fill(7),
    frames: 8192 + 2 * segments,
    references: 8192 + 2 * segments + 256 * controls.length,
    tcp: {
      profile: "default",
      sack,
      timestamps: sack,
      receiveWindowMax: window,
      sendBufferMax: window,
      reassemblyMax: Math.min(segments, 65_535),
    },
  };
}

/** Jain's fairness index: 1 when all have the same, 1/n when one has all. */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}
