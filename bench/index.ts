/** `npm run bench`: the experiments. Without a name it is the echo experiment. */
import { Command } from "commander";
import process from "node:process";
import { bulkCommand } from "./bulk/command.ts";
import { connectionsCommand } from "./connections/command.ts";
import { echoCommand } from "./echo/command.ts";
import { soakCommand } from "./soak/command.ts";

const program = new Command("bench")
  .description("Measures ixwasm, and what it is compared with, on this machine.")
  .usage("[experiment] [options]")
  .addCommand(echoCommand(), { isDefault: true })
  .addCommand(bulkCommand())
  .addCommand(connectionsCommand())
  .addCommand(soakCommand())
  .showHelpAfterError("Add --help for the options and examples.");

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
