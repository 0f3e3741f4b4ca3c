/** The server's cores on workers of the page: what the control plane asks of whoever runs them. */
import {
  Elasticity,
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
  readonly #clock = realClock();
  readonly #channel = new MessageChannel();
  #ticking = false;
  #closed = false;

  /** @param cores by index */
  constructor(dataplane: Dataplane, cores: readonly WebCore[], hooks: Hooks) {
    this.#cores = cores;
    this.#hooks = hooks;
    this.elasticity = new Elasticity(dataplane, this);
    this.#channel.port1.onmessage = () => this.#tick();
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

  /** Takes operations further until there are none: at once while they get on, else every millisecond. */
  wake(): void {
    if (this.#ticking || this.#closed) return;
    this.#ticking = true;
    this.#channel.port2.postMessage(undefined);
  }

  close(): void {
    this.#closed = true;
    this.#channel.port1.close();
    for (const core of this.#cores) core.close();
  }

  #tick(): void {
    this.#ticking = false;
    if (this.#closed) return;
    const now = this.#clock();
    let work = 0;
    for (const core of this.#cores) work += core.advance(now);
    work += this.elasticity.advance();
    const isRescuing = this.#cores.some(({ status }) => status === "rescuing");
    if (!this.elasticity.isBusy && !isRescuing) return;
    if (work > 0) {
      this.wake();
      return;
    }
    this.#ticking = true;
    setTimeout(() => this.#tick(), 1);
  }
}
