/** From names to addresses: the network's own names, or a function of the caller's. */
import type { Host } from "../../net/host.ts";
import { addressOf, isThisHost } from "../../net/names.ts";
import { coded, notFound } from "./errors.ts";

type LookupCallback = (
  error: Error | null,
  address?: string | { address: string; family: number }[],
  family?: number,
) => void;

/** As `dns.lookup`; what it finds must be addresses of the network. */
export type LookupFunction = (
  hostname: string,
  options: { family?: number; all?: boolean },
  callback: LookupCallback,
) => void;

/** Finds the address of a name. `found` is called later, never at once. */
export function lookUp(
  host: Host,
  name: string,
  options: { lookup?: LookupFunction; family?: number },
  found: (error: Error | null, address?: string) => void,
): void {
  const { lookup, family } = options;
  if (lookup !== undefined && typeof lookup !== "function") {
    const error = new TypeError('The "options.lookup" property must be of type function');
    throw coded(error, "ERR_INVALID_ARG_TYPE");
  }
  if (lookup === undefined || addressOf(name) !== undefined) {
    const address = host.resolve(name);
    process.nextTick(() => {
      if (address === undefined) found(notFound(name));
      else found(null, address);
    });
    return;
  }
  lookup(name, { family }, (error, result) => {
    if (error) return found(error);
    const address = Array.isArray(result) ? result[0]?.address : result;
    if (address === undefined) return found(notFound(name));
    return found(null, isThisHost(address) ? host.address : address);
  });
}
