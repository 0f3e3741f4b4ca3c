/** Parsers of command-line values: those of the package's own command line. */
export { decimal, integer, someOf } from "../../host/node/cli/arguments.ts";
