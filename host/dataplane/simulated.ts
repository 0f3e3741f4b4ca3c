/**
 * Runs the cores of one or more dataplanes on the calling thread as if each had a processor of its own:
 * in virtual time, every core being busy for as long as its work costs by a `CostModel`. So more cores
 * can be looked at than the machine has, and the same run comes out the same everywhere. What it
 * measures is simulated, and to be called so.
 *
 *   core 0  |poll····|poll···········|poll|                 |poll···|
 *   wire             ↓ frames leave   ↓                     ↑ a frame wakes it
 *   core 1       |poll······|poll··|            (asleep)
 *
 * An iteration sees what is there when it begins. The frames it sends leave when the kernel's part of it
 * is over; the application's part follows. Events happen in the order of their time; at the same time
 * actions come first, then frames, then cores in the order they were added.
 */
import {
  CORE_DOORBELL,
  CORE_PARKED,
  QUEUE_TX,
  RING_CONSUMER,
  RING_PRODUCER,
} from "../../assembly/abi.ts";
import type { PortHandle, QueueBackend } from "../nic/types.ts";
import { Meter, REFERENCE_COSTS, type CostModel } from "./cost-model.ts";
import type { Dataplane } from "./dataplane.ts";
import type { ElasticThread } from "./elastic-thread.ts";
import type { Elasticity } from "./elasticity.ts";
import { LivelockError, StateError } from "./errors.ts";
import { InlineCores, type InlineHost } from "./inline-cores.ts";
import { backendMaker, type InlineDataplane, type RunLimits } from "./inline.ts";
import { queuesOf } from "./queues.ts";

export interface SimulatedOptions {
  /** What work costs, where a dataplane does not say. Default `REFERENCE_COSTS`. */
  readonly costs?: CostModel;
  /** Where virtual time begins, µs. Default 0. */
  readonly startAt?: number;
  /** Hears of every iteration, when it has been computed. */
  readonly onIteration?: (iteration: SimulatedIteration) => void;
}

/** An iteration of a core: times in µs. */
export interface SimulatedIteration {
  readonly core: SimulatedCore;
  readonly began: number;
  /** The kernel's part is over and frames leave; the application's part is over. */
  readonly sent: number;
  readonly ended: number;
  /** What was done; 0: it found nothing. */
  readonly work: number;
}

/** What a dataplane is connected to, what runs on it, and how fast its cores are. */
export interface SimulatedDataplane extends InlineDataplane {
  readonly costs?: CostModel;
}

/** Something to be done at a time. */
interface Action {
  readonly at: number;
  readonly run: () => void;
}

/** A dataplane that is run: its threads, its cores, and the way out of each of its queues. */
interface Run {
  readonly threads: InlineCores;
  readonly cores: readonly SimulatedCore[];
  readonly outlets: readonly Outlet[];
}

const MAX_EVENTS = 500_000_000;

export class SimulatedRunner {
  readonly #costs: CostModel;
  readonly #runs: Run[] = [];
  readonly #cores: SimulatedCore[] = [];
  readonly #onIteration: ((iteration: SimulatedIteration) => void) | undefined;
  readonly #host: InlineHost;
  /** By time, then by the order in which they were asked for. */
  readonly #actions: Action[] = [];
  #now: number;

  constructor(options: SimulatedOptions = {}) {
    this.#costs = options.costs ?? REFERENCE_COSTS;
    this.#now = options.startAt ?? 0;
    this.#onIteration = options.onIteration;
    const now = (): number => this.#now;
    this.#host = {
      get now() {
        return now();
      },
      // Each poll has a time of its own here.
      rounds: 1,
      changed: () => this.#placeThreads(1),
      wake() {},
    };
  }

  /** Virtual time, µs: that of the last event. */
  get now(): number {
    return this.#now;
  }

  /** All cores, in the order they were added. */
  get cores(): readonly SimulatedCore[] {
    return this.#cores;
  }

  /** Attaches the active cores of a dataplane and starts their applications. Returns all its cores. */
  add(dataplane: Dataplane, options: SimulatedDataplane): readonly SimulatedCore[] {
    const costs = options.costs ?? this.#costs;
    const makeBackend = backendMaker(options);
    const outlets: Outlet[] = [];
    const threads = new InlineCores(dataplane, this.#host, options, (port, queue) => {
      outlets[queue] = new Outlet(port, queue, makeBackend(port, queue));
      return outlets[queue];
    });
    const hear = this.#onIteration;
    const cores = dataplane.cores.map(({ id }) => new SimulatedCore(dataplane, id, costs, hear));
    this.#runs.push({ threads, cores, outlets });
    this.#cores.push(...cores);
    this.#placeThreads(0);
    return cores;
  }

  /**
   * Adds and takes away cores of a dataplane, and moves flow groups between them. Its promises are
   * fulfilled by `runAsync`.
   *
   * @throws {StateError} the runner does not run the dataplane
   */
  manager(dataplane: Dataplane): Elasticity {
    const run = this.#runs.find(({ threads }) => threads.dataplane === dataplane);
    if (!run) throw new StateError(`the runner does not run ${dataplane.name}`);
    return run.threads.elasticity;
  }

  /** Has something done at `micros`, or at once when that has passed. */
  at(micros: number, run: () => void): void {
    const action = { at: Math.max(micros, this.#now), run };
    let place = this.#actions.length;
    while (place > 0 && this.#actions[place - 1].at > action.at) place--;
    this.#actions.splice(place, 0, action);
  }

  /** Has something done every `period` µs, first one period from now, until the result is called. */
  every(period: number, run: () => void): () => void {
    let going = true;
    const again = (): void => {
      if (!going) return;
      this.at(this.#now + period, again);
      run();
    };
    this.at(this.#now + period, again);
    return () => void (going = false);
  }

  /**
   * Lets time pass until a limit is reached or nothing will ever happen again. `maxSteps` counts events.
   *
   * @returns whether `until` came true; without `until`, true
   * @throws {LivelockError} after `maxSteps`
   */
  run(limits: RunLimits = {}): boolean {
    const { until, forMicros = Infinity, maxSteps = MAX_EVENTS } = limits;
    const end = this.#now + forMicros;
    for (let events = 0; events < maxSteps; events++) {
      if (!this.#next(end)) {
        if (end !== Infinity) this.#now = end;
        return !until;
      }
      if (until?.()) return true;
    }
    throw new LivelockError(`still busy after ${maxSteps} events, at ${this.#now} µs`);
  }

  /**
   * As `run`, but what waits for promises goes on between events: for control planes, whose migrations
   * are promises. It is as deterministic.
   */
  async runAsync(limits: RunLimits = {}): Promise<boolean> {
    const { until, forMicros = Infinity, maxSteps = MAX_EVENTS } = limits;
    const end = this.#now + forMicros;
    for (let events = 0; events < maxSteps; events++) {
      if (!this.#next(end)) {
        if (end !== Infinity) this.#now = end;
        return !until;
      }
      if (until?.()) return true;
      await Promise.resolve();
    }
    throw new LivelockError(`still busy after ${maxSteps} events, at ${this.#now} µs`);
  }

  /** Lets go of what the backends hold outside the dataplanes. */
  close(): void {
    for (const { threads } of this.#runs) for (const { thread } of threads.beds) thread.close();
  }

  /** The next event, if there is one by `end`. */
  #next(end: number): boolean {
    for (const { threads } of this.#runs) threads.advance();
    for (const core of this.#cores) core.listen(this.#now);
    let at = this.#actions.length > 0 ? this.#actions[0].at : Infinity;
    let sender: SimulatedCore | null = null;
    for (const core of this.#cores) {
      if (core.framesAt >= at) continue;
      at = core.framesAt;
      sender = core;
    }
    let runner: SimulatedCore | null = null;
    for (const core of this.#cores) {
      if (core.runsAt >= at) continue;
      at = core.runsAt;
      runner = core;
    }
    if (at > end || at === Infinity) return false;
    this.#now = at;
    if (runner) runner.iterate(at);
    else if (sender) sender.sendFrames(at);
    else this.#actions.shift()!.run();
    return true;
  }

  /**
   * Brings the cores up to date with the threads that there are. A processor that was given back has to
   * be woken: `wakeups` times.
   */
  #placeThreads(wakeups: number): void {
    for (const { threads, cores, outlets } of this.#runs) {
      const beds = new Map(threads.beds.map(({ thread }) => [thread.core.id, thread]));
      for (const core of cores) {
        const { port } = core.dataplane;
        const queues = queuesOf(port, cores.length, core.id);
        core.place(
          beds.get(core.id),
          queues.map((queue) => outlets[queue]),
          this.#now,
          wakeups,
        );
      }
    }
  }
}

/** One core with its own idea of when it is free again. */
export class SimulatedCore {
  readonly dataplane: Dataplane;
  /** Index within the dataplane. */
  readonly id: number;
  /** What runs on it, while it is active. */
  thread: ElasticThread | undefined;
  /** How fast it is, as a multiple of what the cost model describes: its frequency. */
  speed = 1;
  /** When it iterates next, µs; Infinity while only a frame can wake it. */
  runsAt = Infinity;
  /** When frames leave its NIC queues next, µs: those it has sent, or that its link holds back. */
  framesAt = Infinity;
  /** Waiting for something to happen. */
  asleep = false;
  /** Time it has worked, µs, and how often it was woken. */
  busyMicros = 0;
  wakeups = 0;

  readonly #costs: CostModel;
  readonly #onIteration: ((iteration: SimulatedIteration) => void) | undefined;
  readonly #meter: Meter;
  /** What the application has charged for since the last iteration, µs. */
  #charged = 0;
  readonly #words: Int32Array;
  readonly #doorbell: number;
  readonly #parked: number;
  #outlets: readonly Outlet[] = [];
  /** When the last iteration is over, µs, and the doorbell before the core fell asleep. */
  #freeAt = -Infinity;
  #heard = 0;

  /** Use `SimulatedRunner.add`. */
  constructor(
    dataplane: Dataplane,
    id: number,
    costs: CostModel,
    onIteration?: (iteration: SimulatedIteration) => void,
  ) {
    const { memory, block } = dataplane.cores[id];
    this.dataplane = dataplane;
    this.id = id;
    this.#costs = costs;
    this.#onIteration = onIteration;
    this.#words = new Int32Array(memory.buffer);
    this.#doorbell = (block + CORE_DOORBELL) >>> 2;
    this.#parked = (block + CORE_PARKED) >>> 2;
    this.#meter = new Meter(memory, block, costs);
  }

  /** Puts a thread on the core, or takes it away, if that is anything new. */
  place(
    thread: ElasticThread | undefined,
    outlets: readonly Outlet[],
    now: number,
    wakeups: number,
  ): void {
    if (thread === this.thread) return;
    this.thread = thread;
    this.#outlets = thread ? outlets : [];
    this.asleep = false;
    this.#words[this.#parked] = 0;
    this.framesAt = Infinity;
    this.runsAt = thread ? now + wakeups * this.#costs.wake : Infinity;
    this.#freeAt = this.runsAt;
    this.wakeups += wakeups;
  }

  /**
   * Has the core look at once, as a frame that arrives at `micros` would: for whoever has made system
   * calls for it from outside.
   */
  wake(micros: number): void {
    if (!this.asleep) return;
    this.asleep = false;
    this.#words[this.#parked] = 0;
    const spinning = micros - this.#freeAt <= this.#costs.spin;
    if (!spinning) this.wakeups++;
    this.runsAt = Math.max(this.#freeAt, spinning ? micros : micros + this.#costs.wake);
  }

  /** Whether somebody has rung for the sleeping core. */
  listen(now: number): void {
    if (this.asleep && this.#words[this.#doorbell] !== this.#heard) this.wake(now);
  }

  /** One iteration, which begins at `now`. */
  iterate(now: number): void {
    this.wake(now);
    if (this.runsAt > now) return;
    const work = this.thread!.iterate(now);
    const kernel = this.#meter.kernel() / this.speed;
    const end = now + kernel + (this.#meter.application() + this.#charged) / this.speed;
    this.#charged = 0;
    this.#freeAt = end;
    this.runsAt = end;
    this.#schedule(now + kernel);
    if (work === 0) this.#sleep(now);
    else this.busyMicros += end - now;
    this.#onIteration?.({ core: this, began: now, sent: now + kernel, ended: end, work });
  }

  /** Makes the present iteration longer by `micros` µs: for applications whose work the model has not. */
  charge(micros: number): void {
    this.#charged += micros;
  }

  /** Lets the frames out that are due at `now`. */
  sendFrames(now: number): void {
    for (const outlet of this.#outlets) outlet.release(now);
    this.#schedule(Infinity);
  }

  /** What the core has sent leaves at `sent`, what a link holds back when the link lets it out. */
  #schedule(sent: number): void {
    this.framesAt = Infinity;
    for (const outlet of this.#outlets) {
      const at = outlet.hasFrames() ? Math.min(sent, outlet.linkDeadline()) : outlet.linkDeadline();
      this.framesAt = Math.min(this.framesAt, at);
    }
  }

  /** Nothing was found at `now`: the core waits for a deadline or the doorbell. */
  #sleep(now: number): void {
    this.asleep = true;
    this.#heard = this.#words[this.#doorbell];
    this.#words[this.#parked] = 1;
    // Not the thread's: what a link holds back needs no core.
    const deadline = this.thread!.core.nextDeadline(now);
    // A deadline that has come and changed nothing must not hold up time.
    this.runsAt = Math.max(deadline > now ? deadline : now + 1, this.#freeAt);
  }
}

/**
 * A queue's way out: frames stay in the TX ring while the core is busy making them, and leave when the
 * runner lets them.
 */
class Outlet implements QueueBackend {
  readonly #backend: QueueBackend;
  readonly #words: Int32Array;
  readonly #producer: number;
  readonly #consumer: number;

  constructor(port: PortHandle, queue: number, backend: QueueBackend) {
    const words = new Int32Array(port.memory.buffer);
    const ring = port.queues[queue] + QUEUE_TX;
    this.#backend = backend;
    this.#words = words;
    this.#producer = words[(ring + RING_PRODUCER) >>> 2] >>> 2;
    this.#consumer = words[(ring + RING_CONSUMER) >>> 2] >>> 2;
  }

  pump(): number {
    return 0;
  }

  /** When there will be nothing to be done for this queue any more; the core need not care. */
  nextDeadline(): number {
    return this.hasFrames() ? 0 : this.linkDeadline();
  }

  close(): void {
    this.#backend.close?.();
  }

  hasFrames(): boolean {
    return this.#words[this.#producer] !== this.#words[this.#consumer];
  }

  /** When the link lets a frame out, µs. */
  linkDeadline(): number {
    return this.#backend.nextDeadline();
  }

  release(now: number): void {
    this.#backend.pump(now);
  }
}
