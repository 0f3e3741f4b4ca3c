/**
 * Options that are addresses: the dataplane's own, and the gateways, routes and neighbours that it can
 * have with them. Routes given while it runs pass the same checks.
 */
import { IP6_ADDRESSES_MAX } from "../../assembly/abi.ts";
import {
  formatIp,
  inNetwork,
  isBroadcastAddress,
  isIpv4,
  isIpv6Host,
  isLinkLocal,
  isMulticast,
  isNetworkAddress,
  parseIp,
  type Cidr,
} from "./addresses.ts";
import * as check from "./checks.ts";
import type {
  DataplaneOptions,
  Ip6Options,
  Neighbour,
  NeighbourOptions,
  ResolvedIp6,
  Route,
  RouteOptions,
} from "./options.ts";

/** Own address: one that a host may have (RFC 1122 section 3.2.1.3). */
export function resolveIp(value: unknown): Cidr {
  const ip = check.ipv4Cidr("ip", value, "10.0.0.1/24");
  const first = ip.address[12];
  const edge = ip.prefix < 31 && (isNetworkAddress(ip) || isBroadcastAddress(ip));
  if (ip.prefix === 0 || first === 0 || first === 127 || first >= 224 || edge) {
    throw check.rangeError("ip", "a host's unicast address and a prefix length of 1 to 32", value);
  }
  return ip;
}

/** Own IPv6 addresses, and whether routers give more; undefined without IPv6. */
export function resolveIp6(value: unknown): ResolvedIp6 | undefined {
  if (value === undefined) return undefined;
  if (value === "auto") return resolveIp6({});
  if (typeof value === "string") return resolveIp6({ addresses: [value] });
  if (Array.isArray(value)) return resolveIp6({ addresses: value });
  const known = ["addresses", "autoconfigured", "detectDuplicates"] as const;
  const given = check.record<Ip6Options>("ip6", value, known);
  const listed = check.array("ip6.addresses", given.addresses, IP6_ADDRESSES_MAX);
  return {
    addresses: listed.map((item, index) => {
      const name = `ip6.addresses[${index}]`;
      const own = check.ipv6Cidr(name, item);
      if (own.prefix === 0 || !isIpv6Host(own.address)) {
        throw check.rangeError(name, "a host's unicast address and a prefix length over 0", item);
      }
      return own;
    }),
    autoconfigured: check.boolean("ip6.autoconfigured", given.autoconfigured, true),
    detectDuplicates: check.boolean("ip6.detectDuplicates", given.detectDuplicates, true),
  };
}

/** What the dataplane is attached to: whose gateways and neighbours it can have. */
export interface Attached {
  readonly ip: Cidr;
  readonly ip6: ResolvedIp6 | undefined;
}

/** A gateway or neighbour: another host's address on an attached network. */
function resolveOnLink(name: string, value: unknown, own: Attached): Uint8Array {
  const address = check.ip(name, value);
  if (!isIpv4(address)) return resolveOnLink6(name, value, address, own);
  const isOwn = formatIp(address) === formatIp(own.ip.address);
  if (isOwn || isMulticast(address) || !inNetwork(address, own.ip)) {
    const network = `${formatIp(own.ip.address)}/${own.ip.prefix}`;
    throw check.rangeError(name, `another host's address on the network of ${network}`, value);
  }
  return address;
}

/** Prefixes may come to be known later, from routers; what is no host's never will be. */
function resolveOnLink6(
  name: string,
  value: unknown,
  address: Uint8Array,
  own: Attached,
): Uint8Array {
  if (!own.ip6) throw check.rangeError(name, 'an IPv4 address, or the option "ip6" set', value);
  const attached =
    isLinkLocal(address) || own.ip6.addresses.some((network) => inNetwork(address, network));
  const isOwn = own.ip6.addresses.some((mine) => formatIp(mine.address) === formatIp(address));
  if (isOwn || !isIpv6Host(address) || !attached) {
    const allowed = "another host's address: link-local, or on a network of ip6";
    throw check.rangeError(name, allowed, value);
  }
  return address;
}

/** The gateways' default routes, if any, and then the others: `max` of them at most. */
export function resolveRoutes(
  given: Partial<DataplaneOptions>,
  own: Attached,
  max: number,
): readonly Route[] {
  const routes: Route[] = [];
  for (const [name, anywhere] of [
    ["gateway", "0.0.0.0"],
    ["gateway6", "::"],
  ] as const) {
    const value = given[name];
    if (value === undefined) continue;
    const to = { address: parseIp(anywhere)!, prefix: 0 };
    const via = resolveOnLink(name, value, own);
    if (isIpv4(via) !== isIpv4(to.address)) {
      const version = isIpv4(to.address) ? "an IPv4" : "an IPv6";
      throw check.rangeError(name, `${version} address`, value);
    }
    routes.push({ to, via });
  }
  const listed = check.array("routes", given.routes, max - routes.length);
  for (const [index, item] of listed.entries()) {
    routes.push(resolveRoute(`routes[${index}]`, item, own));
  }
  return routes;
}

/** A route as given, checked; `name` is what messages call it. */
export function resolveRoute(name: string, value: unknown, own: Attached): Route {
  const route = check.record<RouteOptions>(name, value, ["to", "via"]);
  const to = resolveNetwork(`${name}.to`, route.to);
  const via = resolveOnLink(`${name}.via`, route.via, own);
  if (isIpv4(via) !== isIpv4(to.address)) {
    throw check.rangeError(`${name}.via`, `an address of the version of ${name}.to`, route.via);
  }
  return { to, via };
}

/** A network as given, checked. */
export function resolveNetwork(name: string, value: unknown): Cidr {
  const network = check.ipCidr(name, value);
  if (!isNetworkAddress(network)) {
    throw check.rangeError(name, "a network with no bit set behind its prefix", value);
  }
  return network;
}

/** Static neighbours, for a table of `max`. */
export function resolveNeighbours(
  value: unknown,
  own: Attached,
  max: number,
): readonly Neighbour[] {
  // Half the hash table, so that static entries leave room for learnt ones.
  return check.array("neighbours", value, max / 2).map((item, index) => {
    const name = `neighbours[${index}]`;
    const neighbour = check.record<NeighbourOptions>(name, item, ["ip", "mac"]);
    return {
      ip: resolveOnLink(`${name}.ip`, neighbour.ip, own),
      mac: check.mac(`${name}.mac`, neighbour.mac),
    };
  });
}
