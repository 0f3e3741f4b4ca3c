/**
 * Default routers (RFC 4861 section 6.3): asked for at the start, believed for as long as they say, and
 * chosen among by who answers.
 */
import { CFG_TTL } from "../abi";
import { config, mtu } from "../core/config";
import { nowWide } from "../time/clock";
import { IPV6_MTU_MIN } from "../wire/ipv6";
import { isAutoconfigured, isSpeaker } from "./interface";
import { armInterface } from "./interface-timer";
import { STALE } from "./neighbour-table";
import { findNeighbour } from "./neighbours";
import { NET_INTERFACE, NET_ROUTERS, netState } from "./net-state";
import { drawBelow } from "./random";
import { sendRouterSolicitation } from "./solicit";

@final
@unmanaged
class Router {
  high: u64;
  low: u64;
  /** µs; 0 in a free entry. */
  until: u64;
  unused: u64;
}

/** What routers said of the link, and how far asking for them has come. */
@final
@unmanaged
class Link {
  /** When to ask next, µs. */
  askAt: u64;
  /** Solicitations that are left to send. */
  asks: u32;
  /** The link's MTU and hop limit as advertised, 0 for none. */
  mtu: u32;
  hopLimit: u32;
}

const ROUTERS: u32 = 4;
const ROUTER_SIZE: u32 = 32;
/** RFC 4861 section 10: three solicitations, four seconds apart, the first within a second. */
const SOLICITATIONS: u32 = 3;
const SOLICITATION_INTERVAL: u64 = 4_000_000;
const FIRST_DELAY: u32 = 1_000_000;
/** Lets the link-local address become ours first, µs. */
const AFTER_DETECTION: u64 = 2_000_000;

let routers: u32 = 0;
let routersEnd: u32 = 0;
let link = changetype<Link>(0);

/** What `chooseRouter` chose. */
export let routerHigh: u64 = 0;
export let routerLow: u64 = 0;

/** Binds this instance to the core's list. */
export function bindRouters(): void {
  routers = netState(NET_ROUTERS);
  routersEnd = routers + ROUTERS * ROUTER_SIZE;
  link = changetype<Link>(netState(NET_INTERFACE));
}

/** Begins asking. */
export function prepareRouters(): void {
  if (!isAutoconfigured() || !isSpeaker()) return;
  link.asks = SOLICITATIONS;
  link.askAt = nowWide + AFTER_DETECTION + drawBelow(FIRST_DELAY);
  armInterface(link.askAt);
}

/** The largest IPv6 packet on the link. */
export function linkMtu6(): u32 {
  return link.mtu != 0 ? link.mtu : mtu;
}

/** Hop limit of packets sent. */
export function hopLimit(): u32 {
  return link.hopLimit != 0 ? link.hopLimit : config(CFG_TTL);
}

/** Chooses a default router: one that answers, if there is one. False when there is no router. */
export function chooseRouter(): bool {
  let found = false;
  for (let at = routers; at < routersEnd; at += ROUTER_SIZE) {
    const router = changetype<Router>(at);
    if (router.until <= nowWide) continue;
    const neighbour = findNeighbour(router.high, router.low);
    const answers = neighbour != null && neighbour.state >= STALE;
    if (found && !answers) continue;
    routerHigh = router.high;
    routerLow = router.low;
    found = true;
    if (answers) break;
  }
  return found;
}

/** Takes in a router advertisement's own fields; `seconds` 0 ends it. */
export function routerAdvertised(high: u64, low: u64, seconds: u32, hops: u32): void {
  if (!isAutoconfigured()) return;
  // Whoever has answered need not be asked again (section 6.3.7).
  link.asks = 0;
  if (hops != 0) link.hopLimit = hops;
  if (seconds == 0) {
    routerGone(high, low);
    return;
  }
  let free: u32 = 0;
  for (let at = routers; at < routersEnd; at += ROUTER_SIZE) {
    const router = changetype<Router>(at);
    if (router.until <= nowWide) {
      if (free == 0) free = at;
    } else if (router.low == low && router.high == high) {
      free = at;
      break;
    }
  }
  if (free == 0) return;
  const router = changetype<Router>(free);
  router.high = high;
  router.low = low;
  router.until = nowWide + u64(seconds) * 1_000_000;
}

/** A router is one no more. */
export function routerGone(high: u64, low: u64): void {
  for (let at = routers; at < routersEnd; at += ROUTER_SIZE) {
    const router = changetype<Router>(at);
    if (router.low == low && router.high == high) router.until = 0;
  }
}

/** Takes in an MTU option; values that make no sense for the link are ignored (section 6.3.4). */
export function linkMtuAdvertised(size: u32): void {
  if (isAutoconfigured() && size >= IPV6_MTU_MIN && size <= mtu) link.mtu = size;
}

/** Asks for routers when it is time; returns when that is due again, µs. */
export function runRouters(): u64 {
  if (link.asks == 0) return u64.MAX_VALUE;
  if (nowWide >= link.askAt) {
    link.asks--;
    link.askAt = nowWide + SOLICITATION_INTERVAL;
    sendRouterSolicitation();
  }
  return link.asks == 0 ? u64.MAX_VALUE : link.askAt;
}
