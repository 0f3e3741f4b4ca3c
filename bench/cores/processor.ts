/**
 * One processor of the real measurement: a worker thread that runs, in turn, a core of the server and a
 * client that loads it, and takes the time of the server's iterations alone. So a machine with as many
 * processors as the server has cores is neither idle nor overcrowded.
 */
import { workerData } from "node:worker_threads";
import {
  Core,
  createBackend,
  ElasticThread,
  realClock,
  type AppFactory,
} from "../../host/node/index.ts";
import {
  CONTROL_BYTES,
  CONTROL_READY,
  CONTROL_STATE,
  RUN,
  WAIT,
  type Part,
  type ProcessorData,
} from "./processors.ts";

/** Iterations between two looks at the state. */
const BURST = 256;

const { server, client, control, processor } = workerData as ProcessorData;
const words = new Int32Array(control);
const busy = new Float64Array(control, CONTROL_BYTES + processor * 64, 1);
const clock = realClock();
const serving = server && (await start(server));
const loading = await start(client);
Atomics.add(words, CONTROL_READY, 1);
Atomics.notify(words, CONTROL_READY);
Atomics.wait(words, CONTROL_STATE, WAIT);
while (Atomics.load(words, CONTROL_STATE) === RUN) {
  for (let i = 0; i < BURST; i++) {
    if (serving !== undefined) serve(serving);
    loading.iterate(clock());
  }
}

async function start(part: Part): Promise<ElasticThread> {
  const { dataplane, core, wire, module, options } = part;
  const { port, memory, kernel } = dataplane;
  const { default: app } = (await import(module)) as { default: AppFactory };
  return new ElasticThread(new Core(kernel, memory, core), clock(), {
    port,
    backends: [createBackend(port, core, wire)],
    app,
    options,
  });
}

function serve(thread: ElasticThread): void {
  const begin = clock();
  if (thread.iterate(begin) !== 0) busy[0] += clock() - begin;
}
