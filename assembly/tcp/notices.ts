/**
 * What the application is told of its connections besides received data as it arrives: how far the
 * peer has received, and, from the list of notices, whatever could not be told at once: data that came
 * before `accept` or found the event array full, an end, new room after a famine of buffers.
 */
import {
  CALL_A,
  CALL_B,
  CALL_HANDLE,
  CALL_OP,
  EV_CONNECTED,
  EV_DEAD,
  EV_RECV,
  EV_SENT,
  RC_OK,
} from "../abi";
import { markInProgress } from "../core/state";
import { Buffer, sendableSegments } from "../mem/buffers";
import { eventRoom, hasSpareRoom, lastEvent, pushEvent } from "../user/events";
import { nextNotice, scheduleNotice, takeNotices } from "./agenda";
import { bury, releaseTcb } from "./end";
import { acceptable } from "./send";
import { CLOSED, DONE, SYN_RECEIVED, SYN_SENT } from "./states";
import {
  asTcb,
  coldOf,
  F_BLOCKED,
  F_CONNECTING,
  F_DIE,
  F_EOF,
  F_EOF_ANNOUNCED,
  F_KNOWN,
  F_OWNED,
  F_QUIET,
  F_REFERENCES,
  F_STARVED,
  F_UNANNOUNCED,
  F_UNREPORTED,
  M_HANDSHAKE,
  Tcb,
} from "./tcb";
import { retireHandle } from "./tcb-pool";

/** Segments that are promised to each connection after a famine, so that not all come back at once. */
const RELIEF_SHARE: u32 = 16;

/** Segments that this walk of the notices may still promise. */
let relief: u32 = 0;

/** Tells the application what it could not be told before, as far as the event array has room. */
export function runNotices(): void {
  let at = takeNotices();
  if (at == 0) return;
  relief = sendableSegments();
  while (at != 0) {
    const tcb = asTcb(at);
    markInProgress(at);
    at = nextNotice(tcb);
    if (eventRoom() < 5) scheduleNotice(tcb);
    else notify(tcb);
  }
  markInProgress(0);
}

function notify(tcb: Tcb): void {
  reportHandshake(tcb);
  if (tcb.flags & F_UNANNOUNCED && tcb.flags & F_OWNED) announceQueued(tcb);
  if (tcb.flags & F_DIE) {
    // A reset makes data unannounced so far unreachable; an orderly end comes after all of it.
    reportEnd(tcb);
    return;
  }
  if (tcb.flags & (F_STARVED | F_UNREPORTED) && tcb.flags & F_KNOWN) reportLate(tcb);
  if (tcb.flags & F_UNANNOUNCED && tcb.flags & F_OWNED) scheduleNotice(tcb);
  if (tcb.state == CLOSED) releaseTcb(tcb);
}

/** A handshake that was over before the application of this core had accepted it. */
function reportHandshake(tcb: Tcb): void {
  const cold = coldOf(tcb);
  if (!(cold.moving & M_HANDSHAKE) || !(tcb.flags & F_OWNED)) return;
  if (tcb.state == CLOSED || tcb.state & (SYN_SENT | SYN_RECEIVED)) return;
  cold.moving &= ~(<u8>M_HANDSHAKE);
  const port: u32 = bswap<u16>(<u16>(tcb.ports >> 16));
  pushEvent(EV_CONNECTED, tcb.handle, tcb.cookie, RC_OK, port, 0);
}

function announceQueued(tcb: Tcb): void {
  const cold = coldOf(tcb);
  while (cold.rxUnannounced != 0) {
    if (eventRoom() < 4) return;
    const buffer = changetype<Buffer>(cold.rxAnnounce);
    pushEvent(EV_RECV, tcb.handle, tcb.cookie, 0, buffer.address, buffer.length);
    cold.rxUnannounced -= buffer.length;
    cold.rxAnnounce = buffer.next;
  }
  if (tcb.flags & F_EOF && !(tcb.flags & F_EOF_ANNOUNCED)) {
    if (eventRoom() < 4) return;
    pushEvent(EV_RECV, tcb.handle, tcb.cookie, 0, 0, 0);
    tcb.flags |= F_EOF_ANNOUNCED;
  }
  tcb.flags &= ~F_UNANNOUNCED;
}

function reportEnd(tcb: Tcb): void {
  const cold = coldOf(tcb);
  const flags = tcb.flags;
  tcb.flags = flags & ~(F_DIE | F_KNOWN | F_CONNECTING | F_OWNED);
  if (flags & F_CONNECTING) pushEvent(EV_CONNECTED, tcb.handle, tcb.cookie, cold.reason, 0, 0);
  else pushEvent(EV_DEAD, tcb.handle, tcb.cookie, cold.reason, cold.unreported, 0);
  retireHandle(tcb);
  bury(tcb);
  if (tcb.state == CLOSED || tcb.state == DONE) releaseTcb(tcb);
}

/**
 * The `sent` that found no room in the event array, or that ends a famine of frames: says what a send
 * would take now. Waits on while the famine lasts.
 */
function reportLate(tcb: Tcb): void {
  const cold = coldOf(tcb);
  if (tcb.flags & F_STARVED) {
    if (relief != 0) {
      relief -= min<u32>(relief, RELIEF_SHARE);
      tcb.flags &= ~F_STARVED;
    } else {
      scheduleNotice(tcb);
    }
    if (tcb.flags & F_STARVED && !(tcb.flags & F_UNREPORTED)) return;
  }
  const room = acceptable(tcb);
  pushEvent(EV_SENT, tcb.handle, tcb.cookie, 0, cold.unreported, room);
  cold.unreported = 0;
  settleSent(tcb, room);
}

/**
 * Tells the application how far the peer has received. Several ACKs of a batch make one event when
 * they follow one another; a quiet connection hears only what it can act on. Without room in the event
 * array it is told from the notices.
 */
export function reportSent(tcb: Tcb, bytes: u32): void {
  const flags = tcb.flags;
  if (!(flags & F_KNOWN)) return;
  const cold = coldOf(tcb);
  const total = cold.unreported + bytes;
  if (flags & F_QUIET && !isNews(tcb)) {
    cold.unreported = total;
    return;
  }
  if (!hasSpareRoom()) {
    cold.unreported = total;
    tcb.flags = flags | F_UNREPORTED;
    scheduleNotice(tcb);
    return;
  }
  cold.unreported = 0;
  const room = acceptable(tcb);
  const event = lastEvent();
  if (
    event != 0 &&
    load<u32>(event, CALL_HANDLE) == tcb.handle &&
    load<u32>(event, CALL_OP) == EV_SENT
  ) {
    store<u32>(event, load<u32>(event, CALL_A) + total, CALL_A);
    store<u32>(event, room, CALL_B);
  } else {
    pushEvent(EV_SENT, tcb.handle, tcb.cookie, 0, total, room);
  }
  settleSent(tcb, room);
}

/** Whether a quiet connection's application can act on what was acknowledged. */
function isNews(tcb: Tcb): bool {
  if (tcb.flags & F_REFERENCES) return true;
  return (tcb.flags & F_BLOCKED) != 0 && acceptable(tcb) != 0;
}

/** Forgets what a `sent` with that much room has told the application. */
function settleSent(tcb: Tcb, room: u32): void {
  let told = F_UNREPORTED;
  if (room != 0) told |= F_BLOCKED;
  if (tcb.txHead == 0) told |= F_REFERENCES;
  tcb.flags &= ~told;
}
