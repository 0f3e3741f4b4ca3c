/**
 * One core on a worker thread: the long task that `startThreaded` gives to a piscina pool. It returns
 * when the core is asked to stop, and throws what the application or the kernel threw.
 */
import { receiveMessageOnPort, threadId, type MessagePort } from "node:worker_threads";
import type { AppFactory } from "../libix/app.ts";
import { CaptureRingWriter, type CaptureRingHandle } from "../nic/capture-ring.ts";
import { LOCK_HOLDER } from "../nic/ring-lock.ts";
import type { Wire } from "../nic/types.ts";
import { realClock, type Clock } from "../dataplane/clock.ts";
import { Core } from "../dataplane/core.ts";
import type { DataplaneHandle } from "../dataplane/dataplane.ts";
import { queuesOf } from "../dataplane/queues.ts";
import { runElasticLoop, type IdlePolicy } from "../dataplane/elastic-loop.ts";
import { ElasticThread } from "../dataplane/elastic-thread.ts";
import { Parking } from "../dataplane/parking.ts";
import { makeBackend } from "./backends.ts";
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

/** What a worker says on its port. What it is told there are kernels to go on with. */
export type WorkerMessage =
  /** It is about to poll; what its locks carry, and which of the process's threads it is. */
  | { readonly kind: "ready"; readonly holder: number; readonly threadId: number }
  /** It goes on with another kernel, or why it does not. */
  | { readonly kind: "upgraded"; readonly error: string | undefined }
  | { readonly kind: "message"; readonly message: unknown };

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
    tell({ kind: "ready", holder: LOCK_HOLDER, threadId });
    const gate = new Int32Array(task.gate);
    Atomics.wait(gate, 0, GATE_CLOSED);
    if (Atomics.load(gate, 0) === GATE_CANCELLED) return;
    const blocks = queues.map((queue) => port.queues[queue]);
    const parking = new Parking(memory, core.block, blocks);
    runElasticLoop(thread, backends, parking, clock, task.policy, () => {
      for (let next = receiveMessageOnPort(messages); next; next = receiveMessageOnPort(messages)) {
        tell({
          kind: "upgraded",
          error: upgrade(thread, next.message as WebAssembly.Module, clock),
        });
      }
    });
  } finally {
    thread.close();
  }
}

/** Returns why the thread does not go on with the module, if it does not. */
function upgrade(
  thread: ElasticThread,
  module: WebAssembly.Module,
  clock: Clock,
): string | undefined {
  try {
    thread.upgrade(module, clock());
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function importApp(url: string): Promise<AppFactory> {
  const module = (await import(url)) as { default?: unknown };
  if (typeof module.default !== "function") {
    throw new TypeError(`ixwasm: ${url} has no function as its default export`);
  }
  return module.default as AppFactory;
}
