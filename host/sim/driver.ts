/**
 * Lets a network's time pass. While there is anything to do time stands still: the hosts are stepped
 * until they are quiet, and where an application has had its turn the thread's event loop is turned too,
 * until that brings nothing new. Only then time jumps to the next deadline, the network's own or the
 * application's timers'.
 *
 *   step hosts until quiet → did an application run? turn the event loop → new work? again
 *        → goals reached? their waiters go on, again → jump
 *
 * Time passes as long as somebody waits for something: a promise, a condition, an instant.
 */
import { LivelockError } from "../dataplane/errors.ts";
import type { InlineRunner } from "../dataplane/inline.ts";
import type { AppTimers } from "./app-timers.ts";
import { SimulationError } from "./errors.ts";
import type { Platform } from "./platform.ts";

/** Turns of the event loop without anything new after which an application is done. */
const QUIET_TURNS = 3;
/** Steps and turns at one instant after which a network goes round in circles. */
const MOST_STEPS = 100_000;
/** Jumps after which the event loop turns although no application ran: others wait for it. */
const JUMPS_PER_TURN = 256;

/** Something that somebody waits for. Times in µs. */
interface Goal {
  /** When time has to stop for it; Infinity: it does not. */
  readonly at: number;
  /** When it is given up. */
  readonly limit: number;
  readonly name: string;
  reached(): boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export interface DriverOptions {
  readonly runner: InlineRunner;
  readonly timers: AppTimers | undefined;
  readonly platform: Platform;
}

export class Driver {
  readonly #runner: InlineRunner;
  readonly #timers: AppTimers | undefined;
  readonly #platform: Platform;
  readonly #goals = new Set<Goal>();
  #running = false;
  /** An application may have something to do that the event loop has yet to bring. */
  #active = true;
  /** Promises of the outside that time waits for. */
  #held = 0;
  #steps = 0;
  #stepsNow = 0;
  #jumps = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor({ runner, timers, platform }: DriverOptions) {
    this.#runner = runner;
    this.#timers = timers;
    this.#platform = platform;
  }

  /** Steps of all hosts so far, and jumps of time. */
  get steps(): number {
    return this.#steps;
  }

  get jumps(): number {
    return this.#jumps;
  }

  /** An application has its turn. */
  touch(): void {
    this.#active = true;
  }

  /** Lets time pass until `promise` is settled, and hands on its outcome. */
  async until<T>(promise: PromiseLike<T>, limit: number): Promise<T> {
    let settled = false;
    const settle = (): void => void (settled = true);
    promise.then(settle, settle);
    await this.#reach("the promise", Infinity, limit, () => settled);
    return promise;
  }

  /** Lets time pass until a condition holds, which is asked whenever the network is quiet. */
  untilTrue(condition: () => boolean, limit: number): Promise<void> {
    return this.#reach("the condition", Infinity, limit, condition);
  }

  /** Lets time pass until `instant`, µs, with all that happens until then and at that time. */
  untilTime(instant: number): Promise<void> {
    const { now } = this.#runner;
    const passed = (): boolean => this.#runner.now >= instant && !this.#timersDue();
    return this.#reach("the time", Math.max(instant, now), Infinity, passed);
  }

  /** Time stands still until `promise` is settled, whose outcome comes from outside the network. */
  async hold<T>(promise: PromiseLike<T>): Promise<T> {
    this.#held++;
    try {
      return await promise;
    } finally {
      this.#held--;
      this.#active = true;
    }
  }

  /** Gives up: whoever waits is told so. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#active = true;
  }

  // -------------------------------------------------------------------------------------------

  #reach(name: string, at: number, patience: number, reached: () => boolean): Promise<void> {
    const limit = this.#runner.now + patience;
    return new Promise((resolve, reject) => {
      this.#goals.add({ name, at, limit, reached, resolve, reject });
      this.#active = true;
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    const unwatch = this.#platform.watch?.((error) => this.fail(error));
    try {
      while (this.#goals.size > 0) {
        await this.#settle();
        if (this.#failure !== undefined) throw this.#failure.error;
        if (!this.#finishGoals() && this.#goals.size > 0) await this.#jump();
      }
    } catch (error) {
      this.#giveUp(error);
    } finally {
      this.#running = false;
      unwatch?.();
    }
  }

  #giveUp(error: unknown): void {
    this.#failure = undefined;
    for (const goal of this.#goals) goal.reject(error);
    this.#goals.clear();
  }

  /** Runs what there is to do at this instant, in the network and in the applications. */
  async #settle(): Promise<void> {
    let worked = this.#work();
    for (let quiet = 0; this.#active && quiet < QUIET_TURNS; quiet = worked ? 0 : quiet + 1) {
      await this.#platform.turn();
      if (this.#failure !== undefined) return;
      worked = this.#work() || this.#held > 0;
    }
    this.#active = false;
  }

  /** Steps the hosts until they are quiet; whether they had anything to do. */
  #work(): boolean {
    let worked = false;
    while (this.#step() !== 0) worked = true;
    return worked;
  }

  #step(): number {
    this.#steps++;
    if (++this.#stepsNow > MOST_STEPS && this.#held === 0) {
      throw new LivelockError(
        `still busy after ${MOST_STEPS} steps at ${this.#runner.now} µs; ` +
          "time passes only where links have a delay or a rate",
      );
    }
    return this.#runner.step();
  }

  /** Lets those go on whose goals are reached, or out of reach. False when there are none. */
  #finishGoals(): boolean {
    let finished = false;
    for (const goal of this.#goals) {
      const reached = goal.reached();
      if (!reached && this.#runner.now < goal.limit) continue;
      this.#goals.delete(goal);
      if (reached) goal.resolve();
      else goal.reject(SimulationError.late(goal.name, this.#runner.now));
      finished = true;
    }
    if (finished) this.#active = true;
    return finished;
  }

  async #jump(): Promise<void> {
    const { now } = this.#runner;
    const next = this.#nextDeadline();
    if (next === Infinity) {
      const names = Array.from(this.#goals, ({ name }) => name);
      throw SimulationError.stuck(names, now);
    }
    this.#runner.advanceTo(next);
    if (next > now) this.#stepsNow = 0;
    if (this.#timers?.advanceTo(this.#runner.now)) this.#active = true;
    if (++this.#jumps % JUMPS_PER_TURN === 0) await this.#platform.turn();
  }

  #nextDeadline(): number {
    const { now } = this.#runner;
    const network = this.#runner.nextDeadline();
    // A deadline of the network that has come and changed nothing must not hold up time.
    let next = network > now ? network : now + 1;
    next = Math.min(next, this.#timers?.nextDeadline() ?? Infinity);
    let limit = Infinity;
    for (const goal of this.#goals) {
      next = Math.min(next, goal.at);
      limit = Math.min(limit, goal.limit);
    }
    // A limit alone is nothing to wait for.
    return next === Infinity ? Infinity : Math.min(next, limit);
  }

  #timersDue(): boolean {
    return this.#timers !== undefined && this.#timers.nextDeadline() <= this.#runner.now;
  }
}
