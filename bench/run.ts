/** Running experiments: one, those of the tour, or all of them, one after the other. */
import { Option, type Command } from "commander";
import path from "node:path";
import process from "node:process";
import type { Experiment, Extent } from "./lib/experiment.ts";
import { describeMachine } from "./lib/machine.ts";
import { hottest, profilesIn, writeProfiles } from "./lib/profile.ts";
import { Reporter } from "./lib/reporter.ts";
import { counted } from "./lib/text.ts";

/** Functions that a profile names. */
const HOTTEST = 15;

export const RESULTS = "bench/results";

/** Options that every experiment has. */
export interface RunOptions {
  readonly results: string;
  readonly profile: boolean;
}

export function addRunOptions(command: Command, results = RESULTS): Command {
  return command
    .option("--results <dir>", "where the lines of results go", results)
    .addOption(
      new Option("--profile", "also say where the time goes; slows what is measured").default(
        false,
      ),
    );
}

/** Runs one experiment with the options of its parsed command; returns what went wrong. */
export async function runExperiment(
  experiment: Experiment,
  command: Command,
  options: RunOptions,
  extent: Extent = "full",
  label = experiment.name,
): Promise<readonly string[]> {
  const { name, figure } = experiment;
  const { results, profile } = options;
  const seed = (command.opts() as { seed?: number }).seed;
  const reporter = new Reporter({ experiment: name, figure, results, seed, label, profile });
  const profiles = path.join(results, "profiles");
  const before = new Set(profilesIn(profiles));
  if (profile) writeProfiles(profiles);
  try {
    await experiment.run(command, reporter, extent);
  } catch (error) {
    reporter.failed(name, error instanceof Error ? error.message : String(error));
  } finally {
    reporter.finish();
  }
  if (profile)
    noteHottest(
      reporter,
      profiles,
      profilesIn(profiles).filter((file) => !before.has(file)),
    );
  return reporter.failures;
}

/** Says where the time of the processes went that have just left these profiles. */
function noteHottest(reporter: Reporter, directory: string, files: readonly string[]): void {
  const rows = hottest(files, HOTTEST).map(({ name, share }) => [
    name,
    `${(100 * share).toFixed(1)} %`,
  ]);
  reporter.table(["self time of ixwasm's processes", "share"], rows);
  reporter.note(`${counted(files.length, "CPU profile")} in ${directory}`);
}

/** Runs several with bounded options; one that fails does not keep the others from running. */
export async function runSeveral(
  experiments: readonly Experiment[],
  options: RunOptions,
  extent: "bounded" | "tour",
): Promise<void> {
  const begin = performance.now();
  console.log(describeMachine());
  const failures: string[] = [];
  for (const [index, experiment] of experiments.entries()) {
    const label = `${index + 1}/${experiments.length} ${experiment.name}`;
    const figure = experiment.figure === undefined ? "" : ` (${experiment.figure})`;
    console.log(`\n${label}${figure}: ${experiment.description}`);
    const wrong = await runExperiment(experiment, experiment.command(), options, extent, label);
    failures.push(...wrong.map((failure) => `${experiment.name}: ${failure}`));
  }
  const minutes = (performance.now() - begin) / 60_000;
  const count = counted(experiments.length, "experiment");
  console.log(`\n${count} in ${minutes.toFixed(1)} minutes; results in ${options.results}`);
  for (const failure of failures) console.error(`failed: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}
