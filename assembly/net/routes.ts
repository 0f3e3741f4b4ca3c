/**
 * Routes: which neighbour a packet goes to next. Those of both IP versions form a list, longest prefix first, so the
 * first match is the best one (RFC 1812 section 5.2.4.3). The attached network is a route of its own that
 * takes no entry; the default gateway is a route with prefix 0.
 *
 * One list for all cores, which walk it without a lock while one thread of the host changes it: a new
 * entry is complete before the list leads to it, and an entry that the list no longer leads to is used
 * again only when every core has begun a new poll or sleeps, and so walks it no more. Neighbours,
 * listeners and ports need none of this: every core has tables of its own.
 *
 *   table | header | route | route | …
 */
import {
  CACHE_LINE,
  CFG_CORE_BLOCKS,
  CFG_CORES,
  CFG_IP,
  CFG_PREFIX,
  CFG_ROUTES,
  CFG_ROUTE_TABLE,
  CNT_ITERATIONS,
  CONFIG_BASE,
  CORE_ATTACHED,
  CORE_PARKED,
  CORE_SIZE,
  RC_AGAIN,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
  ROUTE_HEADER,
  ROUTE_SIZE,
} from "../abi";
import { config } from "../core/config";
import { ipv4Mask, IPV4_BROADCAST, isIpv4Unicast } from "../wire/ipv4";
import {
  halfMask,
  isIpv6Multicast,
  isIpv6Unicast,
  isMapped,
  mappedIpv4,
  mappedLow,
  samePrefix,
} from "../wire/ipv6";
import { isOnLink, isOwnAddress } from "./interface";
import { chooseRouter, routerHigh, routerLow } from "./routers";

/** ROUTE_SIZE bytes. */
@final
@unmanaged
class Route {
  /** Destination network, without host bits; IPv4-mapped. */
  high: u64;
  low: u64;
  /** The gateway's address; all zero: the destination is on the attached link. */
  gatewayHigh: u64;
  gatewayLow: u64;
  /** Of an IPv4 route. */
  mask: u32;
  /** Bits of an address of its version. */
  prefix: u32;
  /** IP version. */
  version: u32;
  /** The next route in the list. */
  next: u32;
  /** FREE, LISTED, or the number of the wait that must be over before it is free, plus LISTED. */
  state: u32;
}

const FREE: u32 = 0;
const LISTED: u32 = 1;

/** ROUTE_HEADER bytes. */
@final
@unmanaged
class RouteHeader {
  /** The first route. */
  first: u32;
  /** Waits for the cores begun and ended since the start; at most one is under way. */
  begun: u32;
  ended: u32;
}

/** In the header, a word per core: its iterations when the wait under way began. */
const SEEN: u32 = CACHE_LINE;

let header = changetype<RouteHeader>(0);
let table: u32 = 0;
let tableEnd: u32 = 0;
let localIp: u32 = 0;
let attachedPrefix: u32 = 0;
let attachedMask: u32 = 0;
/** The attached network's broadcast address; the limited one where the network has none. */
let attachedBroadcast: u32 = 0;

/** Empties the table. Once per dataplane. */
export function prepareRoutes(): void {
  memory.fill(config(CFG_ROUTE_TABLE), 0, ROUTE_HEADER + config(CFG_ROUTES) * ROUTE_SIZE);
  bindRoutes();
}

/** Binds this instance to the table. */
export function bindRoutes(): void {
  header = changetype<RouteHeader>(config(CFG_ROUTE_TABLE));
  table = config(CFG_ROUTE_TABLE) + ROUTE_HEADER;
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

/** The network that `addRoute` or `removeRoute` was given, of one version and without host bits. */
let networkHigh: u64 = 0;
let networkLow: u64 = 0;
let networkVersion: u32 = 0;

/**
 * Adds a route, or changes the gateway of the one with the same destination and prefix; at any time, by
 * one thread at a time. Addresses are 16 bytes as four words in memory order.
 *
 * @param prefix bits of an address of its version that must agree; host bits are ignored
 * @returns RC_OK, RC_INVAL for a prefix that is too long or a gateway that is no host or of another
 *   version, RC_NOMEM when the table is full, RC_AGAIN when it is but for routes that were just removed
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
  const gatewayHigh = u64(g0) | (u64(g1) << 32);
  const gatewayLow = u64(g2) | (u64(g3) << 32);
  if (!setNetwork(d0, d1, d2, d3, prefix) || !isGateway(gatewayHigh, gatewayLow)) return RC_INVAL;
  const link = linkTo(prefix);
  const next = load<u32>(link);
  const known = isRoute(next, prefix);
  if (known && networkVersion == 4) {
    changetype<Route>(next).gatewayLow = gatewayLow;
    return RC_OK;
  }
  const at = freeEntry();
  if (at == 0) return header.begun != header.ended ? RC_AGAIN : RC_NOMEM;
  const route = changetype<Route>(at);
  route.high = networkHigh;
  route.low = networkLow;
  route.gatewayHigh = gatewayHigh;
  route.gatewayLow = gatewayLow;
  route.mask = networkVersion == 4 ? ipv4Mask(prefix) : 0;
  route.prefix = prefix;
  route.version = networkVersion;
  // A gateway of two words is changed by putting another route in the place of the old one.
  route.next = known ? changetype<Route>(next).next : next;
  route.state = LISTED;
  atomic.store<u32>(link, at);
  if (known) retire(changetype<Route>(next));
  return RC_OK;
}

/**
 * Removes a route, at any time, by the thread that adds them. Arguments are as in `addRoute`.
 *
 * @returns RC_OK, RC_INVAL when there is no such route
 */
export function removeRoute(d0: u32, d1: u32, d2: u32, d3: u32, prefix: u32): i32 {
  bindRoutes();
  if (!setNetwork(d0, d1, d2, d3, prefix)) return RC_INVAL;
  const link = linkTo(prefix);
  const at = load<u32>(link);
  if (!isRoute(at, prefix)) return RC_INVAL;
  atomic.store<u32>(link, changetype<Route>(at).next);
  retire(changetype<Route>(at));
  return RC_OK;
}

/** A route that the list does not lead to any more is free when nobody walks it any more. */
function retire(route: Route): void {
  // The wait that begins next is the first that no walk can outlast.
  route.state = LISTED + header.begun + 1;
  reclaim();
}

/** False when the prefix is longer than an address. */
function setNetwork(d0: u32, d1: u32, d2: u32, d3: u32, prefix: u32): bool {
  networkHigh = u64(d0) | (u64(d1) << 32);
  networkLow = u64(d2) | (u64(d3) << 32);
  if (isMapped(networkHigh, networkLow)) {
    networkVersion = 4;
    networkLow = mappedLow(d3 & ipv4Mask(min<u32>(prefix, 32)));
    return prefix <= 32;
  }
  networkVersion = 6;
  networkHigh &= halfMask(prefix);
  networkLow &= prefix > 64 ? halfMask(prefix - 64) : 0;
  return prefix <= 128;
}

/** None, or another host's address of the network's version. */
function isGateway(high: u64, low: u64): bool {
  if ((high | low) == 0) return true;
  if (networkVersion == 6) return isIpv6Unicast(high, low);
  const gateway = mappedIpv4(low);
  if (!isMapped(high, low) || gateway == localIp) return false;
  return gateway == 0 || (isIpv4Unicast(gateway) && !isBroadcast(gateway));
}

/** Address of the link that leads to the network's route, or to the one that it would come before. */
function linkTo(prefix: u32): u32 {
  let link = changetype<u32>(header);
  while (load<u32>(link) != 0) {
    const route = changetype<Route>(load<u32>(link));
    if (route.prefix < prefix || isRoute(changetype<u32>(route), prefix)) break;
    link = changetype<u32>(route) + offsetof<Route>("next");
  }
  return link;
}

/** True for the route of the network. */
function isRoute(at: u32, prefix: u32): bool {
  if (at == 0) return false;
  const route = changetype<Route>(at);
  return (
    route.prefix == prefix &&
    route.version == networkVersion &&
    route.low == networkLow &&
    route.high == networkHigh
  );
}

/** An entry that nobody walks, or 0. */
function freeEntry(): u32 {
  reclaim();
  for (let at = table; at < tableEnd; at += ROUTE_SIZE) {
    if (changetype<Route>(at).state == FREE) return at;
  }
  return 0;
}

/** Frees the entries whose wait is over, and begins another when there are more. */
function reclaim(): void {
  if (header.begun != header.ended && allHaveMoved()) header.ended = header.begun;
  let waiting = false;
  for (let at = table; at < tableEnd; at += ROUTE_SIZE) {
    const route = changetype<Route>(at);
    if (route.state <= LISTED) continue;
    if (i32(header.ended - (route.state - LISTED)) >= 0) route.state = FREE;
    else waiting = true;
  }
  if (!waiting || header.begun != header.ended) return;
  header.begun++;
  const cores = config(CFG_CORES);
  for (let core: u32 = 0; core < cores; core++) {
    store<u32>(seenCell(core), iterationsOf(core));
  }
}

/** True when every core has begun a poll since the wait began, or is in none. */
function allHaveMoved(): bool {
  const cores = config(CFG_CORES);
  for (let core: u32 = 0; core < cores; core++) {
    const block = config(CFG_CORE_BLOCKS) + core * CORE_SIZE;
    if (atomic.load<u32>(block + CORE_ATTACHED) == 0) continue;
    if (atomic.load<u32>(block + CORE_PARKED) != 0) continue;
    if (iterationsOf(core) == load<u32>(seenCell(core))) return false;
  }
  return true;
}

function iterationsOf(core: u32): u32 {
  return atomic.load<u32>(config(CFG_CORE_BLOCKS) + core * CORE_SIZE + CNT_ITERATIONS);
}

function seenCell(core: u32): u32 {
  return changetype<u32>(header) + SEEN + (core << 2);
}

/**
 * The address on the attached link that a packet to `destination` is handed to: the destination
 * itself, or a gateway. Broadcasts stay on the link; what is for this host itself goes to its own MAC,
 * and the NIC brings it back. 0 when there is no route; so it is for 0/8 and 127/8, and for multicast.
 */
export function nextHop(destination: u32): u32 {
  if (isBroadcast(destination) || destination == localIp) return destination;
  if (!isIpv4Unicast(destination)) return 0;
  let at = header.first;
  let attachedSeen = false;
  while (at != 0) {
    const route = changetype<Route>(at);
    at = route.next;
    if (route.version != 4) continue;
    if (route.prefix <= attachedPrefix && !attachedSeen) {
      if (isAttached(destination)) return destination;
      attachedSeen = true;
    }
    if ((destination & route.mask) == mappedIpv4(route.low)) {
      const gateway = mappedIpv4(route.gatewayLow);
      return gateway != 0 ? gateway : destination;
    }
  }
  return !attachedSeen && isAttached(destination) ? destination : 0;
}

/** What `findNextHop6` found. */
export let nextHopHigh: u64 = 0;
export let nextHopLow: u64 = 0;

/**
 * Finds the address on the attached link that an IPv6 packet is handed to, into `nextHopHigh` and
 * `nextHopLow`: the destination itself, the gateway of a route, or a router that announced itself. False
 * when there is no way.
 */
export function findNextHop6(high: u64, low: u64): bool {
  nextHopHigh = high;
  nextHopLow = low;
  if (isIpv6Multicast(high)) return true;
  if (!isIpv6Unicast(high, low)) return false;
  if (isOnLink(high, low) || isOwnAddress(high, low)) return true;
  for (let at = header.first; at != 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    if (route.version != 6 || !samePrefix(route.high, route.low, high, low, route.prefix)) continue;
    if ((route.gatewayHigh | route.gatewayLow) != 0) {
      nextHopHigh = route.gatewayHigh;
      nextHopLow = route.gatewayLow;
    }
    return true;
  }
  if (!chooseRouter()) return false;
  nextHopHigh = routerHigh;
  nextHopLow = routerLow;
  return true;
}
