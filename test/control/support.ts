/** Observations for policies, as a test wants them. */
import type { CoreMetrics } from "../../host/control/metrics.ts";
import type { Observation, Policy } from "../../host/control/policy.ts";

/** What a core with these figures says; the averages are all alike. */
export interface CoreFigures {
  readonly queue?: number;
  readonly idle?: number;
  readonly waited?: number;
  readonly delayNow?: number;
}

export function coreMetrics(figures: CoreFigures = {}): CoreMetrics {
  const { queue = 0, idle = 0, waited = 0, delayNow = 0 } = figures;
  const average = (value: number) => ({ fast: value, medium: value, slow: value });
  return {
    queueDelay: average(delayNow),
    batch: average(1),
    queueSize: average(queue),
    loop: average(1),
    idle: average(idle),
    delayNow,
    queueNow: queue,
    waiting: queue,
    waited,
    packets: 0,
    lastPoll: 0,
    busyTime: 0,
    idleTime: 0,
  };
}

export function observation(now: number, changes: Partial<Observation> = {}): Observation {
  const cores = [coreMetrics()];
  return { now, cores, interval: 0, busy: 0, arrived: 0, processed: 0, ...changes };
}

/** When a policy changed what it asks for, µs, and to how many cores. */
export interface Change {
  readonly at: number;
  readonly cores: number;
}

/**
 * Runs a policy for `micros` against a load in cores' worth, as an ideal dataplane would answer: too few
 * cores queue what they cannot do, and have what is left of their time idle.
 */
export function runPolicy<State>(
  policy: Policy<State>,
  load: (now: number) => number,
  micros: number,
): Change[] {
  /** Packets that a core does in a second. */
  const RATE = 100_000;
  const changes: Change[] = [];
  let state = policy.initial;
  let cores = policy.demand(state).cores;
  let backlog = 0;
  for (let now = policy.period; now <= micros; now += policy.period) {
    const interval = policy.period;
    const arrived = (load(now) * RATE * interval) / 1e6;
    const taken = Math.min(backlog + arrived, (cores * RATE * interval) / 1e6);
    backlog += arrived - taken;
    const busy = (taken / RATE) * 1e6;
    const waited = (backlog / (cores * RATE)) * 1e6;
    const idle = 1 - busy / (cores * interval);
    const one = coreMetrics({ queue: backlog / cores, idle, waited });
    const observed = { now, interval, busy, arrived, processed: taken };
    state = policy.decide(state, { ...observed, cores: Array.from({ length: cores }, () => one) });
    const demand = policy.demand(state).cores;
    if (demand !== cores) changes.push({ at: now, cores: demand });
    cores = demand;
  }
  return changes;
}
