/** The ping-pong of two dataplanes: on one thread, or a thread for each. */
import { InlineRunner } from "../../host/node/index.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import type { Pair } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";
import { onThreads } from "../lib/threads.ts";
import { PipeClient, PipeServer } from "./apps.ts";
import type { PipeOptions } from "./apps.ts";

export interface PipeTask {
  readonly system: "inline" | "threaded";
  readonly sizes: readonly number[];
  /** For each size. */
  readonly seconds: number;
}

const SERVER = new URL("server.js", import.meta.url);
const CLIENT = new URL("client.js", import.meta.url);
/** A size may take so many times its seconds before something must be wrong. */
const PATIENCE = 10;

/** For each size the mean time one way, µs. */
serveTask(async ({ system, sizes, seconds }: PipeTask): Promise<number[]> => {
  const options: PipeOptions = {
    server: SERVER_IP,
    port: 9001,
    sizes,
    seconds,
    times: new SharedArrayBuffer(8 * sizes.length),
    done: new SharedArrayBuffer(4),
  };
  const pair = createPair({ applicationWindow: 1 << 22 });
  const limit = PATIENCE * (seconds + 1) * sizes.length;
  if (system === "inline") runInline(pair, options, limit);
  else await runThreaded(pair, options, limit);
  return [...new Float64Array(options.times)];
});

function isDone({ done, sizes }: PipeOptions): boolean {
  return Atomics.load(new Int32Array(done), 0) === sizes.length;
}

function runInline(pair: Pair, options: PipeOptions, limit: number): void {
  const runner = new InlineRunner({ clock: "real" });
  const done = new Int32Array(options.done);
  const { length } = options.sizes;
  runner.add(pair.server, { wire: pair.serverWire, app: () => new PipeServer(options) });
  runner.add(pair.client, { wire: pair.clientWire, app: () => new PipeClient(options) });
  runner.run({ until: () => done[0] === length, forMicros: limit * 1e6 });
  if (!isDone(options)) throw new Error(`only ${done[0]} of ${length} sizes in ${limit} s`);
}

function runThreaded(pair: Pair, options: PipeOptions, limit: number): Promise<void> {
  const apps = { server: { module: SERVER, options }, client: { module: CLIENT, options } };
  return onThreads(pair, apps, ({ until }) =>
    until(() => isDone(options), limit, `not all sizes in ${limit} s`),
  );
}
