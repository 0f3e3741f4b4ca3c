/**
 * One core on a worker of the page, as the engine sees it; after an end that nobody asked for, a rescuer on
 * the engine's own thread.
 */
import { Core, realClock, Rescuer, type CoreStatus } from "../../../host/index.ts";
import type { QueueBackend } from "../../../host/index.ts";
import type { CoreTask, WorkerMessage } from "./core-task.ts";

export class WebCore {
  status: CoreStatus = "stopped";
  failure: unknown;
  readonly #task: () => CoreTask;
  readonly #makeBackend: () => QueueBackend;
  readonly #onChange: (core: WebCore) => void;
  #worker: Worker | undefined;
  #rescuer: Rescuer | undefined;

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
    try {
      const { dataplane, core: id } = this.#task();
      const { kernel, memory, port } = dataplane;
      const core = new Core(kernel, memory, id);
      this.#rescuer = new Rescuer({ core, port, backends: [this.#makeBackend()] }, realClock()());
      this.status = "rescuing";
    } catch (error) {
      this.failure = error;
      this.status = "failed";
    }
  }

  /** Gives a rescued core back as soon as nothing of it is on its way. */
  release(): void {
    this.#rescuer?.release();
  }

  /** Polls a rescued core. Returns how much was done. */
  advance(now: number): number {
    const rescuer = this.#rescuer;
    if (rescuer === undefined) return 0;
    const work = rescuer.advance(now);
    if (!rescuer.isOver) return work;
    this.#rescuer = undefined;
    this.status = "stopped";
    return work;
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
