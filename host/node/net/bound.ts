/** Where a server listens, as node:net has it: what `listen` was asked for, and how connections are shown. */
import { isIPv6 } from "node:net";
import type { Host } from "../../net/host.ts";
import { EVERYWHERE, type Where } from "../../net/listening-port.ts";
import { isThisHost } from "../../net/names.ts";
import { named, notFound } from "./errors.ts";
import type { ListenOptions } from "./options.ts";

const ANY_V4 = "0.0.0.0";
const ANY_V6 = "::";

export class Bound {
  /** As `address()` says it. */
  readonly address: string;
  readonly where: Where;
  readonly #host: Host;

  private constructor(host: Host, address: string, where: Where) {
    this.#host = host;
    this.address = address;
    this.where = where;
  }

  /**
   * What `listen` was asked for: all addresses, or the first that a name has.
   *
   * @throws {NetError} nobody has the name, or another host
   */
  static of(host: Host, { host: name, ipv6Only = false, port }: ListenOptions): Bound {
    if (!name) {
      const dual = host.address6 !== undefined;
      return new Bound(host, dual ? ANY_V6 : ANY_V4, { ...EVERYWHERE, ipv4: !(dual && ipv6Only) });
    }
    const [address] = host.addressesOf(name);
    if (address === undefined) throw notFound(name);
    if (!host.isOwn(address)) {
      throw named("listen", "EADDRNOTAVAIL", { address, port: Number(port ?? 0) });
    }
    const ipv6 = isIPv6(address);
    const family = { ipv4: !ipv6, ipv6: ipv6 || host.address6 === undefined };
    if (address === ANY_V4) return new Bound(host, address, { ...EVERYWHERE, ...family });
    if (address === ANY_V6) return new Bound(host, address, { ...EVERYWHERE, ipv4: !ipv6Only });
    const loopback = isThisHost(address);
    return new Bound(host, address, { ...family, address, loopback });
  }

  /** Both addresses of a connection with a peer, whose packets come from `peer`. */
  shown(peer: string): { local: string; remote: string } {
    const { address, loopback } = this.where;
    const host = this.#host;
    const fromItself = host.isOwn(peer) && (address === null || loopback);
    const remote = fromItself ? host.shown(peer) : peer;
    const local = address ?? (fromItself ? remote : host.ownFor(peer));
    return { local: this.#mapped(local), remote: this.#mapped(remote) };
  }

  /** A socket of "::" sees IPv4 as mapped addresses (RFC 4291 section 2.5.5.2). */
  #mapped(address: string): string {
    return this.address === ANY_V6 && !address.includes(":") ? `::ffff:${address}` : address;
  }
}
