/**
 * The migration measurement, in a process of its own: flow groups go back and forth between the two
 * cores of an echo server, which is idle or under load, inline or on threads. How long one took is what
 * the kernel says: from the command until the other core had everything.
 */
import { build } from "hdr-histogram-js";
import { setTimeout as sleep } from "node:timers/promises";
import { FLOW_GROUPS } from "../../assembly/abi.ts";
import { EchoClient, STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { InlineRunner, startThreaded } from "../../host/node/index.ts";
import type { CoreManager, Dataplane } from "../../host/node/index.ts";
import { dataplaneOptions, EchoLoad, since } from "../echo/load.ts";
import { NOT_OPEN, OPENING } from "../echo/system.ts";
import { MovableEcho } from "../elastic/apps.ts";
import { createPair } from "../lib/pair.ts";
import { Random } from "../lib/random.ts";
import { serveTask } from "../lib/task.ts";

export interface MigrationTask {
  readonly system: "inline" | "threaded";
  readonly loaded: boolean;
  readonly conns: number;
  readonly migrations: number;
  /** Flow groups of each. */
  readonly groups: number;
}

export interface MigrationFigures {
  /** µs from the command to the new owner: the least, by percentile, and the most. */
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** From asking for it until the promise was fulfilled, µs. */
  readonly wall_p50: number;
  readonly wall_p99: number;
  /** Means of a migration. */
  readonly connections: number;
  readonly packets: number;
  /** Messages echoed meanwhile, and segments that the server had to send again. */
  readonly messages: number;
  readonly retransmissions: number;
  /** By percentile: µs, and the share that took no longer. */
  readonly distribution: { readonly micros: readonly number[]; readonly share: readonly number[] };
}

/** What runs, and what the measurement needs of it. */
interface Running {
  readonly server: Dataplane;
  readonly manager: CoreManager;
  readonly load: EchoLoad;
  stop(): Promise<void>;
}

const CORES = 2;
const WARMUP = 300;
const PERCENTILES = [...Array.from({ length: 100 }, (_, i) => i + 0.5), 99.9, 100];
const SERVER = new URL("../elastic/apps.js", import.meta.url);
const CLIENT = new URL("../../examples/echo-client.js", import.meta.url);

serveTask(async (task: MigrationTask): Promise<MigrationFigures> => {
  const running = task.system === "inline" ? startInline(task) : await startThreads(task);
  try {
    return await measure(task, running);
  } finally {
    await running.stop();
  }
});

function prepare({ conns, loaded }: MigrationTask) {
  const params = { conns, size: 64, pipeline: 1, rounds: 1, cores: 1, batch: 64 };
  const load = new EchoLoad(params, false);
  // With its timeouts of 200 ms nothing is sent again because a thread had to wait for its processor.
  const options = { ...dataplaneOptions(params), tcp: { profile: "default" as const } };
  const pair = createPair(options, {}, { cores: CORES, frames: CORES * options.frames! });
  const server = { port: load.server.ports[0], backlog: conns };
  const client = { ...load.client, rounds: loaded ? 0 : 1, atEnd: "idle" as const };
  return { load, pair, server, client };
}

function startInline(task: MigrationTask): Running {
  const { load, pair, server, client } = prepare(task);
  const runner = new InlineRunner({ clock: "real" });
  runner.add(pair.server, { wire: pair.serverWire, app: () => new MovableEcho(server) });
  runner.add(pair.client, { wire: pair.clientWire, app: () => new EchoClient(client) });
  const ended = runner.start();
  ended.catch(fail);
  const manager = runner.manager(pair.server);
  return { server: pair.server, manager, load, stop: () => runner.stop() };
}

async function startThreads(task: MigrationTask): Promise<Running> {
  const { load, pair, server, client } = prepare(task);
  const running = await startThreaded([
    { dataplane: pair.server, wire: pair.serverWire, app: { module: SERVER, options: server } },
    { dataplane: pair.client, wire: pair.clientWire, app: { module: CLIENT, options: client } },
  ]);
  running.done.catch(fail);
  const manager = running.manager(pair.server);
  return { server: pair.server, manager, load, stop: () => running.stop() };
}

/** A migration would wait for ever for a core that died. */
function fail(error: unknown): never {
  throw error;
}

async function measure(task: MigrationTask, running: Running): Promise<MigrationFigures> {
  const { conns, migrations, groups } = task;
  const { server, manager, load } = running;
  for (let waited = 0; load.count(STAT_OPENED) < conns; waited += 0.01) {
    if (waited > OPENING) throw new Error(NOT_OPEN);
    await sleep(10);
  }
  await sleep(WARMUP);
  const random = new Random(1);
  const micros = histogram();
  const wall = histogram();
  const messages = load.count(STAT_MESSAGES);
  let connections = 0;
  let packets = 0;
  for (let i = 0; i < migrations; i++) {
    const owners = manager.owners();
    const from = i % CORES;
    const own = Array.from({ length: FLOW_GROUPS }, (_, group) => group).filter(
      (group) => owners[group] === from,
    );
    const first = random.below(own.length);
    const chosen = Array.from(
      { length: Math.min(groups, own.length) },
      (_, k) => own[(first + k) % own.length],
    );
    const begin = performance.now();
    for (const moved of await manager.migrate(chosen, 1 - from)) {
      micros.recordValue(moved.micros);
      connections += moved.connections;
      packets += moved.packets;
    }
    wall.recordValue((performance.now() - begin) * 1000);
  }
  return {
    min: micros.getValueAtPercentile(0),
    p50: micros.getValueAtPercentile(50),
    p90: micros.getValueAtPercentile(90),
    p99: micros.getValueAtPercentile(99),
    max: micros.maxValue,
    wall_p50: wall.getValueAtPercentile(50),
    wall_p99: wall.getValueAtPercentile(99),
    connections: connections / migrations,
    packets: packets / migrations,
    messages: since(load.count(STAT_MESSAGES), messages),
    retransmissions: server.counters().tcpRetransmits,
    distribution: {
      micros: PERCENTILES.map((percentile) => micros.getValueAtPercentile(percentile)),
      share: PERCENTILES.map((percentile) => percentile / 100),
    },
  };
}

function histogram() {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 1e8 });
}
