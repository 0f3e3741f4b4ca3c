/**
 * The echo measurement of ixwasm inline: server and client dataplane take turns on this thread, so a
 * message costs what both ends and both NICs take together. The stages are measured in a pass of
 * their own, because reading the clock between them would slow the others down.
 */
import {
  EchoClient,
  STAT_MESSAGES,
  STAT_OPENED,
  STAT_SAMPLES,
} from "../../examples/echo-client.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { InlineRunner } from "../../host/node/index.ts";
import { createPair } from "../lib/pair.ts";
import { percentiles } from "../lib/percentiles.ts";
import { serveTask } from "../lib/task.ts";
import { dataplaneOptions, EchoLoad, since } from "./load.ts";
import { measureStages } from "./stages.ts";
import { NO_LATENCY, NO_THROUGHPUT, NOT_OPEN, oneInFlight, OPENING, WARMUP } from "./system.ts";
import type { EchoParams, EchoSample } from "./system.ts";

serveTask((params: EchoParams): EchoSample => {
  const { seconds, latency, stages } = params;
  const throughput = seconds > 0 ? measure(params, seconds, false) : NO_THROUGHPUT;
  const { p50_us, p99_us } = latency > 0 ? measure(oneInFlight(params), latency, true) : NO_LATENCY;
  return { ...throughput, p50_us, p99_us, ...(stages && { stages: measureStages(params) }) };
});

function measure(params: EchoParams, seconds: number, sampling: boolean): EchoSample {
  const pair = createPair(dataplaneOptions(params));
  const load = new EchoLoad(params, sampling);
  const runner = new InlineRunner({ clock: "real" });
  runner.add(pair.server, { wire: pair.serverWire, app: () => new EchoServer(load.server) });
  runner.add(pair.client, {
    wire: pair.clientWire,
    app: ({ core }) => new EchoClient(load.client, core),
  });
  const open = (): boolean => load.count(STAT_OPENED) >= params.conns;
  if (!runner.run({ until: open, forMicros: OPENING * 1e6 })) throw new Error(NOT_OPEN);
  runner.run({ forMicros: WARMUP * 1e6 });
  const messages = load.count(STAT_MESSAGES);
  const opened = load.count(STAT_OPENED);
  const begin = performance.now();
  runner.run({ forMicros: seconds * 1e6 });
  const sample = {
    messages: since(load.count(STAT_MESSAGES), messages),
    opened: since(load.count(STAT_OPENED), opened),
    seconds: (performance.now() - begin) / 1000,
  };
  runner.close();
  const latency = load.client.samples
    ? percentiles(load.client.samples, load.count(STAT_SAMPLES))
    : NO_LATENCY;
  return { ...sample, ...latency };
}
