#!/usr/bin/env node
/** `npx ixwasm`: runs dataplanes, looks at them and directs them. */
import { Command, CommanderError } from "commander";
import { readFileSync } from "node:fs";
import { packageFile } from "../kernel.ts";
import { captureCommand } from "./commands/capture.ts";
import { coresCommand } from "./commands/cores.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { policyCommand } from "./commands/policy.ts";
import { runCommand } from "./commands/run.ts";
import { statsCommand } from "./commands/stats.ts";
import { topCommand } from "./commands/top.ts";
import { OutputClosed } from "./output.ts";
import { describeError, EXIT_USAGE, exitCodeOf } from "./errors.ts";

const EXAMPLES = `
A tour, in two terminals:
  ixwasm run                     an echo server, with load on it
  ixwasm top                     what its cores do
  ixwasm stats                   what was counted so far
  ixwasm capture run.pcapng --seconds 1
  ixwasm policy delay            cores as load comes and goes
Each command has --help with more of them. Exit codes: 0 done, 1 it failed, 2 it was asked wrongly.
`;

const { version } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as {
  version: string;
};

function program(): Command {
  const root = new Command("ixwasm")
    .description("A TCP/IP dataplane for JavaScript: runs applications on it and looks inside.")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(ixwasm --help, or --help behind a command, tells more)")
    .addHelpText("after", EXAMPLES);
  const commands = [
    runCommand(version),
    topCommand(),
    statsCommand(),
    captureCommand(),
    coresCommand(),
    migrateCommand(),
    policyCommand(),
  ];
  for (const command of commands) root.addCommand(command.copyInheritedSettings(root));
  return root;
}

/** The exit code for what a command threw; messages of the parser's have been printed by it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof OutputClosed) return 0;
  process.stderr.write(`error: ${describeError(error)}\n`);
  return exitCodeOf(error);
}

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
