/** The options by which every command finds its run. */
import { Command } from "commander";
import { usageError } from "../errors.ts";
import { socketOf } from "../socket-path.ts";

export interface TargetOptions {
  readonly socket?: string;
  readonly name?: string;
}

/** A command that talks to a run. */
export function clientCommand(name: string, examples: string): Command {
  return new Command(name)
    .option("-s, --socket <path>", "control socket of the run (default: the only run there is)")
    .option("-n, --name <name>", "name of the run, instead of its socket")
    .addHelpText("after", `\nExamples:\n${examples}`);
}

/** Where the run is; undefined: whichever is the only one. */
export function targetOf({ socket, name }: TargetOptions): string | undefined {
  if (socket !== undefined && name !== undefined) {
    throw usageError("give --socket or --name, not both");
  }
  return name === undefined ? socket : socketOf(name);
}
