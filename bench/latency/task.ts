/** Latency under an open loop between two dataplanes: on one thread, or a thread for each. */
import { EchoServer } from "../../examples/echo-server.ts";
import { InlineRunner } from "../../host/node/index.ts";
import { dataplaneOptions } from "../echo/load.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import type { Pair } from "../lib/pair.ts";
import { percentiles } from "../lib/percentiles.ts";
import { serveTask } from "../lib/task.ts";
import { onThreads } from "../lib/threads.ts";
import {
  POISSON_ANSWERED,
  POISSON_DONE,
  POISSON_SENT,
  POISSON_WORDS,
  PoissonClient,
} from "./apps.ts";
import type { PoissonOptions } from "./apps.ts";
import type { OpenLoad, OpenLoadSample } from "./systems.ts";

export interface LatencyTask extends OpenLoad {
  readonly system: "inline" | "threaded";
}

const SERVER = new URL("../../examples/echo-server.js", import.meta.url);
const CLIENT = new URL("apps.js", import.meta.url);
const PORT = 7000;
/** Requests that may be on their way on one connection before rings are too small for them. */
const PIPELINE = 8;
/** Longest time for opening and for the last answers, s. */
const PATIENCE = 20;

serveTask(async ({ system, ...load }: LatencyTask): Promise<OpenLoadSample> => {
  const { conns, size, rate, seconds, warmup } = load;
  const traffic = { conns, size, pipeline: PIPELINE, rounds: 0, cores: 1, batch: 64 };
  const pair = createPair(dataplaneOptions(traffic));
  const options: PoissonOptions = {
    ...load,
    server: SERVER_IP,
    port: PORT,
    samples: new SharedArrayBuffer(4 * Math.ceil(rate * seconds * 1.5 + 1000)),
    stats: new SharedArrayBuffer(4 * POISSON_WORDS),
  };
  const stats = new Uint32Array(options.stats);
  const limit = warmup + seconds + PATIENCE;
  if (system === "inline") runInline(pair, options, stats, limit);
  else await runThreaded(pair, options, stats, limit);
  const answered = stats[POISSON_ANSWERED];
  return {
    sent: stats[POISSON_SENT],
    answered,
    seconds,
    ...percentiles(options.samples, answered),
  };
});

const SERVER_OPTIONS = { ports: [PORT], backlog: 4096 };

function runInline(pair: Pair, options: PoissonOptions, stats: Uint32Array, limit: number): void {
  const runner = new InlineRunner({ clock: "real" });
  runner.add(pair.server, { wire: pair.serverWire, app: () => new EchoServer(SERVER_OPTIONS) });
  runner.add(pair.client, { wire: pair.clientWire, app: () => new PoissonClient(options) });
  const isDone = (): boolean => stats[POISSON_DONE] === 1;
  if (!runner.run({ until: isDone, forMicros: limit * 1e6 }))
    throw new Error(`not done in ${limit} s`);
}

function runThreaded(
  pair: Pair,
  options: PoissonOptions,
  stats: Uint32Array,
  limit: number,
): Promise<void> {
  const server = { module: SERVER, options: SERVER_OPTIONS };
  const isDone = (): boolean => Atomics.load(stats, POISSON_DONE) !== 0;
  const apps = { server, client: { module: CLIENT, options } };
  return onThreads(pair, apps, async ({ sleep, until }) => {
    // On few processors whoever looks takes a core's place, and some request waits for that.
    await sleep(options.warmup + options.seconds);
    await until(isDone, limit, `not done in ${limit} s`);
  });
}
