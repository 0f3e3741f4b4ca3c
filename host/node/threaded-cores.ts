/**
 * The cores of one dataplane on worker threads: brings workers to them and takes them away, watches
 * over those that run, and has others take over from one whose thread is gone.
 */
import type { Piscina } from "piscina";
import { placeOf, Watchdog, type Incident } from "../control/watchdog.ts";
import { realClock } from "../dataplane/clock.ts";
import { STOP_LEAVE } from "../../assembly/abi.ts";
import { Elasticity, type CoreHost, type CoreStatus } from "../dataplane/elasticity.ts";
import type { IdlePolicy } from "../dataplane/elastic-loop.ts";
import { CoreError } from "../dataplane/errors.ts";
import { Operations } from "../dataplane/operations.ts";
import { wiresOf } from "./backends.ts";
import { ThreadedCore, type CoreObserver } from "./threaded-core.ts";
import type { ThreadedDataplane } from "./threaded.ts";

/** What the cores of all dataplanes of a run have in common. */
export interface Crew {
  readonly pool: Piscina;
  readonly policy: IdlePolicy;
  readonly gate: SharedArrayBuffer;
  /** Longest silence of a core before its thread is ended, µs; Infinity: it is never ended. */
  readonly hangTimeout: number;
  /** True when everything is on its way to its end: nobody takes over from anybody. */
  readonly isClosing: boolean;
  ready(): void;
  /** A core has ended; `fatal` says why nothing can go on. */
  ended(fatal: CoreError | undefined): void;
  report(incident: Incident): void;
}

export class ThreadedCores implements CoreHost, CoreObserver {
  readonly elasticity: Elasticity;
  readonly #item: ThreadedDataplane;
  readonly #crew: Crew;
  readonly #cores: readonly ThreadedCore[];
  readonly #watchdogs: readonly Watchdog[];
  readonly #clock = realClock();
  /** Cores that the watchdog has ended, and those that were asked for. */
  readonly #hung = new Set<number>();
  readonly #evicted = new Set<number>();
  readonly #operations: Operations;

  constructor(item: ThreadedDataplane, crew: Crew) {
    const { dataplane, app, capture } = item;
    this.#item = item;
    this.#crew = crew;
    this.elasticity = new Elasticity(dataplane, this);
    const common = {
      wires: wiresOf(item.wire, dataplane),
      module: String(app.module),
      options: app.options,
      policy: crew.policy,
      gate: crew.gate,
    };
    this.#cores = dataplane.cores.map(({ id }) => {
      const template = { ...common, core: id, capture: capture?.addThread() };
      const control = this.elasticity.control(id);
      return new ThreadedCore(crew.pool, template, () => dataplane.handle, control, this);
    });
    this.#watchdogs = dataplane.cores.map(() => new Watchdog());
    this.#operations = new Operations({
      elasticity: this.elasticity,
      cores: this.#cores,
      clock: this.#clock,
      soon: setImmediate,
      isOver: () => crew.isClosing,
    });
  }

  get dataplane() {
    return this.#item.dataplane;
  }

  /** Cores that have a thread, or will. */
  get running(): number {
    return this.#cores.filter(({ status }) => status === "running" || status === "starting").length;
  }

  /** Starts the cores that are active from the beginning. */
  begin(): void {
    for (const core of this.#cores.slice(0, this.dataplane.options.activeCores)) core.start();
  }

  /** Ends all threads, whatever they do. */
  abort(): void {
    for (const core of this.#cores) core.kill();
  }

  close(): void {
    for (const core of this.#cores) core.close();
  }

  /** Has the cores that run go on with another kernel; the dataplane knows of it already. */
  async upgrade(module: WebAssembly.Module): Promise<void> {
    const running = this.#cores.filter(({ status }) => status === "running");
    await Promise.all(running.map((core) => core.upgrade(module)));
  }

  /** Looks at every core; at least every few milliseconds. */
  watch(): void {
    const now = this.#clock();
    for (const { id, status } of this.#cores) {
      const watchdog = this.#watchdogs[id];
      const silence =
        status === "running" ? watchdog.look(this.elasticity.control(id), now) : undefined;
      if (silence === undefined) continue;
      const { micros, where, isNews } = silence;
      if (isNews) this.#report(id, { what: "unresponsive", where, micros });
      const isHung = micros > this.#crew.hangTimeout && !this.#hung.has(id);
      // Where nobody can take over, nothing is gained by ending it.
      if (!isHung || !this.elasticity.canContain(id)) continue;
      this.#hung.add(id);
      this.#report(id, { what: "hung", where, micros });
      this.#cores[id].kill();
    }
  }

  // -------------------------------------------------------------------------------------------
  // CoreHost

  status(core: number): CoreStatus {
    return this.#cores[core].status;
  }

  failure(core: number): unknown {
    return this.#cores[core].failure;
  }

  start(core: number): void {
    this.#watchdogs[core].reset();
    this.#cores[core].start();
  }

  stop(core: number): void {
    this.elasticity.control(core).stop(STOP_LEAVE);
  }

  kill(core: number): void {
    this.#evicted.add(core);
    this.#cores[core].kill();
  }

  rescue(core: number): void {
    this.#cores[core].rescue();
  }

  release(core: number): void {
    this.#cores[core].release();
  }

  wake(): void {
    this.#operations.wake();
  }

  // -------------------------------------------------------------------------------------------
  // CoreObserver

  ready(): void {
    this.#crew.ready();
  }

  message(message: unknown, core: number): void {
    this.#item.onMessage?.(message, core);
  }

  ended(core: number, error: unknown): void {
    const { status } = this.#cores[core];
    const wasHung = this.#hung.delete(core);
    const wasEvicted = this.#evicted.delete(core);
    if (error === undefined) {
      this.#crew.ended(undefined);
    } else if (this.#crew.isClosing) {
      this.#crew.ended(this.#errorOf(core, new Error("it did not notice that it should stop")));
    } else if (status === "failed") {
      // Whoever has it started is told; at the start of all, that is the end of all.
      this.#crew.ended(this.#started ? undefined : this.#errorOf(core, error));
    } else if (wasEvicted) {
      this.#crew.ended(undefined);
    } else {
      this.#takeOver(core, error, wasHung);
    }
  }

  /** True once the gate has opened. */
  get #started(): boolean {
    return Atomics.load(new Int32Array(this.#crew.gate), 0) !== 0;
  }

  #takeOver(core: number, error: unknown, wasHung: boolean): void {
    const died = this.#clock();
    const where = placeOf(this.elasticity.control(core).phase);
    if (!this.elasticity.canContain(core)) {
      this.#crew.ended(this.#errorOf(core, error));
      return;
    }
    if (!wasHung) this.#report(core, { what: "died", where, micros: 0, error });
    this.elasticity.contain(core).then(
      () => this.#report(core, { what: "taken over", where, micros: this.#clock() - died }),
      (cause: unknown) => {
        if (this.#crew.isClosing) return;
        this.#report(core, { what: "lost", where, micros: this.#clock() - died, error: cause });
        this.#crew.ended(this.#errorOf(core, cause));
      },
    );
  }

  #errorOf(core: number, cause: unknown): CoreError {
    return new CoreError(this.dataplane.name, core, cause);
  }

  #report(core: number, incident: Omit<Incident, "dataplane" | "core">): void {
    this.#crew.report({ dataplane: this.dataplane.name, core, ...incident });
  }
}
