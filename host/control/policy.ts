/**
 * What a policy is: a pure function of what was measured and of its own state, asked every so often. It
 * names what the dataplane should have; who gives it that is the controller's matter.
 */
import type { CoreMetrics } from "./metrics.ts";

/** What a policy sees. Times in µs. */
export interface Observation {
  readonly now: number;
  /** Of the cores that are active. */
  readonly cores: readonly CoreMetrics[];
  /** Time since the last observation, 0 at the first one; and how long those cores worked, summed. */
  readonly interval: number;
  readonly busy: number;
  /** Packets that came to those cores since the last observation, and packets that were processed. */
  readonly arrived: number;
  readonly processed: number;
}

/** What a dataplane should have. */
export interface Demand {
  readonly cores: number;
  /** Where the machine can choose: GHz, and whether both threads of each core are used. */
  readonly frequency?: number;
  readonly hyperthreads?: boolean;
}

export interface Policy<State = unknown> {
  readonly name: string;
  /** How often it wants to be asked, µs. */
  readonly period: number;
  readonly initial: State;
  /** The state after an observation. */
  decide(state: State, observation: Observation): State;
  /** What the state asks for. */
  demand(state: State): Demand;
}
