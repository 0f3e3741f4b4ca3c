/**
 * Closes the loop for one dataplane: observes its cores, asks a policy, and has the core manager carry
 * out what it says. It does one thing at a time: while cores come or go, or flow groups move, nothing
 * is decided, and the next observation covers all of that time.
 */
import { FLOW_GROUPS } from "../../assembly/abi.ts";
import type { CoreManager } from "../dataplane/core-manager.ts";
import type { Dataplane } from "../dataplane/dataplane.ts";
import { MetricsReader } from "./metrics.ts";
import type { Demand, Observation, Policy } from "./policy.ts";
import { rebalance, type RebalanceOptions } from "./rebalance.ts";

export interface ControllerOptions<State> {
  readonly dataplane: Dataplane;
  readonly manager: CoreManager;
  readonly policy: Policy<State>;
  /** Sets frequency and hyperthreads, where the machine has such a thing. */
  readonly setSpeed?: (demand: Demand) => void;
  /** Evens out the load of the cores as well, every `period` µs (default 100 000). */
  readonly rebalance?: RebalanceOptions & { readonly period?: number };
  /** Hears of every change that has been carried out, with the time it was decided. */
  readonly onChange?: (demand: Demand, decided: number) => void;
  /** Hears of changes that failed; they are tried again after a second. */
  readonly onError?: (error: unknown) => void;
}

/** How long after a failed change nothing is tried, µs. */
const RETRY = 1_000_000;
const REBALANCE_PERIOD = 100_000;

/** What was known of a core at the last observation. */
interface Before {
  readonly busyTime: number;
  readonly packets: number;
  readonly waiting: number;
}

export class Controller<State = unknown> {
  readonly #options: ControllerOptions<State>;
  readonly #metrics: MetricsReader;
  #state: State;
  #observed = -Infinity;
  #before: readonly Before[] = [];
  #processed = 0;
  /** What `setSpeed` was told last. */
  #speed: Pick<Demand, "frequency" | "hyperthreads"> = {};
  #rebalanced = -Infinity;
  #packets = new Float64Array(FLOW_GROUPS);
  #retryAt = -Infinity;
  #changing: Promise<void> | null = null;

  constructor(options: ControllerOptions<State>) {
    this.#options = options;
    this.#metrics = new MetricsReader(options.dataplane);
    this.#state = options.policy.initial;
  }

  /** How often `tick` wants to be called, µs. */
  get period(): number {
    return this.#options.policy.period;
  }

  /** Fulfilled when the change under way, if there is one, is over; never rejected. */
  get settled(): Promise<void> {
    return this.#changing ?? Promise.resolve();
  }

  /** True while a change is under way. */
  get isChanging(): boolean {
    return this.#changing !== null;
  }

  /** Cores that are active. */
  get active(): number[] {
    const { cores } = this.#options.manager;
    return cores.map((_, core) => core).filter((core) => cores[core] === "active");
  }

  /** Observes and decides at `now` (µs), and begins what follows. */
  tick(now: number): void {
    if (this.#changing || now < this.#retryAt) return;
    const before = this.#state;
    const demand = this.decide(now);
    if (this.#isMet(demand)) this.#rebalance(now);
    else this.#begin(now, before, () => this.#apply(demand, now));
  }

  /** Observes at `now` (µs); returns what the policy asks for, which `apply` would carry out. */
  decide(now: number): Demand {
    const { policy } = this.#options;
    this.#state = policy.decide(this.#state, this.#observe(now));
    return policy.demand(this.#state);
  }

  /** Has a demand met, which may be less than what the policy asked for. Never rejected. */
  apply(demand: Demand, now: number): Promise<void> {
    if (!this.#changing && !this.#isMet(demand)) {
      this.#begin(now, this.#state, () => this.#apply(demand, now));
    }
    return this.settled;
  }

  #observe(now: number): Observation {
    const { manager } = this.#options;
    const readings = manager.cores.map((_, core) => this.#metrics.read(core, now));
    const active = this.active;
    const cores = active.map((core) => readings[core]);
    const interval = this.#observed === -Infinity ? 0 : now - this.#observed;
    const processed = this.#metrics.processed();
    const seen = { interval, busy: 0, arrived: 0, processed: processed - this.#processed };
    for (const core of this.#before.length > 0 ? active : []) {
      const { busyTime, packets, waiting } = readings[core];
      const before = this.#before[core];
      seen.busy += busyTime - before.busyTime;
      seen.arrived += Math.max(packets - before.packets + waiting - before.waiting, 0);
    }
    this.#processed = processed;
    this.#observed = now;
    this.#before = readings.map(({ busyTime, packets, waiting }) => ({
      busyTime,
      packets,
      waiting,
    }));
    return { now, cores, ...seen };
  }

  #isMet(demand: Demand): boolean {
    return demand.cores === this.active.length && !this.#speedDiffers(demand);
  }

  #speedDiffers({ frequency, hyperthreads }: Demand): boolean {
    if (!this.#options.setSpeed) return false;
    return frequency !== this.#speed.frequency || hyperthreads !== this.#speed.hyperthreads;
  }

  async #apply(demand: Demand, decided: number): Promise<void> {
    const { manager, setSpeed, onChange } = this.#options;
    if (this.#speedDiffers(demand)) {
      setSpeed!(demand);
      this.#speed = demand;
    }
    // A core can give its flow groups to one other at a time, so the cores double: then all that are
    // there give half of theirs, side by side, and soon have less to do.
    while (this.active.length * 2 < demand.cores) await manager.setActive(this.active.length * 2);
    if (demand.cores !== this.active.length) await manager.setActive(demand.cores);
    onChange?.(demand, decided);
  }

  /** Moves flow groups by their load, when it is time to. */
  #rebalance(now: number): void {
    const options = this.#options.rebalance;
    if (!options || now - this.#rebalanced < (options.period ?? REBALANCE_PERIOD)) return;
    const packets = this.#metrics.groupPackets(new Float64Array(FLOW_GROUPS));
    const loads = packets.map((count, group) => count - this.#packets[group]);
    const isFirst = this.#rebalanced === -Infinity;
    this.#packets = packets;
    this.#rebalanced = now;
    if (isFirst) return;
    const { manager } = this.#options;
    const targets = new Map<number, number[]>();
    for (const { group, to } of rebalance(loads, manager.owners(), this.active, options)) {
      targets.set(to, [...(targets.get(to) ?? []), group]);
    }
    if (targets.size === 0) return;
    this.#begin(now, this.#state, async () => {
      await Promise.all([...targets].map(([to, groups]) => manager.migrate(groups, to)));
    });
  }

  /** Begins a change. When it fails the policy is back in the state `before`. */
  #begin(now: number, before: State, change: () => Promise<void>): void {
    const ended = (): void => {
      this.#changing = null;
    };
    this.#changing = change().then(ended, (error: unknown) => {
      this.#state = before;
      this.#retryAt = now + RETRY;
      ended();
      this.#options.onError?.(error);
    });
  }
}
