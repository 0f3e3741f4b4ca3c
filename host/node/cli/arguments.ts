/** Parsers of command-line values: an error says what was given and what would do. */
import { InvalidArgumentError } from "commander";
import { FLOW_GROUPS } from "../../../assembly/abi.ts";
import { parseCidr } from "../../dataplane/addresses.ts";

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll("_", ""));
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

/** An IPv4 address with prefix length, as text. */
export function cidr(text: string): string {
  if (parseCidr(text) !== undefined) return text;
  throw new InvalidArgumentError("Give an address and a prefix length, such as 10.0.0.1/24.");
}

/** Flow groups: numbers and ranges, separated by commas. Each once, in ascending order. */
export function flowGroups(text: string): number[] {
  const groups = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(part.trim()) ?? [];
    const from = Number(first);
    const to = last === undefined ? from : Number(last);
    if (first === undefined || to < from || to >= FLOW_GROUPS) {
      throw new InvalidArgumentError(
        `Give flow groups from 0 to ${FLOW_GROUPS - 1}, such as 0-63,70.`,
      );
    }
    for (let group = from; group <= to; group++) groups.add(group);
  }
  return [...groups].toSorted((a, b) => a - b);
}

/** Where a server listens. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[IPV6]:PORT`, or the port alone, which means 127.0.0.1. */
export function hostPort(text: string): HostPort {
  const [, v6, name, digits] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  if (digits !== undefined && Number(digits) <= 65535) {
    return { host: v6 ?? name ?? "127.0.0.1", port: Number(digits) };
  }
  throw new InvalidArgumentError("Give HOST:PORT, such as 127.0.0.1:9464, or the port alone.");
}

/** A JSON value. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`Give JSON, such as '{"port":80}'.`);
  }
}
