/**
 * Runs dataplanes on worker threads, one for each core, in real time. A core is one long task of a
 * piscina pool: it has its worker to itself and returns when asked to stop, by a flag in shared
 * memory; a task that does not notice is aborted with its worker.
 *
 * Starting is in two steps, so that no frame is lost before its receiver has buffers for it: every
 * core attaches and reports, then a gate opens for all.
 *
 * A core whose thread is lost does not end the run where its dataplane has others that run: they take
 * its connections over, and whoever asked for it is told (`onIncident`).
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import type { Incident } from "../control/watchdog.ts";
import * as check from "../dataplane/checks.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import type { IdlePolicy } from "../dataplane/elastic-loop.ts";
import type { Elasticity } from "../dataplane/elasticity.ts";
import { StateError, type CoreError } from "../dataplane/errors.ts";
import type { LiveCapture } from "../nic/live-capture.ts";
import type { Wire } from "../nic/types.ts";
import { wiresOf } from "./backends.ts";
import { packageFile } from "./kernel.ts";
import type { TapWire } from "./tap-wire.ts";
import { ThreadedCores, type Crew } from "./threaded-cores.ts";
import { GATE_CANCELLED, GATE_OPEN } from "./worker.ts";

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
  /**
   * How long a core may not poll before its worker is ended and others take over its connections, ms; 0:
   * for ever. Only where the dataplane has others that run. Default 1000.
   */
  readonly hangTimeout?: number;
  /**
   * Told of cores that do not answer, that are ended or die, and of their being taken over. Default:
   * the loss of a thread becomes a process warning.
   */
  readonly onIncident?: (incident: Incident) => void;
}

interface ResolvedThreadedOptions {
  readonly policy: IdlePolicy;
  /** ms */
  readonly stopTimeout: number;
  /** µs */
  readonly hangTimeout: number;
  readonly onIncident: (incident: Incident) => void;
}

/** How often the cores are looked at, ms. */
const WATCH_INTERVAL = 5;

/** Dataplanes that run. */
export interface Threaded {
  /**
   * Fulfilled when every core has stopped. Rejected with a `CoreError` when an application or the kernel
   * threw, or a thread was lost, and its dataplane has no other core that runs and could take over; all
   * other cores have been stopped then.
   */
  readonly done: Promise<void>;
  /** Stops all cores and ends their threads. Never rejects: `done` says how it went. */
  stop(): Promise<void>;
  /**
   * Adds and takes away cores of a dataplane, and moves flow groups between them. A worker whose core is
   * revoked goes back to the pool.
   *
   * @throws {StateError} the dataplane is not among those that were started
   */
  manager(dataplane: Dataplane): Elasticity;
  /**
   * Has all cores of a dataplane go on with another kernel, each between two of its batches: connections
   * and all else stay as they are. Rejected with a `KernelError` when the module is no kernel of this
   * host's ABI, or a core refuses it; such cores go on with what they have.
   */
  upgrade(dataplane: Dataplane, module: WebAssembly.Module): Promise<void>;
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
    "hangTimeout",
    "onIncident",
  ]);
  const policy: IdlePolicy = {
    idle: check.oneOf("idle", given.idle, "park", ["park", "spin"]),
    spinIterations: check.integer("spinIterations", given.spinIterations, 200, 1, 1e9),
  };
  const stopTimeout = check.integer("stopTimeout", given.stopTimeout, 2000, 0, 1e6, "ms");
  const hangTimeout = check.integer("hangTimeout", given.hangTimeout, 1000, 0, 1e6, "ms");
  const run = new ThreadedRun(dataplanes, {
    policy,
    stopTimeout,
    hangTimeout: hangTimeout === 0 ? Infinity : hangTimeout * 1000,
    onIncident: given.onIncident ?? warn,
  });
  try {
    await run.started;
  } catch (error) {
    await run.stop();
    throw error;
  }
  return run;
}

class ThreadedRun implements Threaded, Crew {
  readonly done: Promise<void>;
  /** Fulfilled when the gate has opened. */
  readonly started: Promise<void>;
  readonly pool: Piscina;
  readonly policy: IdlePolicy;
  readonly gate = new SharedArrayBuffer(4);
  readonly hangTimeout: number;
  isClosing = false;
  readonly #dataplanes: readonly ThreadedCores[];
  readonly #stopTimeout: number;
  readonly #onIncident: (incident: Incident) => void;
  /** Cores that are to report before the gate opens. */
  #awaited: number;
  /** What ended everything. */
  #fatal: CoreError | undefined;
  #open!: () => void;
  #finish!: () => void;
  #backstop: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(dataplanes: readonly ThreadedDataplane[], options: ResolvedThreadedOptions) {
    this.policy = options.policy;
    this.hangTimeout = options.hangTimeout;
    this.#stopTimeout = options.stopTimeout;
    this.#onIncident = options.onIncident;
    if (!Array.isArray(dataplanes)) {
      throw check.typeError("dataplanes", "an array of { dataplane, wire, app }", dataplanes);
    }
    if (dataplanes.length === 0) throw new StateError("there is no dataplane to start");
    const count = (of: (item: ThreadedDataplane) => number): number =>
      dataplanes.reduce((sum, item) => sum + of(item), 0);
    this.#awaited = count(({ dataplane }) => dataplane.options.activeCores);
    // All that can be refused is refused before there are threads.
    for (const { wire, dataplane, app } of dataplanes) {
      wiresOf(wire, dataplane);
      checkModule(app?.module);
    }
    this.pool = new Piscina({
      filename: workerFile(),
      minThreads: this.#awaited,
      maxThreads: count(({ dataplane }) => dataplane.cores.length),
      concurrentTasksPerWorker: 1,
      idleTimeout: Infinity,
      atomics: "disabled",
    });
    this.#dataplanes = dataplanes.map((item) => new ThreadedCores(item, this));

    const over = new Promise<void>((resolve) => (this.#finish = resolve));
    const ended = over.then(() => {
      if (this.#fatal) throw this.#fatal;
    });
    this.done = ended.finally(() => this.#dispose());
    const ready = new Promise<void>((resolve) => (this.#open = resolve));
    // Not `done`: a death after the start must be noticed by whoever holds that promise.
    this.started = Promise.race([ready, ended]);
    for (const cores of this.#dataplanes) cores.begin();
  }

  async stop(): Promise<void> {
    this.#close();
    await this.done.catch(noValue);
  }

  manager(dataplane: Dataplane): Elasticity {
    return this.#coresOf(dataplane).elasticity;
  }

  async upgrade(dataplane: Dataplane, module: WebAssembly.Module): Promise<void> {
    const cores = this.#coresOf(dataplane);
    dataplane.adoptKernel(module);
    await cores.upgrade(module);
  }

  // -------------------------------------------------------------------------------------------
  // Crew

  ready(): void {
    if (--this.#awaited !== 0 || this.isClosing) return;
    this.#openGate(GATE_OPEN);
    const look = (): void => {
      for (const cores of this.#dataplanes) cores.watch();
    };
    this.#watch = setInterval(look, WATCH_INTERVAL).unref();
    this.#open();
  }

  ended(fatal: CoreError | undefined): void {
    if (fatal) {
      // Whichever core fails first takes the others along; what they then say is of no interest.
      this.#fatal ??= fatal;
      this.#close();
    }
    if (this.#dataplanes.every(({ running }) => running === 0)) this.#finish();
  }

  report(incident: Incident): void {
    this.#onIncident(incident);
  }

  // -------------------------------------------------------------------------------------------

  #coresOf(dataplane: Dataplane): ThreadedCores {
    const found = this.#dataplanes.find((cores) => cores.dataplane === dataplane);
    if (!found) throw new StateError(`${dataplane.name} is not among what was started`);
    return found;
  }

  #openGate(state: number): void {
    const gate = new Int32Array(this.gate);
    Atomics.compareExchange(gate, 0, 0, state);
    Atomics.notify(gate, 0);
  }

  /** Asks all cores to stop, in whichever step they are, and ends those that do not. */
  #close(): void {
    this.isClosing = true;
    clearInterval(this.#watch);
    this.#openGate(GATE_CANCELLED);
    for (const { dataplane } of this.#dataplanes) dataplane.close();
    this.#backstop ??= setTimeout(() => {
      for (const cores of this.#dataplanes) cores.abort();
    }, this.#stopTimeout);
  }

  async #dispose(): Promise<void> {
    clearTimeout(this.#backstop);
    clearInterval(this.#watch);
    for (const cores of this.#dataplanes) cores.close();
    await this.pool.destroy();
  }
}

function noValue(): void {}

/** Where nobody listens, a thread that was lost must not go unnoticed. */
function warn({ dataplane, core, what, error }: Incident): void {
  if (what !== "died" && what !== "hung") return;
  const why = error instanceof Error ? `: ${error.message}` : "";
  process.emitWarning(
    `core ${core} of ${dataplane} ${what}${why}; others take over`,
    "CoreWarning",
  );
}

/** The worker's JavaScript: Node cannot start a worker from TypeScript. */
function workerFile(): string {
  const file = packageFile("dist/host/node/worker.js");
  if (!existsSync(file)) {
    throw new StateError(`${fileURLToPath(file)} does not exist; "npm run build" makes it`);
  }
  return file.href;
}

/** Workers import it from where they are, and can be sent no function. */
function checkModule(module: unknown): void {
  if (module instanceof URL) return;
  if (typeof module === "string" && module !== "" && !module.startsWith(".")) return;
  const allowed = 'the URL of a JavaScript module, such as new URL("./app.js", import.meta.url)';
  throw check.typeError("app.module", allowed, module);
}
