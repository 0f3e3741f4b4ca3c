/** The run that the page begins with: enough packets to see batches, slow enough to follow one. */
import { DEFAULT_SCENARIO, type Pace, type Scenario } from "../engine/messages.ts";

export const FIRST_SCENARIO: Scenario = { ...DEFAULT_SCENARIO, load: 300_000 };

export const FIRST_PACE: Pace = 50;
