/**
 * Runs the cores of one or more dataplanes on the calling thread, one iteration of each after the
 * other in the order they were added.
 *
 * With the virtual clock time stands still while there is anything to do and then jumps to the next
 * deadline, so a run takes as long as its work, and is the same every time: given the same secrets
 * (`DataplaneOptions.secret`), seeds and application. With the real clock it runs as fast as the
 * thread can.
 */
import type { AppFactory } from "../libix/app.ts";
import { createBackend } from "../nic/backend.ts";
import type { PortHandle, QueueBackend, Wire } from "../nic/types.ts";
import * as check from "./checks.ts";
import { realClock, type Clock } from "./clock.ts";
import type { Dataplane } from "./dataplane.ts";
import type { ElasticThread } from "./elastic-thread.ts";
import type { Elasticity } from "./elasticity.ts";
import { LivelockError, StateError } from "./errors.ts";
import { InlineCores, type InlineHost } from "./inline-cores.ts";
import { InlineDriver } from "./inline-driver.ts";
import type { Parking } from "./parking.ts";

export interface InlineOptions {
  /** Default "virtual". */
  readonly clock?: "virtual" | "real";
  /** Where virtual time begins, µs. Default 0. */
  readonly startAt?: number;
}

/** What a dataplane is connected to and what runs on it. */
export interface InlineDataplane {
  /** Where the frames of all its queues go. */
  readonly wire?: Wire;
  /** In place of `wire`: makes what is behind each queue pair of the port. */
  readonly backend?: (port: PortHandle, queue: number) => QueueBackend;
  /** Makes the application of each core. */
  readonly app: AppFactory;
  /** Handed to the application. */
  readonly options?: unknown;
  /** Takes what the application posts. */
  readonly onMessage?: (message: unknown, core: number) => void;
}

/** When a run ends: at the first of these to come true. */
export interface RunLimits {
  /** Asked after every step. */
  readonly until?: () => boolean;
  /** Time the run takes on the runner's clock, µs. */
  readonly forMicros?: number;
  /** Steps after which a LivelockError is thrown. Default 50 million in virtual time. */
  readonly maxSteps?: number;
}

const KNOWN = ["wire", "backend", "app", "options", "onMessage"] as const;
const MAX_STEPS = 50_000_000;

export class InlineRunner {
  readonly #dataplanes: InlineCores[] = [];
  #threads: readonly ElasticThread[] = [];
  #parkings: readonly Parking[] = [];
  #polls = false;
  readonly #clock: Clock | undefined;
  readonly #host: InlineHost;
  #now: number;
  #driver: InlineDriver | undefined;

  constructor(options: InlineOptions = {}) {
    const given = check.record<InlineOptions>("options", options, ["clock", "startAt"]);
    const clock = check.oneOf("clock", given.clock, "virtual", ["virtual", "real"]);
    this.#clock = clock === "real" ? realClock() : undefined;
    this.#now = this.#clock ? this.#clock() : (given.startAt ?? 0);
    const now = (): number => this.#now;
    this.#host = {
      get now() {
        return now();
      },
      changed: () => this.#gatherBeds(),
      wake: () => this.wake(),
    };
  }

  /** The runner's time, µs: that of the last step. */
  get now(): number {
    return this.#now;
  }

  /** Where the cores sleep while the thread's event loop has other things to do. */
  get parkings(): readonly Parking[] {
    return this.#parkings;
  }

  /** True when a backend brings frames from outside the process, which have to be asked for. */
  get polls(): boolean {
    return this.#polls;
  }

  /** All elastic threads, in the order they run. */
  get threads(): readonly ElasticThread[] {
    return this.#threads;
  }

  /** Attaches the active cores of a dataplane and starts their applications. Returns their threads. */
  add(dataplane: Dataplane, options: InlineDataplane): readonly ElasticThread[] {
    const given = check.record<InlineDataplane>("options", options, KNOWN);
    const makeBackend = backendMaker(given);
    if (this.#clock) this.#now = this.#clock();
    const cores = new InlineCores(dataplane, this.#host, options, makeBackend);
    this.#dataplanes.push(cores);
    this.#gatherBeds();
    return cores.beds.map(({ thread }) => thread);
  }

  /**
   * Adds and takes away cores of a dataplane, and moves flow groups between them. Its operations go on
   * with the runner's steps: their promises are fulfilled by `run`, `step` or a started runner.
   *
   * @throws {StateError} the runner does not run the dataplane
   */
  manager(dataplane: Dataplane): Elasticity {
    return this.#coresOf(dataplane).elasticity;
  }

  /**
   * Has all cores of a dataplane go on with another kernel from the next iteration on: connections and
   * all else stay as they are, because a core's state is in memory.
   *
   * @throws {KernelError} the module is no kernel of this host's ABI; the present one goes on
   */
  upgrade(dataplane: Dataplane, module: WebAssembly.Module): void {
    const { beds } = this.#coresOf(dataplane);
    dataplane.adoptKernel(module);
    for (const { thread } of beds) thread.upgrade(module, this.#now);
  }

  /** One iteration of every thread, at the same time. Returns the work done; 0: all are quiet. */
  step(): number {
    if (this.#clock) this.#now = this.#clock();
    const now = this.#now;
    const threads = this.#threads;
    let work = 0;
    for (let i = 0; i < threads.length; i++) work += threads[i].iterate(now);
    for (const cores of this.#dataplanes) work += cores.advance();
    return work;
  }

  /**
   * Lets virtual time pass up to `micros`, or not at all when that is over already. For whoever steps the
   * runner: nothing runs meanwhile.
   *
   * @throws {StateError} the runner has the real clock
   */
  advanceTo(micros: number): void {
    if (this.#clock) throw new StateError("only virtual time can be advanced");
    if (micros > this.#now) this.#now = micros;
  }

  /** When a thread must run again even if no frame moves, µs; Infinity: never. */
  nextDeadline(): number {
    let deadline = Infinity;
    for (const thread of this.#threads) deadline = Math.min(deadline, thread.nextDeadline());
    return deadline;
  }

  /**
   * Steps until a limit is reached or, in virtual time, nothing will ever happen again. Blocks the
   * thread meanwhile.
   *
   * @returns whether `until` came true; without `until`, true
   * @throws {LivelockError} after `maxSteps`
   */
  run(limits: RunLimits = {}): boolean {
    const given = check.record<RunLimits>("options", limits, ["until", "forMicros", "maxSteps"]);
    const { until, forMicros = Infinity } = given;
    if (this.#clock) {
      if (!until && forMicros === Infinity) {
        throw new TypeError('ixwasm: a run in real time needs "until" or "forMicros"');
      }
      this.#now = this.#clock();
    }
    const end = this.#now + forMicros;
    const maxSteps = given.maxSteps ?? (this.#clock ? Infinity : MAX_STEPS);
    for (let steps = 0; steps < maxSteps; steps++) {
      const work = this.step();
      if (until?.()) return true;
      if (this.#clock) {
        if (this.#now >= end) return !until;
      } else if (work === 0) {
        const deadline = this.nextDeadline();
        // A deadline that has come and changed nothing must not hold up time.
        const next = deadline > this.#now ? deadline : this.#now + 1;
        if (next > end || next === Infinity) {
          // Nothing happens any more; time that was asked for passes all the same.
          if (end !== Infinity) this.#now = end;
          return !until;
        }
        this.#now = next;
      }
    }
    throw new LivelockError(`still busy after ${maxSteps} steps, at ${this.#now} µs`);
  }

  /**
   * Runs in real time from now on, in slices between which the thread's event loop turns: for pages
   * that have no workers, and for applications that share the thread with others. While nothing
   * happens nothing runs: an idle network costs no processor time. An application that makes calls
   * between rounds says so with `wake`.
   *
   * @returns a promise that is fulfilled after `stop` and rejected when an application throws
   */
  start(): Promise<void> {
    if (!this.#clock) throw new StateError("only a runner with the real clock can be started");
    if (this.#driver) throw new StateError("the runner has been started already");
    const driver = new InlineDriver(this);
    this.#driver = driver;
    return driver.done.finally(() => (this.#driver = undefined));
  }

  /** Has the next slice come soon, for calls that were made between rounds. */
  wake(): void {
    this.#driver?.wake();
  }

  /** Keeps the process alive while started, which is the default. */
  ref(): void {
    this.#driver?.ref();
  }

  /** Lets the process end while started. */
  unref(): void {
    this.#driver?.unref();
  }

  /** Ends what `start` began; resolves when the last slice is over. */
  async stop(): Promise<void> {
    const driver = this.#driver;
    driver?.stop();
    await driver?.done.catch(() => {});
  }

  /** Lets go of what the backends hold outside the dataplanes. */
  close(): void {
    for (const thread of this.#threads) thread.close();
  }

  #coresOf(dataplane: Dataplane): InlineCores {
    const found = this.#dataplanes.find((cores) => cores.dataplane === dataplane);
    if (!found) throw new StateError(`the runner does not run ${dataplane.name}`);
    return found;
  }

  #gatherBeds(): void {
    const beds = this.#dataplanes.flatMap((cores) => cores.beds);
    this.#threads = beds.map(({ thread }) => thread);
    this.#parkings = beds.map(({ parking }) => parking);
    this.#polls = this.#threads.some((thread) => thread.polls);
  }
}

/** Makes what is behind a queue pair, as the options say. */
export function backendMaker({
  wire,
  backend,
}: Partial<InlineDataplane>): (port: PortHandle, queue: number) => QueueBackend {
  if (backend) return backend;
  if (!wire) {
    throw new TypeError(
      'ixwasm: one of "wire" and "backend" must be given: wires come from connectPorts or createSwitch',
    );
  }
  return (port, queue) => createBackend(port, queue, wire);
}
