/** The server's cores on workers of the page: what the control plane asks of whoever runs them. */
import {
  Elasticity,
  Operations,
  realClock,
  type CoreHost,
  type CoreStatus,
  type Dataplane,
} from "../../../host/index.ts";
import { STOP_LEAVE } from "../../../assembly/abi.ts";
import type { WebCore } from "./web-core.ts";

export interface Hooks {
  /** Has a core's thread throw when it looks at its messages. */
  doom(core: number): void;
  /** Nobody could take over from a core. */
  onFailure(error: unknown): void;
}

export class WebCores implements CoreHost {
  readonly elasticity: Elasticity;
  readonly #cores: readonly WebCore[];
  readonly #hooks: Hooks;
  /** Cores whose end was asked for. */
  readonly #evicted = new Set<number>();
  readonly #channel = new MessageChannel();
  readonly #operations: Operations;
  #closed = false;

  /** @param cores by index */
  constructor(dataplane: Dataplane, cores: readonly WebCore[], hooks: Hooks) {
    this.#cores = cores;
    this.#hooks = hooks;
    this.elasticity = new Elasticity(dataplane, this);
    const { port1, port2 } = this.#channel;
    this.#operations = new Operations({
      elasticity: this.elasticity,
      cores,
      clock: realClock(),
      soon: (callback) => {
        port1.onmessage = callback;
        port2.postMessage(undefined);
      },
      isOver: () => this.#closed,
    });
  }

  status(core: number): CoreStatus {
    return this.#cores[core].status;
  }

  failure(core: number): unknown {
    return this.#cores[core].failure;
  }

  start(core: number): void {
    this.#cores[core].start();
  }

  stop(core: number): void {
    this.elasticity.control(core).stop(STOP_LEAVE);
  }

  kill(core: number): void {
    this.#evicted.add(core);
    this.#hooks.doom(core);
    this.elasticity.control(core).announceMessage();
  }

  rescue(core: number): void {
    this.#cores[core].rescue();
  }

  release(core: number): void {
    this.#cores[core].release();
  }

  /** A core's thread has ended; if nobody wanted that, others take over. */
  died(core: number): void {
    if (this.#evicted.delete(core)) return;
    const { elasticity } = this;
    const taken = elasticity.canContain(core)
      ? elasticity.contain(core)
      : Promise.reject(this.#cores[core].failure);
    taken.catch(this.#hooks.onFailure);
  }

  wake(): void {
    this.#operations.wake();
  }

  close(): void {
    this.#closed = true;
    this.#channel.port1.close();
    for (const core of this.#cores) core.close();
  }
}
