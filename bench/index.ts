/** `npm run bench`: the experiments. Without a name it is a tour of them in under three minutes. */
import { Command } from "commander";
import os from "node:os";
import process from "node:process";
import { compareCommand } from "./compare/command.ts";
import { EXPERIMENTS } from "./experiments.ts";
import { describeMachine } from "./lib/machine.ts";
import { reportCommand, writeReport } from "./report/command.ts";
import { addRunOptions, RESULTS, runExperiment, runSeveral } from "./run.ts";
import type { RunOptions } from "./run.ts";

const program = new Command("bench")
  .description("Measures ixwasm, and what it is compared with, on this machine.")
  .usage("[experiment] [options]")
  .showHelpAfterError("Add --help for the options and examples.");

for (const experiment of EXPERIMENTS) {
  const command = addRunOptions(experiment.command()).action(async (options: RunOptions) => {
    console.log(describeMachine());
    const failures = await runExperiment(experiment, command, options);
    if (failures.length > 0) process.exitCode = 1;
  });
  add(command);
}
add(
  addRunOptions(new Command("tour"), `${RESULTS}/tour`)
    .description("the most telling of them, in under three minutes (what runs without a name)")
    .action((options: RunOptions) =>
      runSeveral(
        EXPERIMENTS.filter(({ inTour }) => inTour),
        options,
        "tour",
      ),
    ),
  true,
);
add(
  addRunOptions(new Command("all"))
    .description("every experiment with bounded settings, and then the report")
    .action(async (options: RunOptions) => {
      await runSeveral(EXPERIMENTS, options, "bounded");
      writeReport(EXPERIMENTS, options.results);
    }),
);
add(reportCommand(EXPERIMENTS));
add(compareCommand());

function add(command: Command, isDefault = false): void {
  command.copyInheritedSettings(program);
  program.addCommand(command, { isDefault });
}

// What is no experiment would be an argument of the default one.
const names = [...program.commands.map((command) => command.name()), "help"];
const given = process.argv[2];
if (given !== undefined && !given.startsWith("-") && !names.includes(given)) {
  program.error(`error: there is no experiment "${given}", only ${names.join(", ")}`);
}

// Not the signals' own way: what is to be done at the exit is done.
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => process.exit(128 + os.constants.signals[signal]));
}
program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
