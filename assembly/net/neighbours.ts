/**
 * Neighbours: the MAC address of every host on the attached link that packets go to, and what is
 * known of their reachability. The states follow RFC 4861 section 7.3.2, over ARP:
 *
 *   UNRESOLVED ── a packet wants to go out ──→ INCOMPLETE ── no answer to 3 requests ──→ UNRESOLVED
 *                                                  │ answer
 *   STALE ←── refresh time over, not used ── REACHABLE ←── answer, or progress of TCP ──┐
 *     └──────── a packet goes out ─────────→ PROBE ←── refresh time over, in use ───────┤
 *                                              └── no answer to 3 unicast requests ──→ UNRESOLVED
 *
 * STATIC entries never change. A timer runs only in INCOMPLETE, REACHABLE and PROBE, so a network
 * that is silent comes to rest.
 */
import {
  CFG_CORES,
  CFG_NEIGHBOUR_REFRESH,
  CNT_DROP_NEIGHBOUR_TABLE,
  CORE_ID,
  RC_INVAL,
  RC_NOMEM,
  RC_NOTSUP,
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
  isGroupMac,
} from "../wire/ethernet";
import { IPV4_BROADCAST, isIpv4Unicast, MAPPED_PREFIX } from "../wire/ipv4";
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
import {
  abandonPending,
  abandonWaiting,
  appendPending,
  bindPending,
  discardPending,
  flushPending,
} from "./pending";
import { isBroadcast, networkBroadcast } from "./routes";

export { findNeighbour, holdNeighbour, Neighbour, releaseNeighbour } from "./neighbour-table";

/** Requests per round, and the time an answer may take, µs (RFC 1122 2.3.2.1: one per second). */
const MAX_REQUESTS: u32 = 3;
const REQUEST_INTERVAL: u32 = 1_000_000;
/** Longest refresh time, µs: instants are compared modulo 2^32. */
const MAX_REFRESH: u32 = 1 << 30;
let refresh: u32 = 0;

/** Empties the tables of all cores. Once per dataplane, after `prepareRoutes`. */
export function prepareNeighbours(): void {
  for (let core: u32 = 0; core < config(CFG_CORES); core++) {
    bindNeighbourTable(core);
    clearNeighbourTable();
    addStatic(IPV4_BROADCAST, BROADCAST_HEAD, BROADCAST_TAIL);
    addStatic(networkBroadcast(), BROADCAST_HEAD, BROADCAST_TAIL);
    // Packets to this host itself go to the NIC like all others, which brings them back.
    addStatic(localIp, macHead, macTail);
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
 * @returns RC_OK, RC_NOTSUP for IPv6, RC_INVAL for an address no host can have, RC_NOMEM
 */
export function addNeighbour(a0: u32, a1: u32, a2: u32, a3: u32, head: u32, tail: u32): i32 {
  if ((a0 | a1) != 0 || a2 != MAPPED_PREFIX) return RC_NOTSUP;
  if (!isIpv4Unicast(a3) || isBroadcast(a3)) return RC_INVAL;
  if (isGroupMac(head) || tail > 0xffff || (head | tail) == 0) return RC_INVAL;
  for (let core: u32 = 0; core < config(CFG_CORES); core++) {
    bindNeighbourTable(core);
    if (!addStatic(a3, head, tail)) return RC_NOMEM;
  }
  return RC_OK;
}

function addStatic(ip: u32, head: u32, tail: u32): bool {
  const entry = neighbourFor(ip);
  if (entry == null) return false;
  cancelTimer(timerOf(entry));
  setMac(entry, head, tail);
  entry.state = STATIC;
  flushPending(entry);
  return true;
}

/**
 * The entry of an address on the attached link, as `nextHop` gave it; made when there is none, which
 * sends nothing yet. Null when the table is full of entries in use.
 */
export function neighbourFor(ip: u32): Neighbour | null {
  let entry = findNeighbour(ip);
  if (entry == null) {
    entry = makeNeighbour(ip, STATIC);
    if (entry == null) count(CNT_DROP_NEIGHBOUR_TABLE);
  }
  return entry;
}

/** True when frames to this neighbour can be sent at once, with `emitEthernet`. */
export function isResolved(n: Neighbour): bool {
  return n.state >= STALE;
}

/** What TCP says when a segment from behind the neighbour acknowledged something new (RFC 4861 7.3.1). */
export function confirmNeighbour(n: Neighbour): void {
  n.confirmedAt = now;
}

/** Writes the Ethernet header of an IPv4 packet to a resolved neighbour, which is thereby in use. */
export function emitEthernet(frame: u32, n: Neighbour): void {
  n.usedAt = now;
  if (n.state == STALE) doubt(n);
  emitEthernetHeader(frame, n.macHead, n.macTail, macHead, macTail, ETHERTYPE_IPV4);
}

/**
 * Sends a frame whose IPv4 packet is complete, or lets it wait for the neighbour's address. The
 * caller keeps its own hold of the buffer.
 *
 * @param frame where the Ethernet header goes; the packet follows it, in the buffer's own frame
 * @param length of the frame, Ethernet header included
 * @param options `DESC_*` of the descriptor
 * @returns false when the frame was dropped, which has been counted
 */
export function sendIpv4(
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
  if (n.state == UNRESOLVED) {
    n.state = INCOMPLETE;
    n.requests = 0;
    request(n);
  }
  return queued;
}

/**
 * Takes in what an ARP packet said about its sender (RFC 826's merge).
 *
 * @param answer true when it answers a request of ours, which proves that the neighbour hears us
 * @param create true to make an entry where there is none, unless that costs a reachable one
 */
export function learnNeighbour(ip: u32, head: u32, tail: u32, answer: bool, create: bool): void {
  let n = findNeighbour(ip);
  if (n == null) {
    if (!create) return;
    n = makeNeighbour(ip, REACHABLE);
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
    cancelTimer(timerOf(n));
    n.state = STALE;
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
  addTimer(timerOf(n), now + REQUEST_INTERVAL);
}

/** Sends the next request of the round: to the known address in PROBE, to all in INCOMPLETE. */
function request(n: Neighbour): void {
  n.requests++;
  if (n.state == PROBE) sendArpRequest(n.ip, n.macHead, n.macTail);
  else sendArpRequest(n.ip, BROADCAST_HEAD, BROADCAST_TAIL);
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
