/**
 * The echo measurement of ixwasm threaded: every core of both dataplanes on a worker thread. This
 * thread sleeps and reads the counts at the beginning and at the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { STAT_MESSAGES, STAT_OPENED, STAT_SAMPLES } from "../../examples/echo-client.ts";
import { startThreaded } from "../../host/node/index.ts";
import { createPair } from "../lib/pair.ts";
import { percentiles } from "../lib/percentiles.ts";
import { serveTask } from "../lib/task.ts";
import { dataplaneOptions, EchoLoad, since } from "./load.ts";
import { NO_LATENCY, NO_THROUGHPUT, NOT_OPEN, oneInFlight, OPENING, WARMUP } from "./system.ts";
import type { EchoParams, EchoSample } from "./system.ts";

const SERVER = new URL("../../examples/echo-server.js", import.meta.url);
const CLIENT = new URL("../../examples/echo-client.js", import.meta.url);

serveTask(async (params: EchoParams): Promise<EchoSample> => {
  const { seconds, latency } = params;
  const throughput = seconds > 0 ? await measure(params, seconds, false) : NO_THROUGHPUT;
  const one = latency > 0 ? await measure(oneInFlight(params), latency, true) : NO_LATENCY;
  return { ...throughput, p50_us: one.p50_us, p99_us: one.p99_us };
});

async function measure(
  params: EchoParams,
  seconds: number,
  sampling: boolean,
): Promise<EchoSample> {
  const { server, client, serverWire, clientWire } = createPair(dataplaneOptions(params));
  const load = new EchoLoad(params, sampling);
  const running = await startThreaded([
    { dataplane: server, wire: serverWire, app: { module: SERVER, options: load.server } },
    { dataplane: client, wire: clientWire, app: { module: CLIENT, options: load.client } },
  ]);
  // An application that throws ends the measurement at once.
  const failed = running.done.then((): never => {
    throw new Error("the dataplanes stopped");
  });
  try {
    for (let waited = 0; load.count(STAT_OPENED) < params.conns; waited += 0.01) {
      if (waited > OPENING) throw new Error(NOT_OPEN);
      await Promise.race([sleep(10), failed]);
    }
    await Promise.race([sleep(WARMUP * 1000), failed]);
    const messages = load.count(STAT_MESSAGES);
    const opened = load.count(STAT_OPENED);
    const begin = performance.now();
    await Promise.race([sleep(seconds * 1000), failed]);
    const elapsed = (performance.now() - begin) / 1000;
    const sample = {
      messages: since(load.count(STAT_MESSAGES), messages),
      opened: since(load.count(STAT_OPENED), opened),
      seconds: elapsed,
    };
    const latency = load.client.samples
      ? percentiles(load.client.samples, load.count(STAT_SAMPLES))
      : NO_LATENCY;
    return { ...sample, ...latency };
  } finally {
    failed.catch(() => {});
    await running.stop();
  }
}
