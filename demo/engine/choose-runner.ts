/** Which runner a scenario gets: by its pace, and by what the page may do. */
import { FullRunner } from "./full.ts";
import type { Runner, RunnerOptions } from "./runner.ts";
import { SlicesPlant } from "./slices-plant.ts";
import { SlowRunner } from "./slow.ts";
import { ThreadsPlant } from "./threads/threads-plant.ts";

export function chooseRunner(options: RunnerOptions): Runner {
  if (options.pace !== "full") return new SlowRunner(options);
  // Only an isolated page may share memory with its workers.
  const isIsolated = globalThis.crossOriginIsolated === true;
  return new FullRunner(options, (plant) =>
    isIsolated ? new ThreadsPlant(plant) : new SlicesPlant(plant),
  );
}
