/** Which runner a scenario gets: by its pace, and by what the page may do. */
import { SlowRunner } from "./slow.ts";
import type { Runner, RunnerOptions } from "./runner.ts";

export function chooseRunner(options: RunnerOptions): Runner {
  return new SlowRunner(options);
}
