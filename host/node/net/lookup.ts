/** From names to addresses: the network's own names, or a function of the caller's. */
import { isIP } from "node:net";
import type { Host } from "../../net/host.ts";
import { addressOf } from "../../net/names.ts";
import { coded, invalidType, notFound } from "./errors.ts";

/** An address that a name has. */
export interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

type LookupCallback = (
  error: Error | null,
  address?: string | LookupAddress[],
  family?: number,
) => void;

/** As `dns.lookup`; what it finds must be addresses of the network. */
export type LookupFunction = (
  hostname: string,
  options: { family?: number; hints?: number; all?: boolean },
  callback: LookupCallback,
) => void;

export interface LookupOptions {
  readonly lookup?: LookupFunction;
  readonly family?: number;
  readonly hints?: number;
  readonly autoSelectFamily?: boolean;
}

/** Finds the addresses of a name, at least one. `found` is called later, never at once. */
export function lookUpAll(
  host: Host,
  name: string,
  options: LookupOptions,
  found: (error: Error | null, addresses: readonly LookupAddress[]) => void,
): void {
  const { lookup, family, hints, autoSelectFamily = true } = options;
  if (lookup !== undefined && typeof lookup !== "function") {
    throw invalidType("options.lookup", "of type function", lookup);
  }
  if (lookup === undefined || addressOf(name) !== undefined) {
    const addresses = ofFamily(host.addressesOf(name), addressOf(name) ? 0 : family);
    process.nextTick(() => {
      if (addresses.length === 0) found(notFound(name), []);
      else found(null, addresses);
    });
    return;
  }
  const all = autoSelectFamily && family !== 4 && family !== 6;
  lookup(name, { family, hints, all }, (error, result) => {
    const list = typeof result === "string" ? [{ address: result, family: isIP(result) }] : result;
    const wrong = error ?? (list === undefined || list.length === 0 ? notFound(name) : check(list));
    process.nextTick(() => found(wrong, list ?? []));
  });
}

/** Those of a family, 4 or 6; otherwise all. */
export function ofFamily(addresses: readonly string[], family = 0): LookupAddress[] {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return family === 4 || family === 6 ? all.filter((each) => each.family === family) : all;
}

/** Finds the address that packets to a name are sent to. `found` is called later, never at once. */
export function lookUp(
  host: Host,
  name: string,
  options: LookupOptions,
  found: (error: Error | null, address?: string) => void,
): void {
  lookUpAll(host, name, { ...options, autoSelectFamily: false }, (error, addresses) => {
    if (error === null) found(null, host.toWire(addresses[0].address));
    else found(error);
  });
}

/** What is wrong with what a lookup function has found. */
function check(addresses: readonly LookupAddress[]): Error | null {
  const wrong = addresses.find(({ address }) => isIP(address) === 0);
  if (wrong === undefined) return null;
  const error = new TypeError(`Invalid IP address: ${String(wrong.address)}`);
  return coded(error, "ERR_INVALID_IP_ADDRESS");
}
