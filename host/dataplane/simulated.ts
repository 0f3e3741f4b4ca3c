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
import { queuesOf } from "./queues.ts";
import { ElasticThread } from "./elastic-thread.ts";
import { LivelockError } from "./errors.ts";
import { backendMaker, type InlineDataplane, type RunLimits } from "./inline.ts";

export interface SimulatedOptions {
  /** What work costs, where a dataplane does not say. Default `REFERENCE_COSTS`. */
  readonly costs?: CostModel;
  /** Where virtual time begins, µs. Default 0. */
  readonly startAt?: number;
}

/** What a dataplane is connected to, what runs on it, and how fast its cores are. */
export interface SimulatedDataplane extends InlineDataplane {
  readonly costs?: CostModel;
}

/** Something to be done at a time. */
interface Action {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const MAX_EVENTS = 500_000_000;

export class SimulatedRunner {
  readonly #costs: CostModel;
  readonly #cores: SimulatedCore[] = [];
  /** By time, then by the order in which they were asked for. */
  readonly #actions: Action[] = [];
  #order = 0;
  #now: number;

  constructor(options: SimulatedOptions = {}) {
    this.#costs = options.costs ?? REFERENCE_COSTS;
    this.#now = options.startAt ?? 0;
  }

  /** Virtual time, µs: that of the last event. */
  get now(): number {
    return this.#now;
  }

  /** All cores, in the order they were added. */
  get cores(): readonly SimulatedCore[] {
    return this.#cores;
  }

  /** Attaches all cores of a dataplane and starts their applications. Returns the cores. */
  add(dataplane: Dataplane, options: SimulatedDataplane): readonly SimulatedCore[] {
    const costs = options.costs ?? this.#costs;
    const cores = dataplane.cores.map(
      ({ id }) => new SimulatedCore(dataplane, id, this.#now, options, costs),
    );
    this.#cores.push(...cores);
    return cores;
  }

  /** Has something done at `micros`, or at once when that has passed. */
  at(micros: number, run: () => void): void {
    const action = { at: Math.max(micros, this.#now), order: this.#order++, run };
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
    for (const core of this.#cores) core.thread.close();
  }

  /** The next event, if there is one by `end`. */
  #next(end: number): boolean {
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
    for (const core of this.#cores) core.listen(at);
    return true;
  }
}

/** One core with its own idea of when it is free again. */
export class SimulatedCore {
  readonly dataplane: Dataplane;
  /** Index within the dataplane. */
  readonly id: number;
  readonly thread: ElasticThread;
  /** How fast it is, as a multiple of what the cost model describes: its frequency. */
  speed = 1;
  /** When it iterates next, µs; Infinity while only a frame can wake it. */
  runsAt: number;
  /** When frames leave its NIC queues next, µs: those it has sent, or that its link holds back. */
  framesAt = Infinity;
  /** Waiting for something to happen. */
  asleep = false;
  /** Time it has worked, µs, and how often it was woken. */
  busyMicros = 0;
  wakeups = 0;

  readonly #outlets: readonly Outlet[];
  readonly #costs: CostModel;
  readonly #meter: Meter;
  readonly #words: Int32Array;
  readonly #doorbell: number;
  readonly #parked: number;
  /** When the last iteration is over, µs, and the doorbell before the core fell asleep. */
  #freeAt: number;
  #heard = 0;

  /** Use `SimulatedRunner.add`. */
  constructor(
    dataplane: Dataplane,
    id: number,
    now: number,
    options: SimulatedDataplane,
    costs: CostModel,
  ) {
    const { port, cores } = dataplane;
    const core = cores[id];
    const { app, onMessage } = options;
    const makeBackend = backendMaker(options);
    this.dataplane = dataplane;
    this.id = id;
    this.#costs = costs;
    this.#words = new Int32Array(core.memory.buffer);
    this.#doorbell = (core.block + CORE_DOORBELL) >>> 2;
    this.#parked = (core.block + CORE_PARKED) >>> 2;
    this.#outlets = queuesOf(port, cores.length, id).map(
      (queue) => new Outlet(port, queue, makeBackend(port, queue)),
    );
    this.thread = new ElasticThread(core, now, {
      port,
      backends: this.#outlets,
      app,
      options: options.options,
      post: onMessage && ((message) => onMessage(message, id)),
      announce: dataplane.options.announce && id === 0,
      // One poll an iteration: each has a time of its own here.
      rounds: 1,
    });
    this.#meter = new Meter(core.memory, core.block, costs);
    this.runsAt = now;
    this.#freeAt = now;
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
    const work = this.thread.iterate(now);
    const kernel = this.#meter.kernel() / this.speed;
    const end = now + kernel + this.#meter.application() / this.speed;
    this.#freeAt = end;
    this.runsAt = end;
    this.#schedule(now + kernel);
    if (work === 0) this.#sleep(now);
    else this.busyMicros += end - now;
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
    const deadline = this.thread.nextDeadline();
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

  nextDeadline(): number {
    return Infinity;
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
