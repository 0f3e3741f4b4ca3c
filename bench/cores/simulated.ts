/**
 * Echo in simulated time: a server of so many cores, and a client whose time costs nothing, so that the
 * server is all that is measured.
 */
import { NO_COSTS, SimulatedRunner } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { EchoClient, STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { dataplaneOptions, EchoLoad, since } from "../echo/load.ts";
import { createPair } from "../lib/pair.ts";

export interface SimulatedEcho {
  readonly cores: number;
  readonly conns: number;
  readonly size: number;
  readonly batch: number;
  readonly costs: CostModel;
  /** Simulated time that is measured, µs. */
  readonly micros: number;
}

/** All figures are simulated. */
export interface SimulatedEchoResult {
  readonly messages: number;
  readonly messagesPerSecond: number;
  /** Time that the server's cores worked for a message, ns. */
  readonly busyPerMessage: number;
  /** Share of the time that they worked: the least busy core's, and the busiest's. */
  readonly leastBusy: number;
  readonly mostBusy: number;
}

/** Longest time for opening all connections, and time for them to get into their stride, µs. */
const OPENING = 10e6;
const WARMUP = 1000;

export function simulateEcho(options: SimulatedEcho): SimulatedEchoResult {
  const { cores, conns, size, batch, costs, micros } = options;
  const params = { conns, size, batch, pipeline: 1, rounds: 0, cores };
  const secret = new Uint8Array(16);
  const load = new EchoLoad(params, false);
  const pair = createPair({ ...dataplaneOptions(params), secret });
  const runner = new SimulatedRunner({ costs });
  const servers = runner.add(pair.server, {
    wire: pair.serverWire,
    app: () => new EchoServer(load.server),
  });
  runner.add(pair.client, {
    wire: pair.clientWire,
    costs: NO_COSTS,
    app: ({ core }) => new EchoClient(load.client, core),
  });
  const open = (): boolean => load.count(STAT_OPENED) >= conns;
  if (!runner.run({ until: open, forMicros: OPENING }))
    throw new Error("the connections did not open");
  runner.run({ forMicros: WARMUP });
  const messages = load.count(STAT_MESSAGES);
  const busy = servers.map(({ busyMicros }) => busyMicros);
  runner.run({ forMicros: micros });
  const done = since(load.count(STAT_MESSAGES), messages);
  const worked = servers.map(({ busyMicros }, core) => busyMicros - busy[core]);
  return {
    messages: done,
    messagesPerSecond: (done * 1e6) / micros,
    busyPerMessage: (worked.reduce((sum, time) => sum + time) * 1000) / done,
    leastBusy: Math.min(...worked) / micros,
    mostBusy: Math.max(...worked) / micros,
  };
}
