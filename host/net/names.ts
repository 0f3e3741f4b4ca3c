/**
 * The names of a network: a hosts table. Names are compared without regard to case, and a trailing dot
 * is ignored (RFC 1034 section 3.1). "localhost" and what ends in it is whoever asks (RFC 6761 section
 * 6.3), by the loopback addresses.
 */
import { IpAddress } from "../libix/ip-address.ts";

/** The loopback address of each family, in the order that "localhost" has them. */
export const LOOPBACK = { ipv4: "127.0.0.1", ipv6: "::1" } as const;

const LOOPBACK_V4 = /^127\./;
const NOBODY: readonly string[] = [];

export class NameTable {
  readonly #addresses = new Map<string, readonly string[]>();

  /** Gives a name its addresses, the preferred one first; a name that exists changes them. */
  set(name: string, ...addresses: readonly string[]): void {
    const parsed = addresses.map((address) => IpAddress.parse(address).toString());
    this.#addresses.set(canonical(name), parsed);
  }

  delete(name: string): void {
    this.#addresses.delete(canonical(name));
  }

  /** The first address of a name, or undefined. */
  get(name: string): string | undefined {
    return this.#addresses.get(canonical(name))?.[0];
  }

  /** A name that has this address, or undefined. */
  nameOf(address: string): string | undefined {
    for (const [name, each] of this.#addresses) if (each.includes(address)) return name;
    return undefined;
  }

  /** All names, with their addresses. */
  entries(): [name: string, addresses: readonly string[]][] {
    return [...this.#addresses];
  }

  /** What a name or an address in text form stands for; nothing when there is no such name. */
  lookUp(nameOrAddress: string): readonly string[] {
    const text = canonical(nameOrAddress);
    if (text === "localhost" || text.endsWith(".localhost")) return Object.values(LOOPBACK);
    const address = addressOf(text);
    return address === undefined ? (this.#addresses.get(text) ?? NOBODY) : [address];
  }
}

/** True for the addresses by which a host means itself: 127/8, ::1, and the unspecified ones. */
export function isThisHost(address: string): boolean {
  return LOOPBACK_V4.test(address) || address === LOOPBACK.ipv6 || isUnspecified(address);
}

/** True for the addresses that stand for all of a host's own. */
export function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** The canonical text of an address; undefined when the text is none. */
export function addressOf(text: string): string | undefined {
  try {
    return IpAddress.parse(text).toString();
  } catch {
    return undefined;
  }
}

function canonical(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
