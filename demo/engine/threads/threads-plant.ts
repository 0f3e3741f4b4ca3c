/** A worker for every core of the server that is active, and one for the clients. */
import { CoreControl, type Elasticity } from "../../../host/index.ts";
import { writeBatch } from "../batch-bound.ts";
import { clientBackend, serverBackend } from "../machines.ts";
import type { Plant, PlantOptions } from "../plant.ts";
import { SampleWriter } from "../sample-writer.ts";
import type { CoreTask } from "./core-task.ts";
import { WebCore } from "./web-core.ts";
import { WebCores } from "./web-cores.ts";

/** Empty iterations before a core sleeps: where there is a processor for every thread, and where not. */
const SPIN_ALONE = 20_000;
const SPIN_SHARED = 64;
/** Threads besides the cores': the clients', the engine's, the page's. */
const OTHERS = 3;
/** How long cores may take to leave before their workers are ended, ms. */
const PATIENCE = 500;

export class ThreadsPlant implements Plant {
  readonly mode = "threads";
  readonly #options: PlantOptions;
  readonly #server: readonly WebCore[];
  readonly #client: WebCore;
  readonly #clientControl: CoreControl;
  readonly #cores: WebCores;
  /** Who waits for something to change. */
  readonly #waiting = new Set<() => void>();

  constructor(options: PlantOptions) {
    const { network, board, shared, sampler } = options;
    const { server, client } = network;
    this.#options = options;
    this.#server = server.cores.map(({ id, block }) => {
      const capture = sampler.addThread();
      const rescue = sampler.addThread();
      return new WebCore(
        () => ({ ...this.#common, capture, dataplane: server.handle, core: id, role: "server" }),
        () => serverBackend(shared, server.port, id, block, new SampleWriter(rescue)),
        (core) => this.#changed(id, core),
      );
    });
    const capture = sampler.addThread();
    this.#client = new WebCore(
      () => ({ ...this.#common, capture, dataplane: client.handle, core: 0, role: "client" }),
      () => clientBackend(shared, client.port, 0, new SampleWriter(capture)),
      (core) => this.#changed(-1, core),
    );
    this.#clientControl = new CoreControl(client.memory, client.cores[0].block);
    this.#cores = new WebCores(server, this.#server, {
      doom: (core) => board.doom(core),
      onFailure: options.onFailure,
    });
  }

  get threads(): number {
    return this.#running.length;
  }

  get manager(): Elasticity {
    return this.#cores.elasticity;
  }

  async start(): Promise<void> {
    const { activeCores } = this.#options.network.server.options;
    for (const core of this.#server.slice(0, activeCores)) core.start();
    this.#client.start();
    await this.#until(() => this.#all.every(({ status }) => status !== "starting"));
    const failed = this.#all.find(({ status }) => status === "failed");
    if (failed) throw failed.failure;
  }

  follow(): void {
    const { network, board } = this.#options;
    writeBatch(network.server, board.get("batch"));
    for (const { id, status } of this.#server.map((core, id) => ({ id, status: core.status }))) {
      if (status === "running") this.manager.control(id).announceMessage();
    }
    this.#clientControl.announceMessage();
  }

  async stop(): Promise<void> {
    for (const [id, { status }] of this.#server.entries()) {
      if (status === "running") this.manager.control(id).stop();
    }
    this.#clientControl.stop();
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE));
    await Promise.race([timeout, this.#until(() => this.#running.length === 0)]);
    this.#client.close();
    this.#cores.close();
  }

  get #all(): readonly WebCore[] {
    return [...this.#server, this.#client];
  }

  get #running(): readonly WebCore[] {
    return this.#all.filter(({ status }) => status === "running" || status === "starting");
  }

  get #common(): Pick<CoreTask, "shared" | "spinIterations"> {
    const { shared, board } = this.#options;
    const processors = globalThis.navigator?.hardwareConcurrency ?? 1;
    const alone = processors >= board.get("cores") + OTHERS;
    return { shared, spinIterations: alone ? SPIN_ALONE : SPIN_SHARED };
  }

  /** A worker polls, has left, or died; `id` is -1 for the client's. */
  #changed(id: number, core: WebCore): void {
    for (const look of this.#waiting) look();
    if (core.status === "gone") {
      if (id < 0) this.#options.onFailure(core.failure);
      else this.#cores.died(id);
    }
    this.#cores.wake();
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}
