/** `npm run bench`: the experiments. Without a name it is the echo experiment. */
import { Command } from "commander";
import process from "node:process";
import { bulkCommand } from "./bulk/command.ts";
import { connectionsCommand } from "./connections/command.ts";
import { coresCommand } from "./cores/command.ts";
import { elasticCommand } from "./elastic/command.ts";
import { echoCommand } from "./echo/command.ts";
import { floodCommand } from "./flood/command.ts";
import { fairnessCommand } from "./flows/fairness.ts";
import { gridCommand } from "./flows/grid.ts";
import { migrationCommand } from "./migration/command.ts";
import { soakCommand } from "./soak/command.ts";

const experiments = [
  echoCommand(),
  bulkCommand(),
  gridCommand(),
  fairnessCommand(),
  connectionsCommand(),
  soakCommand(),
  coresCommand(),
  elasticCommand(),
  migrationCommand(),
  floodCommand(),
];
const names = [...experiments.map((experiment) => experiment.name()), "help"];

const program = new Command("bench")
  .description("Measures ixwasm, and what it is compared with, on this machine.")
  .usage("[experiment] [options]")
  .showHelpAfterError("Add --help for the options and examples.");
for (const experiment of experiments) {
  experiment.copyInheritedSettings(program);
  program.addCommand(experiment, { isDefault: experiment.name() === "echo" });
}

// What is no experiment would be an argument of the default one.
const given = process.argv[2];
if (given !== undefined && !given.startsWith("-") && !names.includes(given)) {
  program.error(`error: there is no experiment "${given}", only ${names.join(", ")}`);
}

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
