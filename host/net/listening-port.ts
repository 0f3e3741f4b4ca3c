/**
 * A TCP port of a host that is listened on, by one listener of the kernel and by several bindings: each
 * says which of the connections it takes, by the family and by where they come from.
 */
import type { IxevContext } from "../libix/ixev-context.ts";
import type { IxevListener } from "../libix/ixev-listeners.ts";
import type { Knock } from "../libix/ixev-operations.ts";

/** Who knocks is taken in with a fresh context, or turned away with null. */
export type Accept = (knock: Knock) => IxevContext | null;

/** Which connections to a port are meant. */
export interface Where {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** The one address that is bound; null: all of the host's. */
  readonly address: string | null;
  /** That address is a loopback address: only the host itself gets there. */
  readonly loopback: boolean;
}

/** Everything: "::" with both families. */
export const EVERYWHERE: Where = { ipv4: true, ipv6: true, address: null, loopback: false };

export interface Binding {
  readonly where: Where;
  readonly accept: Accept;
  /** Told what came of it, an `RC_*` code. */
  readonly settled: (outcome: number) => void;
}

export class ListeningPort {
  readonly listener: IxevListener;
  /** Those for loopback come first: they are the more particular ones. */
  readonly bindings: Binding[] = [];

  constructor(listener: IxevListener) {
    this.listener = listener;
  }

  add(binding: Binding): void {
    if (binding.where.loopback) this.bindings.unshift(binding);
    else this.bindings.push(binding);
  }

  /** Removes a binding; false when it is not there. */
  remove(binding: Binding): boolean {
    const index = this.bindings.indexOf(binding);
    if (index >= 0) this.bindings.splice(index, 1);
    return index >= 0;
  }

  /** True when a binding has taken what `where` asks for, in whole or in part. */
  isTaken(where: Where): boolean {
    return this.bindings.some(({ where: other }) => overlap(where, other));
  }

  /** @param isOwn the peer is the host itself */
  accept(knock: Knock, isOwn: boolean): IxevContext | null {
    const { isIpv4 } = knock.address;
    for (const { where, accept } of this.bindings) {
      if (!(isIpv4 ? where.ipv4 : where.ipv6)) continue;
      if (isOwn || !where.loopback) return accept(knock);
    }
    return null;
  }
}

function overlap(a: Where, b: Where): boolean {
  if (!(a.ipv4 && b.ipv4) && !(a.ipv6 && b.ipv6)) return false;
  return a.address === null || b.address === null || a.address === b.address;
}
