/** The options of the echo applications for a measurement, and the memory they report in. */
import { STAT_WORDS } from "../../examples/echo-client.ts";
import type { EchoClientOptions } from "../../examples/echo-client.ts";
import type { EchoServerOptions } from "../../examples/echo-server.ts";
import { SERVER_IP } from "../lib/pair.ts";
import type { createPair } from "../lib/pair.ts";
import type { EchoTraffic } from "./system.ts";

/** Round-trip times kept of a measurement: the last million. */
const SAMPLES = 1 << 20;
/** Connections that one port is dialed for: each needs an ephemeral port of its own. */
const PER_PORT = 20_000;
const LARGEST_RING = 32_768;

type DataplaneOptions = NonNullable<Parameters<typeof createPair>[0]>;

export class EchoLoad {
  readonly server: EchoServerOptions;
  readonly client: EchoClientOptions;
  readonly #stats: Uint32Array;

  /** `sampling` measures the round-trip time of one connection's messages. */
  constructor(params: EchoTraffic, sampling: boolean) {
    const { conns, size, pipeline, rounds, cores } = params;
    const stats = new SharedArrayBuffer(cores * STAT_WORDS * 4);
    const ports = Array.from({ length: Math.ceil(conns / PER_PORT) }, (_, port) => 7000 + port);
    const samples = sampling ? new SharedArrayBuffer(SAMPLES * 4) : undefined;
    this.server = { ports, backlog: 4096 };
    this.client = {
      server: SERVER_IP,
      ports,
      conns,
      size,
      pipeline,
      rounds,
      cores,
      stats,
      samples,
    };
    this.#stats = new Uint32Array(stats);
  }

  /** A count of `STAT_*` over all cores, modulo 2^32. */
  count(stat: number): number {
    let total = 0;
    for (let at = stat; at < this.#stats.length; at += STAT_WORDS) {
      total = (total + Atomics.load(this.#stats, at)) >>> 0;
    }
    return total;
  }
}

/**
 * Options of both dataplanes for a load. Every message may be on its way at the same time, so the rings
 * are made to hold them: what does not fit a ring is lost, and comes again after a timeout. Frames are
 * enough for a full ring, for as many messages received and held, and for as many being sent.
 */
export function dataplaneOptions({ conns, pipeline, cores, batch }: EchoTraffic): DataplaneOptions {
  const inFlight = Math.min(Math.ceil((conns * pipeline) / cores), LARGEST_RING);
  const ringSize = Math.max(2 ** Math.ceil(Math.log2(inFlight)), 1024);
  return {
    cores,
    batch,
    ringSize,
    frames: cores * (3 * ringSize + 4096),
    receiveReserve: 512,
    maxConnections: Math.max(2 * conns, 1024),
  };
}

/** Difference of two counts modulo 2^32. */
export function since(later: number, earlier: number): number {
  return (later - earlier) >>> 0;
}
