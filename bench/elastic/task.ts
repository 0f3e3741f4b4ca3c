/** One run of the elastic experiment, in a process of its own. */
import { serveTask } from "../lib/task.ts";
import { reactionTime, scenarioOf, type ScenarioOptions } from "./policies.ts";
import { runScenario, type ScenarioResult } from "./scenario.ts";

export interface ElasticTask {
  readonly options: ScenarioOptions;
  readonly policy: string;
  readonly pattern: string;
}

export interface ElasticOutcome {
  /** The policy's full name. */
  readonly name: string;
  readonly result: ScenarioResult;
  /** Until there was room for the load's step, µs; without a step, or when there never was: none. */
  readonly reaction?: number;
}

serveTask(async ({ options, policy, pattern }: ElasticTask): Promise<ElasticOutcome> => {
  const scenario = scenarioOf(options, policy, pattern);
  const result = await runScenario(scenario);
  return { name: scenario.policy.name, result, reaction: reactionTime(scenario, result) };
});
