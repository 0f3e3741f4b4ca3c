/**
 * In-order data on its way to the application. A received buffer is queued in sequence and announced
 * by a `recv` event; it belongs to the application until recv_done covers it. What cannot be
 * announced at once (the connection is not accepted yet, or the event array is full) waits in the
 * same queue behind the `rxAnnounce` mark.
 */
import { EV_CONNECTED, EV_DEAD, EV_RECV, EV_SENT, RC_INVAL, RC_OK, FRAME_SIZE } from "../abi";
import { Buffer, frameOf, release, sendableSegments } from "../mem/buffers";
import { eventRoom, hasSpareRoom, pushEvent } from "../user/events";
import { settleSent } from "./ack";
import { nextNotice, scheduleNotice, scheduleOutput, takeNotices } from "./agenda";
import { orderlyEnd, releaseTcb, bury } from "./end";
import { acceptable } from "./send";
import {
  asTcb,
  CAN_RECEIVE,
  CLOSED,
  coldOf,
  DONE,
  F_ACK_NOW,
  F_CONNECTING,
  F_DIE,
  F_EOF,
  F_EOF_ANNOUNCED,
  F_KNOWN,
  F_OWNED,
  F_STARVED,
  F_UNANNOUNCED,
  F_UNREPORTED,
  retireHandle,
  Tcb,
  TIME_WAIT,
} from "./tcb";
import { tuneWindow, windowUpdateDue } from "./window";

/** Payloads up to this size share a frame with the one before when the application lags behind. */
const COALESCE_MAX: u32 = 512;
/** Segments that are promised to each connection after a famine, so that not all come back at once. */
const RELIEF_SHARE: u32 = 16;

/** Segments that this walk of the notices may still promise. */
let relief: u32 = 0;

/** Queues in-order payload, which the caller's hold on `buffer` passes to, and announces it. */
export function deliver(tcb: Tcb, buffer: Buffer, address: u32, length: u32): void {
  const cold = coldOf(tcb);
  const flags = tcb.flags;
  const announce = (flags & (F_OWNED | F_UNANNOUNCED)) == F_OWNED && hasSpareRoom();
  tcb.rxQueued += length;
  buffer.next = 0;
  buffer.address = address;
  buffer.length = length;
  if (tcb.rxHead == 0) {
    tcb.rxHead = changetype<u32>(buffer);
    tcb.rxTail = tcb.rxHead;
  } else {
    const last = changetype<Buffer>(tcb.rxTail);
    // A buffer is announced as a whole: new bytes join it only if they share its fate.
    if (
      length <= COALESCE_MAX &&
      tcb.rxHead != tcb.rxTail &&
      (announce || cold.rxUnannounced != 0)
    ) {
      const end = last.address + last.length;
      if (end + length <= frameOf(last) + FRAME_SIZE) {
        memory.copy(end, address, length);
        last.length += length;
        release(buffer);
        if (announce) pushEvent(EV_RECV, tcb.handle, tcb.cookie, 0, end, length);
        else cold.rxUnannounced += length;
        return;
      }
    }
    last.next = changetype<u32>(buffer);
    tcb.rxTail = changetype<u32>(buffer);
  }
  if (announce) {
    pushEvent(EV_RECV, tcb.handle, tcb.cookie, 0, address, length);
    return;
  }
  if (cold.rxUnannounced == 0) cold.rxAnnounce = changetype<u32>(buffer);
  cold.rxUnannounced += length;
  tcb.flags = flags | F_UNANNOUNCED;
  if (flags & F_OWNED) scheduleNotice(tcb);
}

/** The peer's FIN has its turn: the application hears of it after all data. */
export function deliverEnd(tcb: Tcb): void {
  tcb.flags |= F_EOF | F_UNANNOUNCED;
  if (tcb.flags & F_OWNED) scheduleNotice(tcb);
}

/** recv_done: takes back `bytes` from the front of what was announced. */
export function takeBack(tcb: Tcb, bytes: u32): i32 {
  const cold = coldOf(tcb);
  if (bytes > tcb.rxQueued - cold.rxUnannounced) return RC_INVAL;
  tcb.rxQueued -= bytes;
  let left = bytes;
  while (left != 0) {
    const buffer = changetype<Buffer>(tcb.rxHead);
    if (left < buffer.length) {
      buffer.length -= left;
      buffer.address += left;
      break;
    }
    left -= buffer.length;
    tcb.rxHead = buffer.next;
    release(buffer);
  }
  if (tcb.state & (TIME_WAIT | DONE)) {
    if (tcb.rxQueued == 0) orderlyEnd(tcb);
    return RC_OK;
  }
  // After the peer's FIN nobody needs a window.
  if (!(tcb.state & CAN_RECEIVE)) return RC_OK;
  if (bytes >= 1024) tuneWindow(tcb, bytes);
  if (windowUpdateDue(tcb)) {
    tcb.flags |= F_ACK_NOW;
    scheduleOutput(tcb);
  }
  return RC_OK;
}

/** Tells the application what it could not be told before, as far as the event array has room. */
export function runNotices(): void {
  let at = takeNotices();
  if (at == 0) return;
  relief = sendableSegments();
  while (at != 0) {
    const tcb = asTcb(at);
    at = nextNotice(tcb);
    if (eventRoom() < 4) scheduleNotice(tcb);
    else notify(tcb);
  }
}

function notify(tcb: Tcb): void {
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
