/**
 * Neighbours: the MAC address of every host on the attached link that packets go to, and what is
 * known of their reachability. The states follow RFC 4861 section 7.3.2, over ARP as over neighbour
 * discovery:
 *
 *   UNRESOLVED ── a packet wants to go out ──→ INCOMPLETE ── no answer to 3 requests ──→ UNRESOLVED
 *                                                  │ answer
 *   STALE ←── refresh time over, not used ── REACHABLE ←── answer, or progress of TCP ──┐
 *     └──────── a packet goes out ─────────→ PROBE ←── refresh time over, in use ───────┤
 *                                              └── no answer to 3 unicast requests ──→ UNRESOLVED
 *
 * PROBE before its first request is the RFC's DELAY. STATIC entries never change. A timer runs only in INCOMPLETE, REACHABLE and PROBE, so a network
 * that is silent comes to rest.
 */
import {
  CFG_CORES,
  CFG_NEIGHBOUR_REFRESH,
  CNT_DROP_NEIGHBOUR_TABLE,
  CORE_ID,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
} from "../abi";
import { config, coreBlock, localIp, macHead, macTail } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { txPut, txRoom } from "../nic/rings";
import { now } from "../time/clock";
import { addTimer, cancelTimer, Timer } from "../time/wheel";
import {
  BROADCAST_HEAD,
  BROADCAST_TAIL,
  emitEthernetHeader,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ipv4GroupHead,
  ipv4GroupTail,
  ipv6GroupHead,
  ipv6GroupTail,
  isGroupMac,
} from "../wire/ethernet";
import { IPV4_BROADCAST, isIpv4Multicast, isIpv4Unicast } from "../wire/ipv4";
import { isIpv6Multicast, isIpv6Unicast, isMapped, mappedIpv4, mappedLow } from "../wire/ipv6";
import { sendArpRequest } from "./arp";
import {
  bindNeighbourTable,
  clearNeighbourTable,
  dropNeighbour,
  findNeighbour,
  INCOMPLETE,
  makeNeighbour,
  Neighbour,
  neighbourAt,
  PROBE,
  REACHABLE,
  setMac,
  STALE,
  STATIC,
  timerOf,
  UNRESOLVED,
} from "./neighbour-table";
import { isOwnAddress } from "./interface";
import {
  abandonPending,
  abandonWaiting,
  appendPending,
  bindPending,
  discardPending,
  flushPending,
} from "./pending";
import { isBroadcast, networkBroadcast } from "./routes";
import { sendSolicitation } from "./solicit";

export { findNeighbour, holdNeighbour, Neighbour, releaseNeighbour } from "./neighbour-table";

/** Requests per round, and the time an answer may take, µs (RFC 1122 2.3.2.1: one per second). */
const MAX_REQUESTS: u32 = 3;
const REQUEST_INTERVAL: u32 = 1_000_000;
/** How long a stale IPv6 neighbour may be used before it is asked, µs (RFC 4861 section 10). */
const DELAY_FIRST_PROBE: u32 = 5_000_000;
/** Longest refresh time, µs: instants are compared modulo 2^32. */
const MAX_REFRESH: u32 = 1 << 30;
let refresh: u32 = 0;

/** Empties the tables of all cores. Once per dataplane, after `prepareRoutes`. */
export function prepareNeighbours(): void {
  for (let core: u32 = 0; core < config(CFG_CORES); core++) {
    bindNeighbourTable(core);
    clearNeighbourTable();
    addStatic(0, mappedLow(IPV4_BROADCAST), BROADCAST_HEAD, BROADCAST_TAIL);
    addStatic(0, mappedLow(networkBroadcast()), BROADCAST_HEAD, BROADCAST_TAIL);
    // Packets to this host itself go to the NIC like all others, which brings them back.
    addStatic(0, mappedLow(localIp), macHead, macTail);
  }
}

/** Binds this core's instance to its table. */
export function bindNeighbours(): void {
  bindNeighbourTable(load<u32>(coreBlock + CORE_ID));
  refresh = min<u32>(config(CFG_NEIGHBOUR_REFRESH), MAX_REFRESH);
  bindPending();
}

/**
 * Makes a static entry on every core. To be called between `initialize` and `attach`.
 *
 * @param a0, a1, a2, a3 the 16-byte address as four words in memory order
 * @param head, tail first four and last two bytes of the MAC as they lie in memory
 * @returns RC_OK, RC_INVAL for an address no host can have, RC_NOMEM
 */
export function addNeighbour(a0: u32, a1: u32, a2: u32, a3: u32, head: u32, tail: u32): i32 {
  const high = u64(a0) | (u64(a1) << 32);
  const low = u64(a2) | (u64(a3) << 32);
  const host = isMapped(high, low)
    ? isIpv4Unicast(a3) && !isBroadcast(a3)
    : isIpv6Unicast(high, low);
  if (!host) return RC_INVAL;
  if (isGroupMac(head) || tail > 0xffff || (head | tail) == 0) return RC_INVAL;
  for (let core: u32 = 0; core < config(CFG_CORES); core++) {
    bindNeighbourTable(core);
    if (!addStatic(high, low, head, tail)) return RC_NOMEM;
  }
  return RC_OK;
}

function addStatic(high: u64, low: u64, head: u32, tail: u32): bool {
  const entry = neighbourOf(high, low);
  if (entry == null) return false;
  cancelTimer(timerOf(entry));
  setMac(entry, head, tail);
  entry.state = STATIC;
  flushPending(entry);
  return true;
}

/** The entry of an IPv4 address on the attached link, as `nextHop` gave it. */
export function neighbourFor(ip: u32): Neighbour | null {
  return neighbourOf(0, mappedLow(ip));
}

/**
 * The entry of an address on the attached link; made when there is none, which sends nothing yet. That
 * of a group has its MAC at once. Null when the table is full of entries in use.
 */
export function neighbourOf(high: u64, low: u64): Neighbour | null {
  let entry = findNeighbour(high, low);
  if (entry != null) return entry;
  entry = makeNeighbour(high, low, STATIC);
  if (entry == null) {
    count(CNT_DROP_NEIGHBOUR_TABLE);
    return null;
  }
  if (isMapped(high, low)) {
    const group = mappedIpv4(low);
    if (isIpv4Multicast(group)) becomeKnown(entry, ipv4GroupHead(group), ipv4GroupTail(group));
  } else if (isIpv6Multicast(high)) {
    becomeKnown(entry, ipv6GroupHead(low), ipv6GroupTail(low));
  } else if (isOwnAddress(high, low)) {
    // To this host itself, by way of the NIC.
    becomeKnown(entry, macHead, macTail);
  }
  return entry;
}

/** Nobody is to be asked for the MAC; without a timer the entry stays until its room is needed. */
function becomeKnown(n: Neighbour, head: u32, tail: u32): void {
  setMac(n, head, tail);
  n.state = REACHABLE;
}

/** True when frames to this neighbour can be sent at once, with `emitEthernet`. */
export function isResolved(n: Neighbour): bool {
  return n.state >= STALE;
}

/** What TCP says when a segment from behind the neighbour acknowledged something new (RFC 4861 7.3.1). */
export function confirmNeighbour(n: Neighbour): void {
  n.confirmedAt = now;
}

/** Writes the Ethernet header of an IP packet to a resolved neighbour, which is thereby in use. */
export function emitEthernet(frame: u32, n: Neighbour): void {
  n.usedAt = now;
  if (n.state == STALE) doubt(n);
  const type = isMapped(n.high, n.low) ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  emitEthernetHeader(frame, n.macHead, n.macTail, macHead, macTail, type);
}

/**
 * Sends a frame whose IP packet is complete, or lets it wait for the neighbour's address. The
 * caller keeps its own hold of the buffer.
 *
 * @param frame where the Ethernet header goes; the packet follows it, in the buffer's own frame
 * @param length of the frame, Ethernet header included
 * @param options `DESC_*` of the descriptor
 * @returns false when the frame was dropped, which has been counted
 */
export function sendPacket(
  n: Neighbour,
  buffer: Buffer,
  frame: u32,
  length: u32,
  options: u32,
): bool {
  if (isResolved(n)) {
    if (!txRoom(1)) return false;
    emitEthernet(frame, n);
    txPut(buffer, frame, length, options);
    return true;
  }
  n.usedAt = now;
  const queued = appendPending(n, buffer, frame, length, options);
  resolve(n);
  return queued;
}

/** Asks for a neighbour's MAC, unless that is known or being asked for. */
export function resolve(n: Neighbour): void {
  if (n.state != UNRESOLVED) return;
  n.state = INCOMPLETE;
  n.requests = 0;
  request(n);
}

/**
 * Takes in what an ARP packet or a solicitation said about its sender (RFC 826's merge, RFC 4861 section
 * 7.2.3).
 *
 * @param answer true when it answers a request of ours, which proves that the neighbour hears us
 * @param create true to make an entry where there is none, unless that costs a reachable one
 */
export function learnNeighbour(
  high: u64,
  low: u64,
  head: u32,
  tail: u32,
  answer: bool,
  create: bool,
): void {
  let n = findNeighbour(high, low);
  if (n == null) {
    if (!create) return;
    n = makeNeighbour(high, low, REACHABLE);
    if (n == null) return;
  }
  const state: u32 = n.state;
  if (state == STATIC) return;
  const moved = n.macHead != head || n.macTail != tail;
  setMac(n, head, tail);
  if (answer && (state == INCOMPLETE || state == PROBE)) {
    cancelTimer(timerOf(n));
    n.confirmedAt = now;
    becomeReachable(n);
  } else if (moved || state <= INCOMPLETE) {
    // Somebody says so, unasked: good enough to send, to be proved by a probe.
    becomeStale(n);
  }
  flushPending(n);
}

/**
 * Takes in a neighbour advertisement (RFC 4861 section 7.2.5).
 *
 * @param named false when it names no MAC; `head` and `tail` mean nothing then
 */
export function learnAdvertised(
  high: u64,
  low: u64,
  head: u32,
  tail: u32,
  named: bool,
  solicited: bool,
  overrides: bool,
): void {
  const n = findNeighbour(high, low);
  if (n == null || n.state == STATIC) return;
  const state: u32 = n.state;
  const moved = named && (n.macHead != head || n.macTail != tail);
  if (state <= INCOMPLETE) {
    if (!named) return;
  } else if (moved && !overrides) {
    if (state == REACHABLE) becomeStale(n);
    return;
  }
  if (named) setMac(n, head, tail);
  if (solicited) {
    cancelTimer(timerOf(n));
    n.confirmedAt = now;
    becomeReachable(n);
  } else if (moved || state <= INCOMPLETE) {
    becomeStale(n);
  }
  flushPending(n);
}

/** What the core calls when an entry's timer has expired. */
export function neighbourTimer(timer: Timer): void {
  const n = changetype<Neighbour>(timer);
  switch (u32(n.state)) {
    case INCOMPLETE: {
      if (n.requests < MAX_REQUESTS) request(n);
      else giveUp(n);
      break;
    }
    case REACHABLE: {
      if (isConfirmed(n)) {
        becomeReachable(n);
      } else if (now - n.usedAt < refresh) {
        n.state = PROBE;
        n.requests = 0;
        request(n);
      } else {
        n.state = STALE;
      }
      break;
    }
    case PROBE: {
      if (isConfirmed(n)) becomeReachable(n);
      else if (n.requests < MAX_REQUESTS) request(n);
      else giveUp(n);
      break;
    }
    default:
  }
}

function becomeStale(n: Neighbour): void {
  cancelTimer(timerOf(n));
  n.state = STALE;
}

function isConfirmed(n: Neighbour): bool {
  return now - n.confirmedAt < refresh;
}

function becomeReachable(n: Neighbour): void {
  n.state = REACHABLE;
  addTimer(timerOf(n), n.confirmedAt + refresh);
}

/** A stale neighbour is used again: it is asked soon, unless TCP hears of it before. */
function doubt(n: Neighbour): void {
  n.state = PROBE;
  n.requests = 0;
  n.confirmedAt = now - refresh;
  addTimer(timerOf(n), now + (isMapped(n.high, n.low) ? REQUEST_INTERVAL : DELAY_FIRST_PROBE));
}

/** Sends the next request of the round: to the known address in PROBE, to all in INCOMPLETE. */
function request(n: Neighbour): void {
  n.requests++;
  const known = n.state == PROBE;
  if (!isMapped(n.high, n.low)) sendSolicitation(n, known);
  else if (known) sendArpRequest(mappedIpv4(n.low), n.macHead, n.macTail);
  else sendArpRequest(mappedIpv4(n.low), BROADCAST_HEAD, BROADCAST_TAIL);
  addTimer(timerOf(n), now + REQUEST_INTERVAL);
}

/** No answer: the address is forgotten, whoever waits is told, and the next packet asks anew. */
function giveUp(n: Neighbour): void {
  n.state = UNRESOLVED;
  setMac(n, 0, 0);
  discardPending(n);
  if (n.state == UNRESOLVED && n.users == 0) dropNeighbour(n);
}

/**
 * Makes the table one that holds nothing when its core's thread was lost: no timers, no frames that wait,
 * nobody who keeps an entry. What is known of the neighbours remains.
 */
export function abandonNeighbours(): void {
  let index: u32 = 0;
  for (let n = neighbourAt(index); n != null; n = neighbourAt(++index)) {
    n.timerNext = 0;
    n.timerPrev = 0;
    abandonPending(n);
    n.users = 0;
    if (n.state == INCOMPLETE) n.state = UNRESOLVED;
    else if (n.state == PROBE || n.state == REACHABLE) n.state = STALE;
  }
  abandonWaiting();
}
