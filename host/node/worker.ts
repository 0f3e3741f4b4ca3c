/**
 * One core on a worker thread: the long task that `startThreaded` gives to a piscina pool. It returns
 * when the core is asked to stop, and throws what the application or the kernel threw.
 */
import type { MessagePort } from "node:worker_threads";
import type { AppFactory } from "../libix/app.ts";
import { createBackend, type BackendOptions } from "../nic/backend.ts";
import { CaptureRingWriter, type CaptureRingHandle } from "../nic/capture-ring.ts";
import type { PortHandle, QueueBackend, Wire } from "../nic/types.ts";
import { realClock } from "../dataplane/clock.ts";
import { Core } from "../dataplane/core.ts";
import type { DataplaneHandle } from "../dataplane/dataplane.ts";
import { queuesOf } from "../dataplane/queues.ts";
import { runElasticLoop, type IdlePolicy } from "../dataplane/elastic-loop.ts";
import { ElasticThread } from "../dataplane/elastic-thread.ts";
import { Parking } from "../dataplane/parking.ts";
import type { TapWire } from "./tap-wire.ts";

/** What a worker is given. */
export interface CoreTask {
  readonly dataplane: DataplaneHandle;
  readonly core: number;
  /** By port queue. */
  readonly wires: readonly (Wire | TapWire)[];
  /** URL of a module whose default export is the application's factory, and its options. */
  readonly module: string;
  readonly options: unknown;
  readonly policy: IdlePolicy;
  /** Where this thread puts the frames of a live capture. */
  readonly capture: CaptureRingHandle | undefined;
  /** One word, GATE_*: no core polls before all are attached. */
  readonly gate: SharedArrayBuffer;
  readonly port: MessagePort;
}

/** What a worker says on its port. */
export type WorkerMessage =
  { readonly kind: "ready" } | { readonly kind: "message"; readonly message: unknown };

export const GATE_CLOSED = 0;
export const GATE_OPEN = 1;
/** Another core could not start; none will. */
export const GATE_CANCELLED = 2;

export default async function runCore(task: CoreTask): Promise<void> {
  const { dataplane, core: id, port: messages } = task;
  const { memory, port } = dataplane;
  const tell = (message: WorkerMessage): void => messages.postMessage(message);

  const app = await importApp(task.module);
  const queues = queuesOf(port, dataplane.cores, id);
  const capture = task.capture && new CaptureRingWriter(task.capture);
  const backends = await Promise.all(
    queues.map((queue) => makeBackend(port, queue, task.wires[queue], { capture })),
  );
  const clock = realClock();
  const core = new Core(dataplane.kernel, memory, id);
  const thread = new ElasticThread(core, clock(), {
    port,
    backends,
    app,
    options: task.options,
    post: (message) => tell({ kind: "message", message }),
    announce: dataplane.announce && id === 0,
  });
  try {
    tell({ kind: "ready" });
    const gate = new Int32Array(task.gate);
    Atomics.wait(gate, 0, GATE_CLOSED);
    if (Atomics.load(gate, 0) === GATE_CANCELLED) return;
    const blocks = queues.map((queue) => port.queues[queue]);
    const parking = new Parking(memory, core.block, blocks);
    runElasticLoop(thread, backends, parking, clock, task.policy);
  } finally {
    thread.close();
  }
}

async function importApp(url: string): Promise<AppFactory> {
  const module = (await import(url)) as { default?: unknown };
  if (typeof module.default !== "function") {
    throw new TypeError(`ixwasm: ${url} has no function as its default export`);
  }
  return module.default as AppFactory;
}

async function makeBackend(
  port: PortHandle,
  queue: number,
  wire: Wire | TapWire,
  options: BackendOptions,
): Promise<QueueBackend> {
  if (wire.kind !== "tap") return createBackend(port, queue, wire, options);
  // Only who has a TAP needs what it needs.
  const { TapBackend } = await import("./tap-backend.ts");
  return new TapBackend(port, queue, wire, options);
}
