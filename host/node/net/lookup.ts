/** From names to addresses: the network's own names, or a function of the caller's. */
import { isIP } from "node:net";
import type { Host } from "../../net/host.ts";
import { addressOf, isThisHost } from "../../net/names.ts";
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
    const address = host.resolve(name);
    process.nextTick(() => {
      if (address === undefined) found(notFound(name), []);
      else found(null, [{ address, family: isIP(address) }]);
    });
    return;
  }
  const all = autoSelectFamily && family !== 4 && family !== 6;
  lookup(name, { family, hints, all }, (error, result) => {
    const list = typeof result === "string" ? [{ address: result, family: isIP(result) }] : result;
    const wrong = error ?? (list === undefined || list.length === 0 ? notFound(name) : check(list));
    process.nextTick(() =>
      found(
        wrong,
        (list ?? []).map((each) => own(host, each)),
      ),
    );
  });
}

/** Finds one address of a name. `found` is called later, never at once. */
export function lookUp(
  host: Host,
  name: string,
  options: LookupOptions,
  found: (error: Error | null, address?: string) => void,
): void {
  lookUpAll(host, name, { ...options, autoSelectFamily: false }, (error, addresses) => {
    if (error === null) found(null, addresses[0].address);
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

function own(host: Host, { address, family }: LookupAddress): LookupAddress {
  return isThisHost(address) ? { address: host.address, family: 4 } : { address, family };
}
