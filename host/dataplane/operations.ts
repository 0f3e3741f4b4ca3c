/**
 * The turns of a thread with an event loop that sees to a dataplane's cores on other threads: they take
 * operations on the cores further until there are none, at once while they get on, else every
 * millisecond. Cores that are being rescued are polled meanwhile.
 */
import type { Clock } from "./clock.ts";
import type { CoreStatus, Elasticity } from "./elasticity.ts";

/** Milliseconds between two looks at operations that wait for cores. */
const PAUSE = 1;

/** A core as the thread that sees to it has it. */
export interface SeenCore {
  readonly status: CoreStatus;
  /** Polls the core, if it is being rescued. Returns how much was done. */
  advance(now: number): number;
}

export interface OperationsOptions {
  readonly elasticity: Pick<Elasticity, "advance" | "isBusy">;
  readonly cores: readonly SeenCore[];
  readonly clock: Clock;
  /** Has the event loop call back, after all that waits there. */
  readonly soon: (callback: () => void) => void;
  /** True when nothing is to be taken further any more. */
  readonly isOver: () => boolean;
}

export class Operations {
  readonly #options: OperationsOptions;
  #ticking = false;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** There is something to take further. */
  wake(): void {
    if (this.#ticking || this.#options.isOver()) return;
    this.#ticking = true;
    this.#options.soon(this.#tick);
  }

  readonly #tick = (): void => {
    const { elasticity, cores, clock, soon, isOver } = this.#options;
    this.#ticking = false;
    if (isOver()) return;
    const now = clock();
    let work = 0;
    for (const core of cores) work += core.advance(now);
    work += elasticity.advance();
    const isRescuing = cores.some(({ status }) => status === "rescuing");
    if (!elasticity.isBusy && !isRescuing) return;
    this.#ticking = true;
    if (work > 0) soon(this.#tick);
    else setTimeout(this.#tick, PAUSE);
  };
}
