/**
 * One core of a dataplane that runs on worker threads, as the main thread sees it: a long task of the
 * pool, from its start to its end, whichever it is; and after an end that nobody asked for, a rescuer on
 * the main thread.
 */
import { once } from "node:events";
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import type { Piscina } from "piscina";
import { realClock } from "../dataplane/clock.ts";
import type { CoreControl } from "../dataplane/core-control.ts";
import { Core } from "../dataplane/core.ts";
import type { CoreStatus } from "../dataplane/elasticity.ts";
import { KernelError } from "../dataplane/errors.ts";
import { queuesOf } from "../dataplane/queues.ts";
import { Rescuer } from "../dataplane/rescuer.ts";
import { freeLocks, makeBackend } from "./backends.ts";
import type { CoreTask, WorkerMessage } from "./worker.ts";

/** What a core tells whoever has it run. */
export interface CoreObserver {
  /** It polls, or will when the gate opens. */
  ready(core: number): void;
  message(message: unknown, core: number): void;
  /** Its task is over: `error` is undefined when it was asked to stop. */
  ended(core: number, error: unknown): void;
}

/** A core's task, but for its port and what changes. */
export type TaskTemplate = Omit<CoreTask, "port" | "dataplane">;

interface Reply {
  resolve(): void;
  reject(reason: unknown): void;
}

export class ThreadedCore {
  status: CoreStatus = "stopped";
  failure: unknown;
  readonly #pool: Piscina;
  readonly #template: TaskTemplate;
  readonly #dataplane: () => CoreTask["dataplane"];
  readonly #control: CoreControl;
  readonly #observer: CoreObserver;
  #port: MessagePort | undefined;
  #abort = new AbortController();
  /** Fulfilled when the worker's thread is no more, once it is known. */
  #exited: Promise<unknown> = Promise.resolve();
  /** Aborted when nobody waits for that any more: the worker goes on with other cores. */
  #watching = new AbortController();
  #holder = 0;
  #rescuer: Rescuer | undefined;
  readonly #replies: Reply[] = [];

  constructor(
    pool: Piscina,
    template: TaskTemplate,
    dataplane: () => CoreTask["dataplane"],
    control: CoreControl,
    observer: CoreObserver,
  ) {
    this.#pool = pool;
    this.#template = template;
    this.#dataplane = dataplane;
    this.#control = control;
    this.#observer = observer;
  }

  get id(): number {
    return this.#template.core;
  }

  /** Gives the core to the pool. */
  start(): void {
    const { port1, port2 } = new MessageChannel();
    const task: CoreTask = { ...this.#template, dataplane: this.#dataplane(), port: port2 };
    this.status = "starting";
    this.failure = undefined;
    this.#port = port1;
    this.#abort = new AbortController();
    this.#exited = Promise.resolve();
    this.#watching = new AbortController();
    port1.on("message", (message: WorkerMessage) => this.#take(message));
    const { signal } = this.#abort;
    void this.#pool
      .run(task, { transferList: [port2], signal })
      .then(
        () => ({ error: undefined }),
        (error: unknown) => ({ error }),
      )
      .then(async ({ error }) => {
        // What the application posted last may still wait.
        for (let next = receiveMessageOnPort(port1); next; next = receiveMessageOnPort(port1)) {
          this.#take(next.message as WorkerMessage);
        }
        port1.close();
        // The pool says so before an ended thread has come to its end.
        if (signal.aborted) await this.#exited;
        this.#over(error);
      });
  }

  /** Ends the thread, whatever it does. */
  kill(): void {
    this.#abort.abort();
  }

  /** Has the thread go on with another kernel; fulfilled when it does. */
  upgrade(module: WebAssembly.Module): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#replies.push({ resolve, reject });
      this.#port!.postMessage(module);
      this.#control.announceMessage();
    });
  }

  /** Takes the place of the thread that is gone. */
  rescue(): void {
    this.status = "starting";
    this.#enter().then(
      (rescuer) => {
        this.#rescuer = rescuer;
        this.status = "rescuing";
      },
      (error: unknown) => {
        this.failure = error;
        this.status = "failed";
      },
    );
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

  close(): void {
    this.#rescuer?.close();
    this.#port?.close();
  }

  async #enter(): Promise<Rescuer> {
    const { wires } = this.#template;
    const { kernel, memory, port, cores } = this.#dataplane();
    freeLocks(port, wires, this.#holder);
    this.#control.reset();
    const queues = queuesOf(port, cores, this.id);
    const backends = await Promise.all(
      queues.map((queue) => makeBackend(port, queue, wires[queue])),
    );
    const core = new Core(kernel, memory, this.id);
    return new Rescuer({ core, port, backends }, realClock()());
  }

  #take(message: WorkerMessage): void {
    switch (message.kind) {
      case "ready":
        this.#holder = message.holder;
        this.#watch(message.threadId);
        this.status = "running";
        this.#observer.ready(this.id);
        break;
      case "upgraded":
        if (message.error === undefined) this.#replies.shift()?.resolve();
        else this.#replies.shift()?.reject(new KernelError(message.error));
        break;
      default:
        this.#observer.message(message.message, this.id);
    }
  }

  #watch(threadId: number): void {
    const worker = this.#pool.threads.find((thread) => thread.threadId === threadId);
    const { signal } = this.#watching;
    if (worker) this.#exited = once(worker, "exit", { signal }).catch(() => {});
  }

  #over(error: unknown): void {
    this.#watching.abort();
    if (error === undefined) this.status = "stopped";
    else this.status = this.status === "running" ? "gone" : "failed";
    this.failure = error;
    for (const { reject } of this.#replies.splice(0)) {
      reject(new KernelError(`core ${this.id} ended before it was upgraded`, { cause: error }));
    }
    this.#observer.ended(this.id, error);
  }
}
