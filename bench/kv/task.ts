/**
 * The kv measurement of ixwasm: the memcached server and the load generator, each a dataplane of one core, on a
 * thread each or both on this one.
 */
import memcached from "../../examples/memcached/app.ts";
import { InlineRunner } from "../../host/node/index.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";
import { onThreads } from "../lib/threads.ts";
import { KvClient } from "./client.ts";
import { pointsOf } from "./points.ts";
import { DONE, RESULT_WORDS, type KvClientOptions } from "./schedule.ts";
import { duration, type KvParams, type KvPoint } from "./system.ts";

export interface KvTask {
  readonly params: KvParams;
  readonly threaded: boolean;
}

const PORT = 11211;
const SERVER = new URL("../../examples/memcached/app.js", import.meta.url);
const CLIENT = new URL("client.js", import.meta.url);

serveTask(async ({ params, threaded }: KvTask): Promise<KvPoint[]> => {
  const loads = params.fractions.length + 1;
  const results = new SharedArrayBuffer(8 * (1 + loads * RESULT_WORDS));
  const options: KvClientOptions = { ...params, server: SERVER_IP, port: PORT, results };
  await (threaded ? runThreaded(options) : runInline(options));
  return pointsOf(new Float64Array(results, 8), loads);
});

/** Sizes of both ends. Requests are copied at the call, so that their memory may be used again. */
function makePair() {
  return createPair(
    { applicationWindow: 32 << 20, tcp: { copyBreak: 4096 } },
    {},
    { applicationWindow: 128 << 20, sharedWindow: 64 << 20, tcp: { profile: "lan" } },
  );
}

function runThreaded(options: KvClientOptions): Promise<void> {
  const server = { module: SERVER, options: { port: PORT } };
  const done = new Int32Array(options.results, 0, 1);
  const isDone = (): boolean => Atomics.load(done, 0) === DONE;
  return onThreads(
    makePair(),
    { server, client: { module: CLIENT, options } },
    ({ until }) => until(isDone, 2 * duration(options), TOO_LONG),
    // As IX's cores do.
    { idle: "spin" },
  );
}

function runInline(options: KvClientOptions): void {
  const { server, client, serverWire, clientWire } = makePair();
  const runner = new InlineRunner({ clock: "real" });
  runner.add(server, {
    wire: serverWire,
    app: (context) => memcached({ ...context, options: { port: PORT } }),
  });
  runner.add(client, { wire: clientWire, app: () => new KvClient(options) });
  const done = new Int32Array(options.results, 0, 1);
  const until = (): boolean => done[0] === DONE;
  if (!runner.run({ until, forMicros: 2e6 * duration(options) })) throw new Error(TOO_LONG);
  runner.close();
}

const TOO_LONG = "the measurement did not end in twice its time";
