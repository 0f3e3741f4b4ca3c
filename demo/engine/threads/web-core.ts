/**
 * One core on a worker of the page, as the engine sees it; after an end that nobody asked for, an elastic
 * thread without an application on the engine's own thread, which gives the core's flow groups away.
 */
import { Core, ElasticThread, realClock, type CoreStatus } from "../../../host/index.ts";
import type { QueueBackend } from "../../../host/index.ts";
import type { CoreTask, WorkerMessage } from "./core-task.ts";

/** Polls of a rescued core in a row, before the engine's event loop has its turn. */
const POLLS = 64;

export class WebCore {
  status: CoreStatus = "stopped";
  failure: unknown;
  readonly #task: () => CoreTask;
  readonly #makeBackend: () => QueueBackend;
  readonly #onChange: (core: WebCore) => void;
  #worker: Worker | undefined;
  #rescuer: ElasticThread | undefined;
  #releasing = false;

  /**
   * @param makeBackend makes what is behind the core's queue on this thread
   * @param onChange hears when a worker polls, has left, or died
   */
  constructor(
    task: () => CoreTask,
    makeBackend: () => QueueBackend,
    onChange: (core: WebCore) => void,
  ) {
    this.#task = task;
    this.#makeBackend = makeBackend;
    this.#onChange = onChange;
  }

  /** Gives the core to its worker, which is made when it is needed first and kept. */
  start(): void {
    this.status = "starting";
    this.failure = undefined;
    this.#worker ??= this.#hire();
    this.#worker.postMessage(this.#task());
  }

  /** Takes the place of the thread that is gone. */
  rescue(): void {
    this.#releasing = false;
    try {
      const { dataplane, core } = this.#task();
      const { kernel, memory, port } = dataplane;
      this.#rescuer = new ElasticThread(new Core(kernel, memory, core), realClock()(), {
        port,
        backends: [this.#makeBackend()],
        app: () => NOBODY,
        rescue: true,
      });
      this.status = "rescuing";
    } catch (error) {
      this.failure = error;
      this.status = "failed";
    }
  }

  /** Gives a rescued core back as soon as nothing of it is on its way. */
  release(): void {
    this.#releasing = true;
  }

  /** Polls a rescued core. Returns how much was done. */
  advance(now: number): number {
    const thread = this.#rescuer;
    if (thread === undefined) return 0;
    let work = 0;
    for (let i = 0; i < POLLS; i++) {
      const done = thread.iterate(now);
      work += done;
      if (done === 0) break;
    }
    if (!this.#releasing || !thread.isDrained) return work;
    thread.leave();
    thread.close();
    this.#rescuer = undefined;
    this.status = "stopped";
    return work + 1;
  }

  /** Ends the worker, whatever it does. */
  close(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#rescuer?.close();
  }

  #hire(): Worker {
    const { role, core } = this.#task();
    const worker = new Worker(new URL("./core-worker.ts", import.meta.url), {
      type: "module",
      name: `${role} core ${core}`,
    });
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#hear(data);
    worker.onerror = (event) => this.#over(new Error(event.message));
    return worker;
  }

  #hear(message: WorkerMessage): void {
    switch (message.kind) {
      case "ready":
        this.status = "running";
        break;
      case "ended":
        this.status = "stopped";
        break;
      case "died":
        this.#over(new Error(message.message));
        return;
    }
    this.#onChange(this);
  }

  #over(error: Error): void {
    this.failure = error;
    this.status = this.status === "running" ? "gone" : "failed";
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#onChange(this);
  }
}

/** Runs on a core that is being rescued: nobody looks at its events. */
const NOBODY = { handle: () => {} };
