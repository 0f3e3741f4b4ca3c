/**
 * The echo measurement of ixwasm threaded: every core of both dataplanes on a worker thread. This
 * thread sleeps and reads the counts at the beginning and at the end.
 */
import { STAT_MESSAGES, STAT_OPENED, STAT_SAMPLES } from "../../examples/echo-client.ts";
import { createPair } from "../lib/pair.ts";
import { percentiles } from "../lib/percentiles.ts";
import { serveTask } from "../lib/task.ts";
import { onThreads } from "../lib/threads.ts";
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

function measure(params: EchoParams, seconds: number, sampling: boolean): Promise<EchoSample> {
  const load = new EchoLoad(params, sampling);
  const apps = {
    server: { module: SERVER, options: load.server },
    client: { module: CLIENT, options: load.client },
  };
  return onThreads(createPair(dataplaneOptions(params)), apps, async ({ sleep, until }) => {
    await until(() => load.count(STAT_OPENED) >= params.conns, OPENING, NOT_OPEN);
    await sleep(WARMUP);
    const messages = load.count(STAT_MESSAGES);
    const opened = load.count(STAT_OPENED);
    const begin = performance.now();
    await sleep(seconds);
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
  });
}
