/** The measurements of the cores experiment that use the real machine: what work costs, and real cores. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { createDataplane, createSwitch } from "../../host/node/index.ts";
import type { CostModel, Dataplane, Wire } from "../../host/node/index.ts";
import { dataplaneOptions, EchoLoad, since } from "../echo/load.ts";
import { NOT_OPEN, OPENING, WARMUP } from "../echo/system.ts";
import { calibrate } from "../lib/calibrate.ts";
import { SERVER_IP } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";
import {
  CONTROL_BYTES,
  CONTROL_READY,
  CONTROL_STATE,
  PROCESSORS,
  RUN,
  STOP,
  type Part,
  type ProcessorData,
} from "./processors.ts";
import { simulateEcho, type SimulatedEcho, type SimulatedEchoResult } from "./simulated.ts";

export type CoresTask =
  | { readonly kind: "calibrate" }
  | { readonly kind: "simulated"; readonly echo: SimulatedEcho }
  | {
      readonly kind: "real";
      /** Cores of the server, at most PROCESSORS. */
      readonly cores: number;
      readonly conns: number;
      readonly size: number;
      readonly batch: number;
      readonly seconds: number;
    };

export interface RealResult {
  readonly messagesPerSecond: number;
  /** Time that the server's cores were busy for a message, ns. */
  readonly busyPerMessage: number;
}

const PROCESSOR = new URL("./processor.js", import.meta.url);
const SERVER = new URL("../../examples/echo-server.js", import.meta.url);
const CLIENT = new URL("../../examples/echo-client.js", import.meta.url);

serveTask<CoresTask, CostModel | SimulatedEchoResult | RealResult>((task) => {
  if (task.kind === "calibrate") return calibrate();
  return task.kind === "simulated" ? simulateEcho(task.echo) : measure(task);
});

async function measure(task: CoresTask & { kind: "real" }): Promise<RealResult> {
  const { cores, conns, size, batch, seconds } = task;
  const share = {
    size,
    batch,
    pipeline: 1,
    rounds: 0,
    cores: 1,
    conns: conns / PROCESSORS,
  };
  const options = dataplaneOptions({ ...share, conns });
  const make = (name: string, ip: string, count: number): Dataplane =>
    createDataplane({
      ...options,
      name,
      ip: `${ip}/24`,
      cores: count,
      frames: count * options.frames!,
      tcp: { profile: "lan" },
    });
  const server = make("server", SERVER_IP, cores);
  const clients = Array.from({ length: PROCESSORS }, (_, i) =>
    make(`client ${i}`, `10.0.0.${i + 2}`, 1),
  );
  const wires = createSwitch([server, ...clients].map(({ port }) => port));
  const loads = clients.map(() => new EchoLoad(share, false));
  const control = new SharedArrayBuffer(CONTROL_BYTES + PROCESSORS * 64);
  const workers = clients.map((client, processor) => {
    const load = loads[processor];
    const data: ProcessorData = {
      server:
        processor < cores ? part(server, processor, wires[0], SERVER, load.server) : undefined,
      client: part(client, 0, wires[processor + 1], CLIENT, load.client),
      control,
      processor,
    };
    return new Worker(PROCESSOR, { workerData: data });
  });
  const failed = Promise.race(workers.map((worker) => once(worker, "exit"))).then((): never => {
    throw new Error("a processor stopped");
  });
  const words = new Int32Array(control);
  try {
    while (Atomics.load(words, CONTROL_READY) < PROCESSORS) await Promise.race([sleep(5), failed]);
    Atomics.store(words, CONTROL_STATE, RUN);
    Atomics.notify(words, CONTROL_STATE);
    const count = (stat: number): number => loads.reduce((sum, load) => sum + load.count(stat), 0);
    for (let waited = 0; count(STAT_OPENED) < conns; waited += 0.01) {
      if (waited > OPENING) throw new Error(NOT_OPEN);
      await Promise.race([sleep(10), failed]);
    }
    await Promise.race([sleep(WARMUP * 1000), failed]);
    const busy = new Float64Array(control, CONTROL_BYTES);
    const now = (): { messages: number; busy: number; at: number } => ({
      messages: count(STAT_MESSAGES),
      busy: busy.reduce((sum, micros) => sum + micros, 0),
      at: performance.now(),
    });
    const before = now();
    await Promise.race([sleep(seconds * 1000), failed]);
    const after = now();
    const messages = since(after.messages, before.messages);
    return {
      messagesPerSecond: (messages * 1000) / (after.at - before.at),
      busyPerMessage: ((after.busy - before.busy) * 1000) / messages,
    };
  } finally {
    failed.catch(() => {});
    Atomics.store(words, CONTROL_STATE, STOP);
    Atomics.notify(words, CONTROL_STATE);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function part(dataplane: Dataplane, core: number, wire: Wire, module: URL, options: unknown): Part {
  return { dataplane: dataplane.handle, core, wire, module: module.href, options };
}
