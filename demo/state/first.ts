/** The run that the page begins with: enough packets to see batches, slow enough to follow one. */
import { DEFAULT_SCENARIO, type Pace, type Scenario } from "../engine/messages.ts";

export const FIRST_SCENARIO: Scenario = {
  ...DEFAULT_SCENARIO,
  load: 1_000_000,
  connections: 64,
};

export const FIRST_PACE: Pace = 20;
