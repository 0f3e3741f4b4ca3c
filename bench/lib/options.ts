/** Parsers of command-line values: those of the package's own command line, and lists of them. */
import { decimal, integer } from "../../host/node/cli/arguments.ts";

export { decimal, integer, someOf } from "../../host/node/cli/arguments.ts";

/** Numbers from `min` to `max`, separated by commas. */
export function decimals(min: number, max: number): (text: string) => number[] {
  const one = decimal(min, max);
  return (text) => text.split(",").map(one);
}

/** Whole numbers from `min` to `max`, separated by commas. */
export function integers(min: number, max: number): (text: string) => number[] {
  const one = integer(min, max);
  return (text) => text.split(",").map(one);
}
