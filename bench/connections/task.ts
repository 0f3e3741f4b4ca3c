/**
 * Many connections open at once: a dataplane accepts them all, another opens them, each echoes once as
 * it opens and again while all are open. Both run inline in this process.
 */
import { EchoClient, STAT_MESSAGES, STAT_OPEN } from "../../examples/echo-client.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { createDataplane, InlineRunner } from "../../host/node/index.ts";
import process from "node:process";
import { EchoLoad } from "../echo/load.ts";
import { createPair } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";

export interface ConnectionsTask {
  readonly conns: number;
  readonly size: number;
  /** Messages that each connection echoes while all are open. */
  readonly messages: number;
  /** Messages in flight meanwhile, over all connections. */
  readonly inFlight: number;
}

export interface ConnectionsResult {
  /** Connections that were open at the same time, as the server's kernel counts them. */
  readonly open: number;
  readonly openSeconds: number;
  /** Messages that were echoed while all were open, and how long it took. */
  readonly messages: number;
  readonly echoSeconds: number;
  /** Bytes of linear memory that the layout sets aside for one more connection. */
  readonly bytesPerConnection: number;
  /** Resident bytes of the process before, and with all connections open and idle. */
  readonly residentBefore: number;
  readonly residentOpen: number;
  /** The same of the JavaScript heap. */
  readonly heapBefore: number;
  readonly heapOpen: number;
}

/** Longest that opening, and echoing, may take, µs. */
const LIMIT = 300e6;
/** A size to compare the layout with. */
const FEW = 1024;

serveTask((task: ConnectionsTask): ConnectionsResult => {
  const { conns, size, messages, inFlight } = task;
  const params = { conns, size, pipeline: 1, rounds: 1, cores: 1, batch: 64 };
  const load = new EchoLoad(params, false);
  const before = memory();
  const maxConnections = conns + FEW;
  const pair = createPair({ maxConnections, tcp: { ephemeral: [1024, 65535] } });
  const client = new EchoClient({ ...load.client, atEnd: "idle", dials: 512 });
  const runner = new InlineRunner({ clock: "real" });
  runner.add(pair.server, { wire: pair.serverWire, app: () => new EchoServer(load.server) });
  const [thread] = runner.add(pair.client, { wire: pair.clientWire, app: () => client });

  const openSeconds = runUntilEchoed(runner, load, conns, "opening");
  if (load.count(STAT_OPEN) !== conns) throw new Error(`${load.count(STAT_OPEN)} are open`);
  // What is left of opening comes to rest: delayed ACKs, frames in flight.
  runner.run({ forMicros: 100_000 });
  const open = pair.server.gauges().connections;
  const after = memory();
  client.takeTurns(thread.ix, messages, inFlight);
  const echoSeconds = runUntilEchoed(runner, load, conns * (messages + 1), "echoing");
  return {
    open,
    openSeconds,
    messages: conns * messages,
    echoSeconds,
    bytesPerConnection: layoutBytesPerConnection(maxConnections),
    residentBefore: before.rss,
    residentOpen: after.rss,
    heapBefore: before.heapUsed,
    heapOpen: after.heapUsed,
  };
});

/** Runs until `total` messages have been echoed; returns how long it took, s. */
function runUntilEchoed(runner: InlineRunner, load: EchoLoad, total: number, what: string): number {
  const begin = performance.now();
  const done = runner.run({
    until: () => load.count(STAT_MESSAGES) >= total,
    forMicros: LIMIT,
  });
  const seconds = (performance.now() - begin) / 1000;
  if (!done) throw new Error(`${what}: ${load.count(STAT_MESSAGES)} of ${total} in ${seconds} s`);
  return seconds;
}

/** What the memory map grows by, divided by the connections that it grows for. */
function layoutBytesPerConnection(maxConnections: number): number {
  return (layoutSize(maxConnections) - layoutSize(FEW)) / (maxConnections - FEW);
}

function layoutSize(maxConnections: number): number {
  // A small window, because what comes before it is rounded up to its size.
  return createDataplane({ ip: "10.0.0.3/24", maxConnections, applicationWindow: 65_536 }).map.size;
}

function memory(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  return process.memoryUsage();
}
