/**
 * Routes: which neighbour an IPv4 packet goes to next. They form a list, longest prefix first, so the
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
  RC_NOTSUP,
  RC_OK,
  ROUTE_HEADER,
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

/**
 * Adds a route, or changes the gateway of the one with the same destination and prefix; at any time, by
 * one thread at a time. Addresses are 16 bytes as four words in memory order; only IPv4-mapped ones are
 * routed so far.
 *
 * @param prefix bits of the IPv4 address that must agree; host bits of the destination are ignored
 * @returns RC_OK, RC_NOTSUP for IPv6, RC_INVAL for a prefix over 32 or a gateway that is no host,
 *   RC_NOMEM when the table is full, RC_AGAIN when it is but for routes that were just removed
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
  const link = linkTo(destination, prefix);
  const next = load<u32>(link);
  if (isRoute(next, destination, prefix)) {
    changetype<Route>(next).gateway = g3;
    return RC_OK;
  }
  const at = freeEntry();
  if (at == 0) return header.begun != header.ended ? RC_AGAIN : RC_NOMEM;
  const route = changetype<Route>(at);
  route.destination0 = 0;
  route.destination2 = MAPPED_PREFIX;
  route.destination = destination;
  route.gateway0 = 0;
  route.gateway2 = MAPPED_PREFIX;
  route.gateway = g3;
  route.mask = mask;
  route.prefix = prefix;
  route.next = next;
  route.state = LISTED;
  atomic.store<u32>(link, at);
  return RC_OK;
}

/**
 * Removes a route, at any time, by the thread that adds them. Arguments are as in `addRoute`.
 *
 * @returns RC_OK, RC_NOTSUP for IPv6, RC_INVAL when there is no such route
 */
export function removeRoute(d0: u32, d1: u32, d2: u32, d3: u32, prefix: u32): i32 {
  bindRoutes();
  if ((d0 | d1) != 0 || d2 != MAPPED_PREFIX) return RC_NOTSUP;
  if (prefix > 32) return RC_INVAL;
  const destination = d3 & ipv4Mask(prefix);
  const link = linkTo(destination, prefix);
  const at = load<u32>(link);
  if (!isRoute(at, destination, prefix)) return RC_INVAL;
  const route = changetype<Route>(at);
  atomic.store<u32>(link, route.next);
  // The wait that begins next is the first that no walk can outlast.
  route.state = LISTED + header.begun + 1;
  reclaim();
  return RC_OK;
}

/** Address of the link that leads to the route, or to the one that it would come before. */
function linkTo(destination: u32, prefix: u32): u32 {
  let link = changetype<u32>(header);
  while (load<u32>(link) != 0) {
    const route = changetype<Route>(load<u32>(link));
    if (route.prefix < prefix || isRoute(changetype<u32>(route), destination, prefix)) break;
    link = changetype<u32>(route) + offsetof<Route>("next");
  }
  return link;
}

function isRoute(at: u32, destination: u32, prefix: u32): bool {
  if (at == 0) return false;
  const route = changetype<Route>(at);
  return route.prefix == prefix && route.destination == destination;
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
    if (route.prefix <= attachedPrefix && !attachedSeen) {
      if (isAttached(destination)) return destination;
      attachedSeen = true;
    }
    if ((destination & route.mask) == route.destination) {
      return route.gateway != 0 ? route.gateway : destination;
    }
    at = route.next;
  }
  return !attachedSeen && isAttached(destination) ? destination : 0;
}
