/**
 * The names of a network: a hosts table. Names are compared without regard to case, and a trailing dot
 * is ignored (RFC 1034 section 3.1). "localhost" and what ends in it is whoever asks (RFC 6761 section
 * 6.3), and so are the loopback addresses: a host of the network has one address of its own and no other.
 */
import { IpAddress } from "../libix/ip-address.ts";

const LOOPBACK_V4 = /^127\./;

export class NameTable {
  readonly #addresses = new Map<string, string>();

  /** Gives a name an address; a name that exists changes its address. */
  set(name: string, address: string): void {
    this.#addresses.set(canonical(name), IpAddress.parse(address).toString());
  }

  delete(name: string): void {
    this.#addresses.delete(canonical(name));
  }

  /** The address of a name, or undefined. */
  get(name: string): string | undefined {
    return this.#addresses.get(canonical(name));
  }

  /** A name that has this address, or undefined. */
  nameOf(address: string): string | undefined {
    for (const [name, each] of this.#addresses) if (each === address) return name;
    return undefined;
  }

  /**
   * What a host with the address `own` reaches under a name or an address in text form; undefined when
   * there is no such name.
   */
  resolve(nameOrAddress: string, own: string): string | undefined {
    const text = canonical(nameOrAddress);
    if (text === "localhost" || text.endsWith(".localhost")) return own;
    const address = addressOf(text);
    if (address === undefined) return this.#addresses.get(text);
    return isThisHost(address) ? own : address;
  }
}

/** True for the addresses by which a host means itself: 127/8, ::1, and the unspecified ones. */
export function isThisHost(address: string): boolean {
  return LOOPBACK_V4.test(address) || ["0.0.0.0", "::", "::1"].includes(address);
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
