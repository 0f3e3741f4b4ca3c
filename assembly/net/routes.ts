/**
 * Routes: which neighbour an IPv4 packet goes to next. The table is kept sorted by prefix length,
 * longest first, so the first match is the best one (RFC 1812 section 5.2.4.3). The attached network
 * is a route of its own that takes no entry; the default gateway is a route with prefix 0.
 *
 * One table for all cores, changed by `addRoute` only. An entry with `used` 0 ends it.
 */
import {
  CFG_IP,
  CFG_PREFIX,
  CFG_ROUTES,
  CFG_ROUTE_TABLE,
  CONFIG_BASE,
  RC_INVAL,
  RC_NOMEM,
  RC_NOTSUP,
  RC_OK,
  ROUTE_SIZE,
} from "../abi";
import { config } from "../core/config";
import { ipv4Mask, IPV4_BROADCAST, isIpv4Unicast, MAPPED_PREFIX } from "../wire/ipv4";

/** ROUTE_SIZE bytes. Destination and gateway are 16-byte addresses, of which IPv4 needs one word. */
@final
@unmanaged
class Route {
  destination0: u64;
  destination2: u32;
  destination: u32;
  gateway0: u64;
  gateway2: u32;
  /** 0: the destination is on the attached link. */
  gateway: u32;
  mask: u32;
  prefix: u32;
  used: u32;
}

let table: u32 = 0;
let tableEnd: u32 = 0;
let localIp: u32 = 0;
let attachedPrefix: u32 = 0;
let attachedMask: u32 = 0;
/** The attached network's broadcast address; the limited one where the network has none. */
let attachedBroadcast: u32 = 0;

/** Empties the table. Once per dataplane. */
export function prepareRoutes(): void {
  memory.fill(config(CFG_ROUTE_TABLE), 0, config(CFG_ROUTES) * ROUTE_SIZE);
  bindRoutes();
}

/** Binds this instance to the table. */
export function bindRoutes(): void {
  table = config(CFG_ROUTE_TABLE);
  tableEnd = table + config(CFG_ROUTES) * ROUTE_SIZE;
  localIp = load<u32>(CONFIG_BASE + CFG_IP, 12);
  attachedPrefix = min<u32>(config(CFG_PREFIX), 32);
  attachedMask = ipv4Mask(attachedPrefix);
  // RFC 3021: a network of two addresses has no broadcast address.
  attachedBroadcast = attachedPrefix < 31 ? localIp | ~attachedMask : IPV4_BROADCAST;
}

/** True for the limited broadcast address and the attached network's. */
export function isBroadcast(address: u32): bool {
  return address == IPV4_BROADCAST || address == attachedBroadcast;
}

/** True for addresses of the attached network, its broadcast address included. */
export function isAttached(address: u32): bool {
  return ((address ^ localIp) & attachedMask) == 0;
}

/** The attached network's broadcast address, or the limited one when it has none. */
export function networkBroadcast(): u32 {
  return attachedBroadcast;
}

/**
 * Adds a route, or changes the gateway of the one with the same destination and prefix. Addresses
 * are 16 bytes as four words in memory order; only IPv4-mapped ones are routed so far.
 *
 * @param prefix bits of the IPv4 address that must agree; host bits of the destination are ignored
 * @returns RC_OK, RC_NOTSUP for IPv6, RC_INVAL for a prefix over 32 or a gateway that is no host,
 *   RC_NOMEM when the table is full
 */
export function addRoute(
  d0: u32,
  d1: u32,
  d2: u32,
  d3: u32,
  prefix: u32,
  g0: u32,
  g1: u32,
  g2: u32,
  g3: u32,
): i32 {
  bindRoutes();
  if ((d0 | d1 | g0 | g1) != 0 || d2 != MAPPED_PREFIX) return RC_NOTSUP;
  if (g2 != MAPPED_PREFIX && (g2 | g3) != 0) return RC_NOTSUP;
  if (prefix > 32 || g3 == localIp) return RC_INVAL;
  if (g3 != 0 && (!isIpv4Unicast(g3) || isBroadcast(g3))) return RC_INVAL;
  const mask = ipv4Mask(prefix);
  const destination = d3 & mask;
  let at = table;
  while (at < tableEnd) {
    const route = changetype<Route>(at);
    if (!route.used || route.prefix < prefix) break;
    if (route.prefix == prefix && route.destination == destination) {
      route.gateway = g3;
      return RC_OK;
    }
    at += ROUTE_SIZE;
  }
  if (at == tableEnd || changetype<Route>(tableEnd - ROUTE_SIZE).used) return RC_NOMEM;
  memory.copy(at + ROUTE_SIZE, at, tableEnd - at - ROUTE_SIZE);
  const route = changetype<Route>(at);
  route.destination0 = 0;
  route.destination2 = MAPPED_PREFIX;
  route.destination = destination;
  route.gateway0 = 0;
  route.gateway2 = MAPPED_PREFIX;
  route.gateway = g3;
  route.mask = mask;
  route.prefix = prefix;
  route.used = 1;
  return RC_OK;
}

/**
 * The address on the attached link that a packet to `destination` is handed to: the destination
 * itself, or a gateway. Broadcasts stay on the link; what is for this host itself goes to its own MAC,
 * and the NIC brings it back. 0 when there is no route; so it is for 0/8 and 127/8, and for multicast.
 */
export function nextHop(destination: u32): u32 {
  if (isBroadcast(destination) || destination == localIp) return destination;
  if (!isIpv4Unicast(destination)) return 0;
  let at = table;
  let attachedSeen = false;
  while (at < tableEnd) {
    const route = changetype<Route>(at);
    if (!route.used) break;
    if (route.prefix <= attachedPrefix && !attachedSeen) {
      if (isAttached(destination)) return destination;
      attachedSeen = true;
    }
    if ((destination & route.mask) == route.destination) {
      return route.gateway != 0 ? route.gateway : destination;
    }
    at += ROUTE_SIZE;
  }
  return !attachedSeen && isAttached(destination) ? destination : 0;
}
