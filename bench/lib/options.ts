/** Parsers of command-line values: an error says what was given and what would do. */
import { InvalidArgumentError } from "commander";

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d[\d_]*$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

/** A number from `min` to `max`. */
export function decimal(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a number from ${min} to ${max}.`);
  };
}

/** Some of `names`, separated by commas. */
export function someOf(names: readonly string[]): (text: string) => string[] {
  return (text) => {
    const chosen = text.split(",").map((name) => name.trim());
    const unknown = chosen.find((name) => !names.includes(name));
    if (unknown === undefined) return chosen;
    throw new InvalidArgumentError(`"${unknown}" is none of ${names.join(", ")}.`);
  };
}
