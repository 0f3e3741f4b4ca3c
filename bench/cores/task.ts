/** The measurements of the cores experiment that use the real machine: what work costs, and real cores. */
import { setTimeout as sleep } from "node:timers/promises";
import { STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { MetricsReader, realClock, startThreaded } from "../../host/node/index.ts";
import type { CostModel } from "../../host/node/index.ts";
import { dataplaneOptions, EchoLoad, since } from "../echo/load.ts";
import { NOT_OPEN, OPENING, WARMUP } from "../echo/system.ts";
import { calibrate } from "../lib/calibrate.ts";
import { createPair } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";

export type CoresTask =
  | { readonly kind: "calibrate" }
  | {
      readonly kind: "real";
      /** Cores of the server; the client has one. */
      readonly cores: number;
      readonly conns: number;
      readonly size: number;
      readonly batch: number;
      readonly seconds: number;
    };

export interface RealResult {
  readonly messagesPerSecond: number;
  /** Time that the server's cores were busy for a message, by their own metrics, ns. */
  readonly busyPerMessage: number;
}

const SERVER = new URL("../../examples/echo-server.js", import.meta.url);
const CLIENT = new URL("../../examples/echo-client.js", import.meta.url);

serveTask<CoresTask, CostModel | RealResult>((task) =>
  task.kind === "calibrate" ? calibrate() : measure(task),
);

async function measure(task: CoresTask & { kind: "real" }): Promise<RealResult> {
  const { cores, conns, size, batch, seconds } = task;
  const params = { conns, size, batch, seconds, pipeline: 1, rounds: 0, cores: 1 };
  const options = dataplaneOptions(params);
  const { server, client, serverWire, clientWire } = createPair(
    options,
    {},
    {
      cores,
      frames: cores * options.frames!,
    },
  );
  const load = new EchoLoad(params, false);
  const running = await startThreaded([
    { dataplane: server, wire: serverWire, app: { module: SERVER, options: load.server } },
    { dataplane: client, wire: clientWire, app: { module: CLIENT, options: load.client } },
  ]);
  const failed = running.done.then((): never => {
    throw new Error("the dataplanes stopped");
  });
  try {
    for (let waited = 0; load.count(STAT_OPENED) < conns; waited += 0.01) {
      if (waited > OPENING) throw new Error(NOT_OPEN);
      await Promise.race([sleep(10), failed]);
    }
    await Promise.race([sleep(WARMUP * 1000), failed]);
    const clock = realClock();
    const metrics = new MetricsReader(server);
    const busy = (): number =>
      server.cores.reduce((sum, { id }) => sum + metrics.read(id, clock()).busyTime, 0);
    const before = { messages: load.count(STAT_MESSAGES), busy: busy(), at: clock() };
    await Promise.race([sleep(seconds * 1000), failed]);
    const messages = since(load.count(STAT_MESSAGES), before.messages);
    return {
      messagesPerSecond: (messages * 1e6) / (clock() - before.at),
      busyPerMessage: ((busy() - before.busy) * 1000) / messages,
    };
  } finally {
    failed.catch(() => {});
    await running.stop();
  }
}
