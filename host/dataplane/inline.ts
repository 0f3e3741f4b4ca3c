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
import { realClock, type Clock } from "./clock.ts";
import { queuesOf, type Dataplane } from "./dataplane.ts";
import { ElasticThread } from "./elastic-thread.ts";
import { LivelockError, StateError } from "./errors.ts";
import { InlineDriver } from "./inline-driver.ts";
import { Parking } from "./parking.ts";

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

const MAX_STEPS = 50_000_000;

export class InlineRunner {
  readonly #threads: ElasticThread[] = [];
  readonly #parkings: Parking[] = [];
  #polls = false;
  readonly #clock: Clock | undefined;
  #now: number;
  #driver: InlineDriver | undefined;

  constructor(options: InlineOptions = {}) {
    this.#clock = options.clock === "real" ? realClock() : undefined;
    this.#now = this.#clock ? this.#clock() : (options.startAt ?? 0);
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

  /** Attaches all cores of a dataplane and starts their applications. Returns its threads. */
  add(dataplane: Dataplane, options: InlineDataplane): readonly ElasticThread[] {
    const { onMessage } = options;
    const makeBackend = backendMaker(options);
    const { port, cores } = dataplane;
    const now = this.#clock ? this.#clock() : this.#now;
    const threads = cores.map((core) => {
      const queues = queuesOf(port, cores.length, core.id);
      const backends = queues.map((queue) => makeBackend(port, queue));
      const blocks = queues.map((queue) => port.queues[queue]);
      this.#parkings.push(new Parking(dataplane.memory, core.block, blocks));
      this.#polls ||= backends.some((backend) => backend.wait !== undefined);
      return new ElasticThread(core, now, {
        backends,
        app: options.app,
        options: options.options,
        post: onMessage && ((message) => onMessage(message, core.id)),
        announce: dataplane.options.announce && core.id === 0,
      });
    });
    this.#threads.push(...threads);
    return threads;
  }

  /** One iteration of every thread, at the same time. Returns the work done; 0: all are quiet. */
  step(): number {
    if (this.#clock) this.#now = this.#clock();
    const now = this.#now;
    const threads = this.#threads;
    let work = 0;
    for (let i = 0; i < threads.length; i++) work += threads[i].iterate(now);
    return work;
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
    const { until, forMicros = Infinity } = limits;
    if (this.#clock) {
      if (!until && forMicros === Infinity) {
        throw new TypeError('ixwasm: a run in real time needs "until" or "forMicros"');
      }
      this.#now = this.#clock();
    }
    const end = this.#now + forMicros;
    const maxSteps = limits.maxSteps ?? (this.#clock ? Infinity : MAX_STEPS);
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
}

/** Makes what is behind a queue pair, as the options say. */
export function backendMaker({
  wire,
  backend,
}: InlineDataplane): (port: PortHandle, queue: number) => QueueBackend {
  if (backend) return backend;
  if (!wire) throw new TypeError('ixwasm: one of "wire" and "backend" must be given');
  return (port, queue) => createBackend(port, queue, wire);
}
