/**
 * Elastic cores: which cores run, and which flow groups they own (IX: ixcp). Commands go to the cores
 * through words in memory (`CoreControl`), the cores carry them out between batches, and this object
 * looks at how far they are. It never waits: its operations are coroutines that whoever runs the cores
 * takes further by `advance`, in virtual time like any other part of the simulation.
 *
 *   setActive:  start the cores that are missing → migrate until all have equal shares → stop the others
 *   contain:    a core's thread is gone → this thread takes its place → migrate all it has → give it back
 */
import { FLOW_GROUPS, GROUP_OWNER, GROUP_SIZE, RC_NOBUFS, RC_OK } from "../../assembly/abi.ts";
import { balance, type Transfer } from "./balance.ts";
import { CoreControl } from "./core-control.ts";
import type { CoreManager, CoreState, MigrationResult } from "./core-manager.ts";
import type { Dataplane } from "./dataplane.ts";
import { StateError, SystemCallError } from "./errors.ts";
import { all, Tasks, type Steps } from "./tasks.ts";

/**
 * What is at a core: no thread; one that is being started; one that polls; one that ended on its own
 * account; this thread in the place of such a one; or an attempt to start one that failed.
 */
export type CoreStatus = "stopped" | "starting" | "running" | "gone" | "rescuing" | "failed";

/** Who runs the cores of a dataplane. Nothing here waits: `status` tells how far it is. */
export interface CoreHost {
  status(core: number): CoreStatus;
  /** Why the core "failed". */
  failure(core: number): unknown;
  /** Brings a thread, and the application, to a core that is "stopped" or "failed". */
  start(core: number): void;
  /** Asks a core's thread to leave; the core is "stopped" when it has. */
  stop(core: number): void;
  /** Ends a core's thread without asking; the core is "gone" then. */
  kill(core: number): void;
  /** Lets this thread poll a core that is "gone", without an application. */
  rescue(core: number): void;
  /** Ends that: the core is "stopped". */
  release(core: number): void;
  /** Operations are under way: `advance` is to be called until none is. */
  wake(): void;
}

/** How often a migration for which packet buffers were short is tried again. */
const ATTEMPTS = 1000;

export class Elasticity implements CoreManager {
  readonly #dataplane: Dataplane;
  readonly #host: CoreHost;
  readonly #controls: readonly CoreControl[];
  readonly #words: Int32Array;
  readonly #tasks = new Tasks();
  /** Cores that give groups away, one migration at a time. */
  readonly #sources = new Set<number>();
  /** How many migrations to each core are under way. */
  readonly #arrivals: number[];
  /** One operation at a time decides which cores run. */
  #reshaping = false;
  /** Something was done since the last `advance` that cores must have the chance to act on. */
  #progress = 0;

  constructor(dataplane: Dataplane, host: CoreHost) {
    this.#dataplane = dataplane;
    this.#host = host;
    const { memory, cores } = dataplane;
    this.#controls = cores.map(({ block }) => new CoreControl(memory, block));
    this.#arrivals = cores.map(() => 0);
    this.#words = new Int32Array(memory.buffer);
  }

  // -------------------------------------------------------------------------------------------
  // CoreManager

  get cores(): readonly CoreState[] {
    return this.#controls.map((_, core) => stateOf(this.#host.status(core)));
  }

  owners(): Uint8Array {
    const groups = this.#dataplane.map.groups.address;
    return Uint8Array.from({ length: FLOW_GROUPS }, (_, group) =>
      Atomics.load(this.#words, (groups + group * GROUP_SIZE + GROUP_OWNER) >>> 2),
    );
  }

  migrate(groups: Iterable<number>, to: number): Promise<readonly MigrationResult[]> {
    const wanted = [...new Set(groups)];
    for (const group of wanted) {
      if (!Number.isInteger(group) || group < 0 || group >= FLOW_GROUPS) {
        throw new RangeError(`ixwasm: group must be from 0 to ${FLOW_GROUPS - 1}, not ${group}`);
      }
    }
    this.#check(to);
    return this.#begin(this.#gather(wanted, to));
  }

  setActive(cores: number | readonly number[]): Promise<void> {
    const wanted = typeof cores === "number" ? Array.from({ length: cores }, (_, i) => i) : cores;
    if (wanted.length === 0) throw new RangeError("ixwasm: at least one core must remain active");
    for (const core of wanted) this.#check(core);
    return this.#begin(this.#reshape(() => [...new Set(wanted)]));
  }

  add(core: number): Promise<void> {
    this.#check(core);
    return this.#begin(this.#exclusively(() => this.#start(core)));
  }

  revoke(core: number): Promise<void> {
    this.#check(core);
    return this.#begin(this.#revoke(core));
  }

  // -------------------------------------------------------------------------------------------
  // For who runs the cores

  /** True while operations are under way. */
  get isBusy(): boolean {
    return this.#tasks.pending > 0;
  }

  /** Takes all operations further. Returns how much was done; 0: all of them wait for cores. */
  advance(): number {
    if (this.#tasks.pending === 0) return 0;
    const ended = this.#tasks.advance();
    const progress = this.#progress + ended;
    this.#progress = 0;
    return progress;
  }

  /**
   * Takes a core away at once, whatever its thread is doing, and shares its groups out to the others:
   * what is left when `revoke` has been asked in vain. Its connections go on there, without what its
   * application knew of them.
   */
  evict(core: number): Promise<readonly MigrationResult[]> {
    this.#check(core);
    if (this.#host.status(core) !== "running") throw this.#notRunning(core);
    this.#host.kill(core);
    return this.contain(core);
  }

  /** Shares out what a core owns whose thread is gone, or about to be, and gives the core back. */
  contain(core: number): Promise<readonly MigrationResult[]> {
    return this.#begin(this.#contain(core));
  }

  /** True when a running core other than this one could take over what it owns. */
  canContain(core: number): boolean {
    return this.#running().some((other) => other !== core);
  }

  /** The control plane's view of each core's control block. */
  control(core: number): CoreControl {
    return this.#controls[core];
  }

  // -------------------------------------------------------------------------------------------
  // Operations

  #begin<T>(steps: Steps<T>): Promise<T> {
    const promise = this.#tasks.start(steps);
    this.#progress++;
    this.#host.wake();
    return promise;
  }

  /** Makes these cores the running ones, with equal shares. `wanted` is asked when its turn comes. */
  #reshape(wanted: () => readonly number[]): Steps<void> {
    return this.#exclusively(function* (this: Elasticity) {
      const active = wanted();
      for (const core of active) yield* this.#start(core);
      yield* this.#share(() => active.filter((core) => this.#isRunning(core)));
      const others = this.#running().filter((core) => !active.includes(core));
      for (const core of others) this.#stop(core);
      while (others.some((core) => this.#isRunning(core))) yield;
    });
  }

  *#revoke(core: number): Steps<void> {
    yield* this.#exclusively(function* (this: Elasticity) {
      if (!this.#isRunning(core)) throw this.#notRunning(core);
      const others = (): number[] => this.#running().filter((other) => other !== core);
      if (others().length === 0) {
        throw new StateError(`core ${core} of ${this.#dataplane.name} is the last that is active`);
      }
      yield* this.#empty(core, others);
      this.#stop(core);
      while (this.#isRunning(core)) yield;
    });
  }

  *#contain(core: number): Steps<readonly MigrationResult[]> {
    const host = this.#host;
    while (host.status(core) === "running") yield;
    host.rescue(core);
    this.#progress++;
    while (host.status(core) === "starting") yield;
    if (host.status(core) !== "rescuing") throw host.failure(core);
    const results = yield* this.#empty(core, () => this.#running());
    host.release(core);
    this.#progress++;
    while (host.status(core) === "rescuing") yield;
    return results;
  }

  /** Moves all that a core has to others, in shares as equal as can be. */
  *#empty(core: number, others: () => number[]): Steps<MigrationResult[]> {
    const results: MigrationResult[] = [];
    // What is on its way to the core still has to come, and to go on.
    while (this.#owned(core) > 0 || this.#arrivals[core] > 0 || this.#sources.has(core)) {
      const targets = others();
      if (targets.length === 0) throw this.#nobodyLeft(core);
      const moves = balance(this.owners(), targets).filter(({ from }) => from === core);
      results.push(...(yield* this.#transferAll(moves)));
      if (moves.length === 0) yield;
    }
    return results;
  }

  /** Migrates until all groups are shared out equally to `active`, asked anew each time. */
  *#share(active: () => number[]): Steps<void> {
    for (;;) {
      const targets = active();
      if (targets.length === 0) throw new StateError("none of the cores is running");
      const moves = balance(this.owners(), targets);
      if (moves.length === 0) return;
      yield* this.#transferAll(moves);
    }
  }

  *#gather(groups: readonly number[], to: number): Steps<MigrationResult[]> {
    const results: MigrationResult[] = [];
    for (;;) {
      if (!this.#isRunning(to)) throw this.#notRunning(to);
      const owners = this.owners();
      const sources = new Map<number, number[]>();
      for (const group of groups) {
        const from = owners[group];
        if (from !== to) sources.set(from, [...(sources.get(from) ?? []), group]);
      }
      if (sources.size === 0) return results;
      const moves = [...sources].map(([from, own]) => ({ from, to, groups: own }));
      results.push(...(yield* this.#transferAll(moves)));
    }
  }

  /** Migrations side by side, as far as their sources differ. */
  *#transferAll(moves: readonly Transfer[]): Steps<MigrationResult[]> {
    const spawned = moves.map((move) => this.#tasks.spawn(this.#transfer(move)));
    const results = yield* all(spawned);
    return results.filter((result) => result !== undefined);
  }

  /** One migration; nothing when the source owns none of the groups any more. */
  *#transfer({ from, to, groups }: Transfer): Steps<MigrationResult | undefined> {
    while (this.#sources.has(from) || this.#controls[from].isMigrating) yield;
    this.#sources.add(from);
    this.#arrivals[to]++;
    try {
      for (let attempt = 1; ; attempt++) {
        const owners = this.owners();
        const own = groups.filter((group) => owners[group] === from);
        if (own.length === 0) return undefined;
        const { result, ...moved } = yield* this.#command(from, to, own);
        if (result === RC_OK) return { from, to, groups: own.length, ...moved };
        if (result !== RC_NOBUFS || attempt === ATTEMPTS) {
          throw new SystemCallError(`migrate from core ${from} to core ${to}`, result);
        }
      }
    } finally {
      this.#sources.delete(from);
      this.#arrivals[to]--;
    }
  }

  *#command(from: number, to: number, groups: readonly number[]) {
    this.#demandPolled(from);
    if (!this.#isRunning(to)) throw this.#notRunning(to);
    const control = this.#controls[from];
    const before = control.ended;
    control.migrate(groups, to);
    this.#progress++;
    while (control.ended === before || control.isMigrating) {
      yield;
      this.#demandPolled(from);
    }
    return control.outcome;
  }

  /** Starts a core unless it runs. */
  *#start(core: number): Steps<void> {
    const host = this.#host;
    while (host.status(core) === "gone" || host.status(core) === "rescuing") yield;
    if (this.#isRunning(core)) return;
    this.#controls[core].reset();
    host.start(core);
    this.#progress++;
    while (host.status(core) === "starting") yield;
    if (!this.#isRunning(core)) throw host.failure(core);
  }

  #stop(core: number): void {
    this.#host.stop(core);
    this.#progress++;
  }

  *#exclusively<T>(operation: (this: Elasticity) => Steps<T>): Steps<T> {
    while (this.#reshaping) yield;
    this.#reshaping = true;
    try {
      return yield* operation.call(this);
    } finally {
      this.#reshaping = false;
    }
  }

  // -------------------------------------------------------------------------------------------

  #owned(core: number): number {
    return this.owners().reduce((sum, owner) => sum + (owner === core ? 1 : 0), 0);
  }

  #isRunning(core: number): boolean {
    return this.#host.status(core) === "running";
  }

  #running(): number[] {
    return this.#controls.map((_, core) => core).filter((core) => this.#isRunning(core));
  }

  #check(core: number): void {
    if (!Number.isInteger(core) || core < 0 || core >= this.#controls.length) {
      const last = this.#controls.length - 1;
      throw new RangeError(`ixwasm: core must be from 0 to ${last}, not ${core}`);
    }
  }

  /** A core that nobody polls answers no command, unless somebody is about to take it over. */
  #demandPolled(core: number): void {
    const status = this.#host.status(core);
    if (status === "stopped" || status === "failed") throw this.#notRunning(core);
  }

  #notRunning(core: number): StateError {
    return new StateError(`core ${core} of ${this.#dataplane.name} is not active`);
  }

  #nobodyLeft(core: number): StateError {
    const { name } = this.#dataplane;
    return new StateError(`no core of ${name} is left to take over from core ${core}`);
  }
}

function stateOf(status: CoreStatus): CoreState {
  if (status === "running") return "active";
  return status === "gone" || status === "rescuing" ? "dead" : "idle";
}
