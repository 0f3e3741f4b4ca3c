/**
 * Cores by queuing delay, at the scale of microseconds, in the manner of Shenango (NSDI 2019) and
 * Caladan (OSDI 2020): packets that have waited too long are congestion, whatever the utilisation. Where
 * those add a core every few microseconds until the congestion is over, a dataplane's cores come with
 * flow groups that must be moved to them; so this policy estimates how many are missing and asks for
 * them all at once. Cores are given back one decision after a time without congestion.
 */
import type { Observation, Policy } from "./policy.ts";

/** Times in µs. */
export interface DelayOptions {
  readonly min?: number;
  readonly max: number;
  /** How often packets are looked at. Default 100. */
  readonly period?: number;
  /** Packets that have waited for longer are congestion. Default 100. */
  readonly congested?: number;
  /**
   * How long cores that should be enough may be congested before there is one more. Default 1000.
   */
  readonly patience?: number;
  /** Share of its time that a core should be busy at most. Default 0.8. */
  readonly utilisation?: number;
  /** How long fewer cores must have been enough before they are given back. Default 20 000. */
  readonly hold?: number;
}

export interface DelayState {
  readonly cores: number;
  /** The longest wait at the last observation, and since when packets have waited too long, µs. */
  readonly waited: number;
  readonly congestedSince: number;
  /** Busy time and packets processed, of which old ones count less and less: what a packet costs. */
  readonly busy: number;
  readonly processed: number;
  /** Cores' worth of packets that arrive, over the last few observations. */
  readonly load: number;
  /** Since when fewer cores would have done, and the most that would have been needed since. */
  readonly calmSince: number;
  readonly peak: number;
}

type Rule = Required<DelayOptions>;

/** How much of busy time and packets an observation leaves; and of the load. */
const COST_MEMORY = 15 / 16;
const LOAD_MEMORY = 7 / 8;

/** How far a number of arrivals lies from its mean at most, usually, in standard deviations. */
const DEVIATIONS = 1.5;

/** A policy that begins with `first` cores (default `min`). */
export function delayPolicy(options: DelayOptions, first = options.min ?? 1): Policy<DelayState> {
  const { max, min = 1, period = 100, congested = 100, patience = 1000 } = options;
  const { utilisation = 0.8, hold = 20_000 } = options;
  if (!(min >= 1 && min <= max)) throw new RangeError(`min: ${min} is not in 1…${max}`);
  const rule = { max, min, period, congested, patience, utilisation, hold };
  const nothing = {
    waited: 0,
    congestedSince: Infinity,
    busy: 0,
    processed: 0,
    load: 0,
    calmSince: Infinity,
    peak: 0,
  };
  return {
    name: "queuing delay",
    period,
    initial: { cores: clamp(first, rule), ...nothing },
    decide: (state, observation) => decideByDelay(rule, state, observation),
    demand: ({ cores }) => ({ cores }),
  };
}

/** The state after an observation. */
export function decideByDelay(
  rule: Rule,
  before: DelayState,
  observation: Observation,
): DelayState {
  const { interval, arrived, cores } = observation;
  const waited = Math.max(0, ...cores.map((core) => Math.max(core.waited, core.delayNow)));
  const busy = before.busy * COST_MEMORY + observation.busy;
  const processed = before.processed * COST_MEMORY + observation.processed;
  // Cores' worth of a packet that arrived; unknown while none was ever processed.
  const worth = processed > 0 && interval > 0 ? busy / processed / interval : 0;
  const load = before.load + (arrived * worth - before.load) * (1 - LOAD_MEMORY);
  // What has just arrived may be many by chance: by so much less they are surely many.
  const fresh = (arrived - DEVIATIONS * Math.sqrt(arrived)) * worth;
  const isCongested = waited > rule.congested;
  const congestedSince = isCongested ? Math.min(before.congestedSince, observation.now) : Infinity;
  const state = { ...before, waited, congestedSince, busy, processed, load };
  // What waits less than before is being worked off already.
  if (isCongested && waited >= before.waited) return grow(rule, state, fresh, observation.now);
  return shrink(rule, state, observation.now);
}

/**
 * As many cores as what arrives needs, but no more than eight times as many. Where that many are there,
 * the wait may be chance: only when it lasts there is one more.
 */
function grow(rule: Rule, state: DelayState, fresh: number, now: number): DelayState {
  const needed = Math.ceil(Math.max(fresh, state.load) / rule.utilisation);
  const lasts = now - state.congestedSince >= rule.patience;
  if (needed <= state.cores && !lasts) return { ...state, calmSince: Infinity, peak: 0 };
  const wanted = Math.min(Math.max(needed, state.cores + 1), state.cores * MOST);
  return {
    ...state,
    cores: clamp(wanted, rule),
    congestedSince: Infinity,
    calmSince: Infinity,
    peak: 0,
  };
}

/** Fewer cores when fewer would have done for the whole of `hold`. */
function shrink(rule: Rule, state: DelayState, now: number): DelayState {
  const needed = clamp(Math.ceil(state.load / rule.utilisation), rule);
  if (needed >= state.cores || state.waited > rule.congested) {
    return { ...state, calmSince: Infinity, peak: 0 };
  }
  const peak = Math.max(state.peak, needed);
  const calmSince = Math.min(state.calmSince, now);
  if (now - calmSince < rule.hold) return { ...state, calmSince, peak };
  return { ...state, cores: peak, calmSince: Infinity, peak: 0 };
}

/** Most that the cores may be multiplied by in one decision. */
const MOST = 8;

function clamp(cores: number, { min, max }: Rule): number {
  return Math.min(Math.max(cores, min), max);
}
