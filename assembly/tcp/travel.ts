/**
 * A connection on its way from one core to another. On the old core it is frozen, so that nothing
 * happens to it any more, and parted from everything that is that core's: lists, counts, neighbour. On
 * the new one it is entered into the like. While it travels, its cold part carries along
 *
 *   moving      M_LEFT, and what the new core must know (`M_*`)
 *   noticeNext  the next connection that travels with it
 *
 * and the links of its timer, which is on no wheel, the next hop's MAC address as the old core knew it, or 0.
 *
 * Deadlines stay in the TCB; only the wheel's timer is taken down and set up again.
 */
import {
  ARRIVED_CONNECTING,
  ENDPOINT_PORT,
  EV_ARRIVED,
  EV_LEFT,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  RC_AGAIN,
  RC_NOBUFS,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_UNREACHABLE,
} from "../abi";
import { coreBlock } from "../core/config";
import { gauge } from "../core/counters";
import { STATE_ENDPOINTS } from "../core/state";
import { isCallable } from "../flow/groups";
import { allocFrame, Buffer, hasFrame, release } from "../mem/buffers";
import { holdNeighbour, Neighbour } from "../net/neighbour-table";
import { isResolved, learnNeighbour, neighbourFor, releaseNeighbour } from "../net/neighbours";
import { extendEvent, pushEvent } from "../user/events";
import { IPV4_BROADCAST } from "../wire/ipv4";
import { nextNotice, scheduleNotice, scheduleOutput, takeNotices } from "./agenda";
import { rearm, stopTimer } from "./deadlines";
import { payloadPlace } from "./emit";
import { kill, linkTimeWait, reset, unlinkTimeWait } from "./end";
import { joinHalfOpen, leaveHalfOpen } from "./fast-open";
import { enterBacklog, findListener, leaveBacklog } from "./listeners";
import { rebuildScoreboard } from "./scoreboard";
import { SENT_ELSEWHERE } from "./send";
import { severQueue } from "./send-queue";
import { CLOSED, DONE, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./states";
import {
  asTcb,
  coldOf,
  C_CORKED,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_APP_CLOSED,
  F_BLOCKED,
  F_CONNECTING,
  F_DIE,
  F_EOF,
  F_EOF_ANNOUNCED,
  F_FIN_QUEUED,
  F_IN_BACKLOG,
  F_KNOWN,
  F_MORE,
  F_NAGLE,
  F_ON_AGENDA,
  F_OWNED,
  F_QUIET,
  F_REFERENCES,
  F_STARVED,
  F_UNANNOUNCED,
  F_UNREPORTED,
  M_CONDEMNED,
  M_HANDSHAKE,
  M_IN_BACKLOG,
  M_KNOWN,
  M_LEFT,
  R_HALF_OPEN,
  Tcb,
} from "./tcb";
import {
  hopHigh,
  hopLow,
  hopNeighbour,
  isRoutable,
  remoteHigh,
  remoteLow,
  setConnection,
} from "./tuple";

/** What the application was to be told, or was told, that means nothing to the next one. */
const APPLICATION_FLAGS: u32 =
  F_OWNED |
  F_NAGLE |
  F_QUIET |
  F_BLOCKED |
  F_MORE |
  F_STARVED |
  F_UNREPORTED |
  F_REFERENCES |
  F_CONNECTING |
  F_EOF_ANNOUNCED;

/** What a connection may owe the network besides data; most do not. */
const OWED: u32 = F_ACK_NOW | F_ACK_PENDING | F_FIN_QUEUED;

/** Bytes from one endpoint record of `arrived` to the next. */
const ENDPOINT_STRIDE: u32 = 32;

/**
 * Strikes connections of leaving groups off the notices; those that only wait for the application to be
 * told of their end stay until it was.
 */
export function withdrawNotices(): void {
  let at = takeNotices();
  while (at != 0) {
    const tcb = asTcb(at);
    at = nextNotice(tcb);
    if (isCallable(tcb.hash) || tcb.flags & F_DIE || tcb.state == CLOSED) scheduleNotice(tcb);
  }
}

/**
 * Stops a connection: its timer, its place on lists, its references to the application's memory.
 *
 * @returns RC_OK; RC_AGAIN when something must happen first that will; RC_NOBUFS when there are no frames
 *   to copy what it refers to
 */
export function freeze(tcb: Tcb): i32 {
  if (tcb.flags & (F_DIE | F_ON_AGENDA)) return RC_AGAIN;
  // A frame that waits for the neighbour's address is of no use on another core.
  if (tcb.state != DONE && tcb.neighbour.pending != 0) return RC_AGAIN;
  if (!copyReferences(tcb)) return RC_NOBUFS;
  stopTimer(tcb);
  if (tcb.state == TIME_WAIT) unlinkTimeWait(tcb);
  coldOf(tcb).moving |= <u8>M_LEFT;
  return RC_OK;
}

/** Takes `freeze` back. */
export function thaw(tcb: Tcb): void {
  coldOf(tcb).moving &= ~(<u8>M_LEFT);
  if (tcb.state == TIME_WAIT) linkTimeWait(tcb);
  if (tcb.state == DONE) return;
  rearm(tcb);
  scheduleOutput(tcb);
  if (tcb.flags & (F_UNANNOUNCED | F_STARVED | F_UNREPORTED)) scheduleNotice(tcb);
}

/** Parts a frozen connection from this core, and tells its application. The event array has room. */
export function part(tcb: Tcb, target: u32): void {
  const cold = coldOf(tcb);
  const flags = tcb.flags;
  if (flags & F_KNOWN) {
    pushEvent(EV_LEFT, tcb.handle, tcb.cookie, 0, target, 0);
    if (!(flags & F_APP_CLOSED)) cold.moving |= <u8>M_KNOWN;
  }
  if (flags & F_IN_BACKLOG) {
    leaveBacklog(tcb);
    cold.moving |= <u8>M_IN_BACKLOG;
  }
  if (cold.repair & R_HALF_OPEN) leaveHalfOpen(tcb);
  tcb.flags &= ~F_KNOWN;
  tcb.timerNext = 0;
  tcb.timerPrev = 0;
  if (tcb.state != DONE) {
    const neighbour = tcb.neighbour;
    setConnection(tcb);
    const current = isRoutable() && neighbour.low == hopLow && neighbour.high == hopHigh;
    if (current && isResolved(neighbour)) {
      tcb.timerNext = neighbour.macHead;
      tcb.timerPrev = neighbour.macTail;
    }
    releaseNeighbour(neighbour);
  }
  gauge(GAUGE_BUFFERS, -i32(buffersOf(tcb)));
  gauge(GAUGE_CONNECTIONS, -1);
}

/**
 * Makes a connection this core's, and tells the application of it if another one knew it. The event
 * array has room.
 *
 * @param source the core it comes from
 * @param arrived ARRIVED_* flags of all connections that come with it
 * @param index of the connection among those of this poll, for its endpoint record
 */
export function enter(tcb: Tcb, source: u32, arrived: u32, index: u32): void {
  const cold = coldOf(tcb);
  const moving = cold.moving;
  const known = (moving & M_KNOWN) != 0;
  const shaking = (tcb.state & (SYN_SENT | SYN_RECEIVED)) != 0;
  gauge(GAUGE_CONNECTIONS, 1);
  gauge(GAUGE_BUFFERS, buffersOf(tcb));
  cold.moving = <u8>(known && shaking ? M_HANDSHAKE : 0);
  cold.unreported = 0;
  tcb.flags &= ~APPLICATION_FLAGS;
  tcb.controlFlags &= ~(<u16>C_CORKED);
  offerAgain(tcb);
  markSent(tcb);
  if (known) {
    tcb.flags |= F_KNOWN;
    announce(tcb, source, arrived | (shaking ? ARRIVED_CONNECTING : 0), index);
  }
  if (tcb.state == DONE) return;
  if (cold.repair & R_HALF_OPEN) joinHalfOpen(tcb);
  const reachable = enterNeighbour(tcb);
  if (tcb.state == TIME_WAIT) linkTimeWait(tcb);
  rearm(tcb);
  if (tcb.txNext != 0 || tcb.flags & OWED) scheduleOutput(tcb);
  if (!reachable) kill(tcb, RC_UNREACHABLE);
  else if (moving & M_CONDEMNED) reset(tcb, RC_RESET);
  else if (moving & M_IN_BACKLOG) joinBacklog(tcb);
}

/** Copies what of the send queue lies in the application's memory. False when frames run out. */
function copyReferences(tcb: Tcb): bool {
  severQueue(tcb);
  let before: u32 = 0;
  let at = tcb.txHead;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (!hasFrame(buffer)) {
      const copy = allocFrame();
      if (copy == null) {
        // What was copied so far stays in its new place.
        rebuildScoreboard(tcb);
        return false;
      }
      replace(tcb, buffer, copy, before);
      at = changetype<u32>(copy);
    }
    before = at;
    at = changetype<Buffer>(at).next;
  }
  rebuildScoreboard(tcb);
  return true;
}

/** Puts a frame with a copy of its bytes in the place of a record of the send queue. */
function replace(tcb: Tcb, buffer: Buffer, copy: Buffer, before: u32): void {
  const from = changetype<u32>(buffer);
  const to = changetype<u32>(copy);
  const address = payloadPlace(tcb, copy);
  memory.copy(address, buffer.address, buffer.length);
  // The links, the holds and the address are the copy's own; all else that is known of it remains.
  memory.copy(to, from, offsetof<Buffer>());
  copy.holds = 1;
  copy.address = address;
  if (before == 0) tcb.txHead = to;
  else changetype<Buffer>(before).next = to;
  if (tcb.txTail == from) tcb.txTail = to;
  if (tcb.txNext == from) tcb.txNext = to;
  release(buffer);
}

/** All that the last application did not give back is to be announced again. */
function offerAgain(tcb: Tcb): void {
  const cold = coldOf(tcb);
  cold.rxAnnounce = tcb.rxHead;
  cold.rxUnannounced = tcb.rxQueued;
  if (tcb.rxQueued != 0 || tcb.flags & F_EOF) tcb.flags |= F_UNANNOUNCED;
}

function markSent(tcb: Tcb): void {
  for (let at = tcb.txHead; at != 0; at = changetype<Buffer>(at).next) {
    changetype<Buffer>(at).flags |= SENT_ELSEWHERE;
  }
}

function announce(tcb: Tcb, source: u32, arrived: u32, index: u32): void {
  const endpoint = coreBlock + STATE_ENDPOINTS + index * ENDPOINT_STRIDE;
  const remotePort: u32 = bswap<u16>(<u16>tcb.ports);
  setConnection(tcb);
  store<u64>(endpoint, remoteHigh);
  store<u64>(endpoint, remoteLow, 8);
  store<u32>(endpoint, remotePort, ENDPOINT_PORT);
  const ports = remotePort | (u32(bswap<u16>(<u16>(tcb.ports >> 16))) << 16);
  const event = pushEvent(EV_ARRIVED, tcb.handle, tcb.cookie, ports, coldOf(tcb).tag, endpoint);
  extendEvent(event, source, arrived);
}

/** Finds the next hop in this core's table. False when it has no room for it, or there is no route. */
function enterNeighbour(tcb: Tcb): bool {
  setConnection(tcb);
  let neighbour: Neighbour | null = null;
  if (isRoutable()) neighbour = hopNeighbour();
  const found = neighbour != null;
  // Everybody's entry is in every table; it holds the place of the one that is missing.
  if (neighbour == null) neighbour = neighbourFor(IPV4_BROADCAST);
  tcb.neighbour = neighbour!;
  holdNeighbour(tcb.neighbour);
  const head = tcb.timerNext;
  const tail = tcb.timerPrev;
  tcb.timerNext = 0;
  tcb.timerPrev = 0;
  if (found && (head | tail) != 0 && !isResolved(tcb.neighbour)) {
    learnNeighbour(hopHigh, hopLow, head, tail, false, false);
  }
  return found;
}

/** One that nobody has accepted counts against the listener of this core. */
function joinBacklog(tcb: Tcb): void {
  tcb.flags &= ~F_IN_BACKLOG;
  const listener = findListener(bswap<u16>(<u16>(tcb.ports >> 16)));
  if (listener != null) {
    enterBacklog(tcb, listener);
    if (!(tcb.flags & F_KNOWN)) tcb.cookie = listener.cookie;
  } else if (!(tcb.flags & F_KNOWN)) {
    // Nobody here would ever hear of it.
    reset(tcb, RC_REFUSED);
  }
}

function buffersOf(tcb: Tcb): u32 {
  return lengthOf(tcb.txHead) + lengthOf(tcb.rxHead) + lengthOf(coldOf(tcb).outOfOrder);
}

function lengthOf(first: u32): u32 {
  let buffers: u32 = 0;
  for (let at = first; at != 0; at = changetype<Buffer>(at).next) buffers++;
  return buffers;
}
