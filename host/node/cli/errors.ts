/**
 * How the command line ends: 0 when it did what was asked, EXIT_FAILURE when something prevented it,
 * EXIT_USAGE when it was asked wrongly, EXIT_INTERRUPTED when Ctrl-C ended a `run`, EXIT_HUNG_UP when its terminal was closed.
 */
import { CoreError, OptionRangeError, OptionTypeError } from "../../dataplane/errors.ts";

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;
/** As shells report a process that SIGINT, or SIGHUP, ended: 128 and the signal's number. */
export const EXIT_INTERRUPTED = 130;
export const EXIT_HUNG_UP = 129;

/** What errors of the package's begin with: here it is clear who speaks. */
const PREFIX = /^ixwasm: /;

/** Something that the user can do something about: its message is shown as it is, without a stack. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, options?: ErrorOptions & { exitCode?: number }) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = options?.exitCode ?? EXIT_FAILURE;
  }
}

/** The command was given what does not make sense together, or what it does not take. */
export function usageError(message: string): CliError {
  return new CliError(message, { exitCode: EXIT_USAGE });
}

/** What to tell of a failure: the message alone where it was meant for people, else the stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof CoreError) return error.message.replace(PREFIX, "") + stackOf(error.cause);
  const expected = error instanceof CliError || "code" in error;
  return expected ? error.message.replace(PREFIX, "") : (error.stack ?? error.message);
}

/** The exit code for a failure: options that a dataplane refuses were asked for wrongly, too. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  const refused = error instanceof OptionRangeError || error instanceof OptionTypeError;
  return refused ? EXIT_USAGE : EXIT_FAILURE;
}

/** Where an application threw, without the message: lines behind it, or nothing. */
export function stackOf(cause: unknown): string {
  const frames = cause instanceof Error ? cause.stack?.match(/^ +at .*$/gm) : undefined;
  return frames ? `\n${frames.join("\n")}` : "";
}
