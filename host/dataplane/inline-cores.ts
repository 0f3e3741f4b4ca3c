/**
 * The cores of one dataplane on a thread that runs all of them by turns: brings elastic threads to
 * cores and takes them away, at once.
 */
import type { PortHandle, QueueBackend } from "../nic/types.ts";
import type { Dataplane } from "./dataplane.ts";
import { ElasticThread } from "./elastic-thread.ts";
import { Elasticity, type CoreHost, type CoreStatus } from "./elasticity.ts";
import type { InlineDataplane } from "./inline.ts";
import { Parking } from "./parking.ts";
import { queuesOf } from "./queues.ts";
import { NOBODY } from "./rescuer.ts";

/** A core that is run. */
export interface Bed {
  readonly thread: ElasticThread;
  readonly parking: Parking;
}

interface Slot {
  status: CoreStatus;
  bed: Bed | undefined;
  failure: unknown;
  /** To be given back as soon as nothing of it is on its way. */
  leaving: boolean;
}

/** What the cores ask of the runner. */
export interface InlineHost {
  readonly now: number;
  /** Most polls of an iteration, where that is not as usual. */
  readonly rounds?: number;
  /** The beds have changed. */
  changed(): void;
  /** Calls were made between rounds. */
  wake(): void;
}

export class InlineCores implements CoreHost {
  readonly dataplane: Dataplane;
  readonly elasticity: Elasticity;
  readonly #runner: InlineHost;
  readonly #options: InlineDataplane;
  readonly #makeBackend: (port: PortHandle, queue: number) => QueueBackend;
  readonly #slots: readonly Slot[];

  /** Starts the cores that are active from the beginning. */
  constructor(
    dataplane: Dataplane,
    runner: InlineHost,
    options: InlineDataplane,
    makeBackend: (port: PortHandle, queue: number) => QueueBackend,
  ) {
    this.dataplane = dataplane;
    this.#runner = runner;
    this.#options = options;
    this.#makeBackend = makeBackend;
    this.#slots = dataplane.cores.map(() => ({
      status: "stopped",
      bed: undefined,
      failure: undefined,
      leaving: false,
    }));
    for (let core = 0; core < dataplane.options.activeCores; core++) this.#enter(core, false);
    this.elasticity = new Elasticity(dataplane, this);
  }

  /** Those that are run, in order of their cores. */
  get beds(): readonly Bed[] {
    return this.#slots.flatMap(({ bed }) => bed ?? []);
  }

  /** Takes operations further, and leave of cores that are drained. Returns how much was done. */
  advance(): number {
    let work = this.elasticity.advance();
    if (!this.elasticity.isBusy) return work;
    for (const [core, slot] of this.#slots.entries()) {
      if (!slot.leaving || !slot.bed!.thread.isDrained) continue;
      this.#leave(core);
      work++;
    }
    return work;
  }

  // -------------------------------------------------------------------------------------------
  // CoreHost

  status(core: number): CoreStatus {
    return this.#slots[core].status;
  }

  failure(core: number): unknown {
    return this.#slots[core].failure;
  }

  start(core: number): void {
    try {
      this.#enter(core, false);
    } catch (error) {
      Object.assign(this.#slots[core], { status: "failed", failure: error });
    }
  }

  stop(core: number): void {
    this.#slots[core].leaving = true;
  }

  kill(core: number): void {
    const slot = this.#slots[core];
    slot.bed!.thread.close();
    Object.assign(slot, { status: "gone", bed: undefined, leaving: false });
    this.#runner.changed();
  }

  rescue(core: number): void {
    this.#enter(core, true);
  }

  release(core: number): void {
    this.#slots[core].leaving = true;
  }

  wake(): void {
    this.#runner.wake();
  }

  // -------------------------------------------------------------------------------------------

  #enter(id: number, rescue: boolean): void {
    const { dataplane, elasticity } = this;
    const core = dataplane.cores[id];
    const { port } = dataplane;
    const queues = queuesOf(port, dataplane.cores.length, id);
    const { app, options, onMessage } = this.#options;
    const thread = new ElasticThread(core, this.#runner.now, {
      port,
      backends: queues.map((queue) => this.#makeBackend(port, queue)),
      app: rescue ? () => NOBODY : app,
      options,
      post: onMessage && ((message) => onMessage(message, id)),
      announce: dataplane.options.announce && id === 0 && elasticity === undefined,
      rescue,
      rounds: this.#runner.rounds,
    });
    const blocks = queues.map((queue) => port.queues[queue]);
    const parking = new Parking(dataplane.memory, core.block, blocks);
    Object.assign(this.#slots[id], {
      status: rescue ? "rescuing" : "running",
      bed: { thread, parking },
      leaving: false,
    });
    this.#runner.changed();
  }

  #leave(core: number): void {
    const slot = this.#slots[core];
    slot.bed!.thread.leave();
    slot.bed!.thread.close();
    Object.assign(slot, { status: "stopped", bed: undefined, leaving: false });
    this.#runner.changed();
  }
}
