/** All cores on the engine's own thread, in real time, in slices between which messages are heard. */
import { InlineRunner, type Elasticity, type ElasticThread } from "../../host/index.ts";
import { setBatch } from "./batch-bound.ts";
import { clientApp, clientBackend, serverApp, serverBackend } from "./machines.ts";
import { applyLink } from "./network.ts";
import type { Plant, PlantOptions } from "./plant.ts";
import { SampleWriter } from "./sample-writer.ts";

export class SlicesPlant implements Plant {
  readonly mode = "slices";
  readonly threads = 0;
  readonly manager: Elasticity;
  readonly #options: PlantOptions;
  readonly #runner = new InlineRunner({ clock: "real" });
  #batch: number;

  constructor(options: PlantOptions) {
    const { network, board, shared, sampler } = options;
    const { server, client } = network;
    this.#options = options;
    this.#batch = board.get("batch");
    const observer = new SampleWriter(sampler.addThread());
    this.#runner.add(server, {
      backend: (port, queue) =>
        serverBackend(shared, port, queue, server.cores[queue].block, observer),
      app: serverApp(shared),
    });
    this.#runner.add(client, {
      backend: (port, queue) => clientBackend(shared, port, queue, observer),
      app: clientApp(shared),
    });
    this.manager = this.#runner.manager(server);
  }

  start(): Promise<void> {
    this.follow();
    this.#runner.start().catch((error: unknown) => this.#options.onFailure(error));
    return Promise.resolve();
  }

  follow(): void {
    const { network, board, kernel } = this.#options;
    applyLink(network, board);
    const batch = board.get("batch");
    if (batch !== this.#batch)
      setBatch(network.server, batch, this.#threads, kernel, this.#runner.now);
    this.#batch = batch;
  }

  async stop(): Promise<void> {
    await this.#runner.stop();
    this.#runner.close();
  }

  /** Of the server. */
  get #threads(): readonly ElasticThread[] {
    const { memory } = this.#options.network.server;
    return this.#runner.threads.filter(({ core }) => core.memory === memory);
  }
}
