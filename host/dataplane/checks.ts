/**
 * Checks of option values. Each returns the value to use or throws an error that names the option,
 * says what it may be, and shows what it was.
 */
import { parseCidr, parseIp, parseMac, type Cidr, isIpv4 } from "./addresses.ts";
import { OptionRangeError, OptionTypeError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** How a refused value is shown in a message: short, and never failing. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Promise) return "a Promise, which is to be awaited";
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** The value has the right type but is not allowed. */
export function rangeError(name: string, allowed: string, value: unknown): OptionRangeError {
  return new OptionRangeError(`ixwasm: option "${name}" must be ${allowed}, got ${show(value)}`);
}

/** The value has the wrong type. */
export function typeError(name: string, allowed: string, value: unknown): OptionTypeError {
  return new OptionTypeError(`ixwasm: option "${name}" must be ${allowed}, got ${show(value)}`);
}

/** An integer of [min, max]; `fallback` when it is undefined. */
export function integer(
  name: string,
  value: unknown,
  fallback: number,
  min: number,
  max: number,
  unit = "",
): number {
  if (value === undefined) return fallback;
  const allowed = `an integer from ${min} to ${max}${unit && ` ${unit}`}`;
  if (typeof value !== "number") throw typeError(name, allowed, value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw rangeError(name, allowed, value);
  }
  return value;
}

/** A power of two of [min, max]; `fallback` when it is undefined. */
export function powerOfTwo(
  name: string,
  value: unknown,
  fallback: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return fallback;
  const allowed = `a power of two from ${min} to ${max}`;
  if (typeof value !== "number") throw typeError(name, allowed, value);
  const isPower = Number.isInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
  if (!isPower || value < min || value > max) throw rangeError(name, allowed, value);
  return value;
}

export function boolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== "boolean") throw typeError(name, "a boolean", value);
  return value;
}

/** One of some strings. */
export function oneOf<T extends string>(
  name: string,
  value: unknown,
  fallback: T,
  values: readonly T[],
): T {
  if (value === undefined) return fallback;
  const allowed = values.map((item) => `"${item}"`).join(" or ");
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const found = values.find((item) => item === value);
  if (found === undefined) throw rangeError(name, allowed, value);
  return found;
}

/** A string of 1 to `max` characters. */
export function text(name: string, value: unknown, fallback: string, max: number): string {
  if (value === undefined) return fallback;
  const allowed = `a string of 1 to ${max} characters`;
  if (typeof value !== "string") throw typeError(name, allowed, value);
  if (value.length < 1 || value.length > max) throw rangeError(name, allowed, value);
  return value;
}

/** An object none of whose properties is unknown; an empty one when it is undefined. */
export function record<T extends object>(
  name: string,
  value: unknown,
  known: readonly (keyof T & string)[],
): Partial<T> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw typeError(name, "an object", value);
  }
  const prefix = name === "options" ? "" : `${name}.`;
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue;
    const meant = nearest(key, known);
    const question = meant === undefined ? "" : `. Did you mean "${prefix}${meant}"?`;
    throw new OptionTypeError(
      `ixwasm: option "${prefix}${key}" is unknown; known are ${known.join(", ")}${question}`,
    );
  }
  return value as Partial<T>;
}

/** An array; an empty one when it is undefined. */
export function array(name: string, value: unknown, max: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw typeError(name, "an array", value);
  if (value.length > max) throw rangeError(name, `an array of at most ${max}`, value);
  return value;
}

/** An IPv4 address with prefix length. */
export function ipv4Cidr(name: string, value: unknown, example: string): Cidr {
  const allowed = `an IPv4 address with prefix length such as ${example}`;
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const block = parseCidr(value);
  if (!block || !isIpv4(block.address) || block.prefix > 32) throw rangeError(name, allowed, value);
  return block;
}

/** An IPv4 or IPv6 address, as 16 bytes. */
export function ip(name: string, value: unknown): Uint8Array {
  const allowed = "an IP address such as 10.0.0.1 or 2001:db8::1";
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const address = parseIp(value);
  if (!address) throw rangeError(name, allowed, value);
  return address;
}

/** An IPv4 or IPv6 network: an address with prefix length. */
export function ipCidr(name: string, value: unknown): Cidr {
  const allowed = "a network such as 10.2.0.0/16 or 2001:db8::/32";
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const block = parseCidr(value);
  if (!block) throw rangeError(name, allowed, value);
  return block;
}

/** An IPv6 address with prefix length. */
export function ipv6Cidr(name: string, value: unknown): Cidr {
  const allowed = "an IPv6 address with prefix length such as 2001:db8::1/64";
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const block = parseCidr(value);
  if (!block || isIpv4(block.address)) throw rangeError(name, allowed, value);
  return block;
}

/** A unicast MAC address, as 6 bytes. */
export function mac(name: string, value: unknown): Uint8Array {
  const allowed = "a unicast MAC address such as 02:00:0a:00:00:01";
  if (typeof value !== "string") throw typeError(name, allowed, value);
  const bytes = parseMac(value);
  // The lowest bit of the first byte marks group addresses (IEEE 802).
  if (!bytes || bytes[0] & 1 || bytes.every((byte) => byte === 0)) {
    throw rangeError(name, allowed, value);
  }
  return bytes;
}
