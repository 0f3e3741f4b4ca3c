/**
 * Runs dataplanes on worker threads, one for each core, in real time. A core is one long task of a
 * piscina pool: it has its worker to itself and returns when asked to stop, by a flag in shared
 * memory; a task that does not notice is aborted with its worker.
 *
 * Starting is in two steps, so that no frame is lost before its receiver has buffers for it: every
 * core attaches and reports, then a gate opens for all.
 */
import { setMaxListeners } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import * as check from "../dataplane/checks.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import type { IdlePolicy } from "../dataplane/elastic-loop.ts";
import { CoreError, StateError } from "../dataplane/errors.ts";
import type { LiveCapture } from "../nic/live-capture.ts";
import type { Wire } from "../nic/types.ts";
import { packageFile } from "./kernel.ts";
import type { TapWire } from "./tap-wire.ts";
import { GATE_CANCELLED, GATE_OPEN, type CoreTask, type WorkerMessage } from "./worker.ts";

/** A dataplane to run, what it is connected to and what runs on it. */
export interface ThreadedDataplane {
  readonly dataplane: Dataplane;
  /** Where frames go: of all queues, or one wire for each queue of the port. */
  readonly wire: Wire | TapWire | readonly (Wire | TapWire)[];
  readonly app: {
    /**
     * A module that every worker imports; its default export is an `AppFactory`. It must be
     * JavaScript: `new URL("./app.js", import.meta.url)`.
     */
    readonly module: string | URL;
    /** Handed to the application as a structured clone. */
    readonly options?: unknown;
  };
  /** Takes what the application posts. */
  readonly onMessage?: (message: unknown, core: number) => void;
  /** Is shown the frames that this dataplane's cores send. */
  readonly capture?: LiveCapture;
}

export interface ThreadedOptions {
  /**
   * What a core without work does: "park" gives its thread to the system until a frame or a timer
   * comes, "spin" goes on polling. Default "park".
   */
  readonly idle?: "spin" | "park";
  /**
   * Empty iterations, some 200 ns each, before a core parks. Default 200: about as long as going to
   * sleep and being woken takes, so that a core on a processor of its own seldom sleeps too early,
   * and one that shares it is soon out of the way.
   */
  readonly spinIterations?: number;
  /** How long a core may take to notice `stop` before its worker is ended, ms. Default 2000. */
  readonly stopTimeout?: number;
}

/** Dataplanes that run. */
export interface Threaded {
  /**
   * Fulfilled when every core has stopped; rejected with a `CoreError` when an application or the
   * kernel threw, after all other cores have been stopped.
   */
  readonly done: Promise<void>;
  /** Stops all cores and ends their threads. Never rejects: `done` says how it went. */
  stop(): Promise<void>;
}

/**
 * Starts all cores of the dataplanes. The promise is fulfilled once all of them poll.
 *
 * @throws {CoreError} a core could not start, for instance because its application threw
 */
export async function startThreaded(
  dataplanes: readonly ThreadedDataplane[],
  options: ThreadedOptions = {},
): Promise<Threaded> {
  const given = check.record<ThreadedOptions>("options", options, [
    "idle",
    "spinIterations",
    "stopTimeout",
  ]);
  const policy: IdlePolicy = {
    idle: check.oneOf("idle", given.idle, "park", ["park", "spin"]),
    spinIterations: check.integer("spinIterations", given.spinIterations, 200, 1, 1e9),
  };
  const stopTimeout = check.integer("stopTimeout", given.stopTimeout, 2000, 0, 1e6, "ms");
  const run = new ThreadedRun(dataplanes, policy, stopTimeout);
  try {
    await run.started;
  } catch (error) {
    await run.stop();
    throw error;
  }
  return run;
}

/** A core's task but for its port, and who gets its messages. */
interface PreparedTask {
  readonly task: Omit<CoreTask, "port">;
  readonly onMessage: ThreadedDataplane["onMessage"];
}

class ThreadedRun implements Threaded {
  readonly done: Promise<void>;
  /** Fulfilled when the gate has opened. */
  readonly started: Promise<void>;
  readonly #dataplanes: readonly Dataplane[];
  readonly #stopTimeout: number;
  readonly #pool: Piscina;
  readonly #abort = new AbortController();
  readonly #gate = new Int32Array(new SharedArrayBuffer(4));
  readonly #ports: MessagePort[] = [];
  #backstop: NodeJS.Timeout | undefined;

  constructor(dataplanes: readonly ThreadedDataplane[], policy: IdlePolicy, stopTimeout: number) {
    this.#dataplanes = dataplanes.map(({ dataplane }) => dataplane);
    this.#stopTimeout = stopTimeout;
    if (dataplanes.length === 0) throw new StateError("there is no dataplane to start");
    // All that can be refused is refused before there are threads.
    const tasks = dataplanes.flatMap((item) => coreTasks(item, policy, this.#gate));
    const cores = tasks.length;
    this.#pool = new Piscina({
      filename: workerFile(),
      minThreads: cores,
      maxThreads: cores,
      concurrentTasksPerWorker: 1,
      idleTimeout: Infinity,
      atomics: "disabled",
    });

    setMaxListeners(cores, this.#abort.signal);
    const running = tasks.map((task) => this.#runCore(task));
    const ready = running.map((core) => core.ready);
    const ends = running.map((core) => core.ended);
    // Whichever core fails first takes the others along; what they then say is of no interest.
    const ended = Promise.all(ends).then(noValue, (error) => {
      this.#close();
      return Promise.allSettled(ends).then(() => {
        throw error;
      });
    });
    this.done = ended.finally(() => this.#dispose());
    // Not `done`: a death after the start must be noticed by whoever holds that promise.
    this.started = Promise.race([Promise.all(ready), ended]).then(() => {
      this.#open(GATE_OPEN);
    });
  }

  async stop(): Promise<void> {
    this.#close();
    await this.done.catch(noValue);
  }

  /** Gives a core to the pool. */
  #runCore({ task, onMessage }: PreparedTask): { ready: Promise<void>; ended: Promise<void> } {
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port1);
    let isReady!: () => void;
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    const take = (message: WorkerMessage): void => {
      if (message.kind === "ready") isReady();
      else onMessage?.(message.message, task.core);
    };
    port1.on("message", take);
    const { signal } = this.#abort;
    const ended = this.#pool
      .run({ ...task, port: port2 } satisfies CoreTask, { transferList: [port2], signal })
      .then(noValue, (error: unknown) => {
        const cause = signal.aborted ? new Error("it did not notice that it should stop") : error;
        throw new CoreError(task.dataplane.name, task.core, cause);
      })
      // What the application posted last may still wait.
      .finally(() => {
        for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) {
          take(next.message as WorkerMessage);
        }
        port1.close();
      });
    return { ready, ended };
  }

  #open(state: number): void {
    Atomics.compareExchange(this.#gate, 0, 0, state);
    Atomics.notify(this.#gate, 0);
  }

  /** Asks all cores to stop, in whichever step they are, and ends those that do not. */
  #close(): void {
    this.#open(GATE_CANCELLED);
    for (const dataplane of this.#dataplanes) dataplane.close();
    this.#backstop ??= setTimeout(() => this.#abort.abort(), this.#stopTimeout);
  }

  async #dispose(): Promise<void> {
    clearTimeout(this.#backstop);
    for (const port of this.#ports) port.close();
    await this.#pool.destroy();
  }
}

function noValue(): void {}

function coreTasks(
  item: ThreadedDataplane,
  policy: IdlePolicy,
  gate: Int32Array<SharedArrayBuffer>,
): PreparedTask[] {
  const { dataplane, wire, app, onMessage, capture } = item;
  const common = {
    dataplane: dataplane.handle,
    wires: wiresOf(wire, dataplane),
    module: String(app.module),
    options: app.options,
    policy,
    gate: gate.buffer,
  };
  return dataplane.cores.map(({ id }) => ({
    task: { ...common, core: id, capture: capture?.addThread() },
    onMessage,
  }));
}

function wiresOf(
  wire: ThreadedDataplane["wire"],
  dataplane: Dataplane,
): readonly (Wire | TapWire)[] {
  const { queues, name } = dataplane.port;
  if (!Array.isArray(wire)) return queues.map(() => wire as Wire | TapWire);
  if (wire.length !== queues.length) {
    throw new RangeError(
      `ixwasm: "wire" must have an entry for each of ${name}'s ${queues.length} queues, ` +
        `got ${wire.length}`,
    );
  }
  return wire;
}

/** The worker's JavaScript: Node cannot start a worker from TypeScript. */
function workerFile(): string {
  const file = packageFile("dist/host/node/worker.js");
  if (!existsSync(file)) {
    throw new StateError(`${fileURLToPath(file)} does not exist; "npm run build" makes it`);
  }
  return file.href;
}
