/**
 * IX's rule for going from step to step (ixcp): up as soon as packets queue, down when they do not and
 * enough has been idle, and neither too soon after the last change.
 */
import type { Observation, Policy } from "./policy.ts";
import type { Step } from "./steps.ts";

/** The published constants. Times in µs. */
export const IX_STEP_RULE = {
  /** How often the rule is applied. */
  period: 100_000,
  /** Up: some core's fast queue size is above this … */
  upQueue: 32,
  /** … and so long after the last step up, and the last step down. */
  upAfterUp: 200_000,
  upAfterDown: 2_000_000,
  /** Down: the mean slow queue size is below this, and the mean fast idle share above the threshold … */
  downQueue: 8,
  /** … and so long after any step. */
  downAfter: 4_000_000,
} as const;

export interface StepState {
  /** Index of the step. */
  readonly step: number;
  /** When the last step up, and down, was made, µs. */
  readonly lastUp: number;
  readonly lastDown: number;
}

/** A policy that goes through `steps`, beginning at step `first`. */
export function stepPolicy(name: string, steps: readonly Step[], first = 0): Policy<StepState> {
  if (!steps[first]) throw new RangeError(`first: there is no step ${first} of ${steps.length}`);
  return {
    name,
    period: IX_STEP_RULE.period,
    initial: { step: first, lastUp: -Infinity, lastDown: -Infinity },
    decide: (state, observation) => decideStep(steps, state, observation),
    demand: ({ step }) => {
      const { cores, frequency, hyperthreads } = steps[step];
      return { cores, frequency, hyperthreads };
    },
  };
}

/** Index of the first step with so many cores, where a policy begins that finds them running; else 0. */
export function firstStep(steps: readonly Step[], cores: number): number {
  return Math.max(
    steps.findIndex((step) => step.cores >= cores),
    0,
  );
}

/** The state after an observation. */
export function decideStep(
  steps: readonly Step[],
  state: StepState,
  { now, cores }: Observation,
): StepState {
  const { step, lastUp, lastDown } = state;
  const rule = IX_STEP_RULE;
  const sinceUp = now - lastUp;
  const sinceDown = now - lastDown;
  const longest = Math.max(0, ...cores.map(({ queueSize }) => queueSize.fast));
  if (longest > rule.upQueue && step + 1 < steps.length) {
    if (sinceUp < rule.upAfterUp || sinceDown < rule.upAfterDown) return state;
    return { step: step + 1, lastUp: now, lastDown };
  }
  if (sinceUp < rule.downAfter || sinceDown < rule.downAfter) return state;
  const queued = mean(cores.map(({ queueSize }) => queueSize.slow));
  const idle = mean(cores.map((core) => core.idle.fast));
  if (queued >= rule.downQueue || idle <= steps[step].threshold) return state;
  return { step: step - 1, lastUp, lastDown: now };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
