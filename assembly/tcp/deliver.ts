/**
 * In-order data on its way to the application. A received buffer is queued in sequence and announced
 * by a `recv` event; it belongs to the application until recv_done covers it. What cannot be
 * announced at once (the connection is not accepted yet, or the event array is full) waits in the
 * same queue behind the `rxAnnounce` mark.
 */
import { EV_RECV, FRAME_SIZE, RC_INVAL, RC_OK } from "../abi";
import { Buffer, frameOf, release } from "../mem/buffers";
import { hasSpareRoom, pushEvent } from "../user/events";
import { scheduleNotice, scheduleOutput } from "./agenda";
import { orderlyEnd } from "./end";
import { CAN_RECEIVE, DONE, TIME_WAIT } from "./states";
import { coldOf, F_ACK_NOW, F_EOF, F_OWNED, F_UNANNOUNCED, Tcb } from "./tcb";
import { tuneWindow, windowUpdateDue } from "./window";

/** Payloads up to this size share a frame with the one before when the application lags behind. */
const COALESCE_MAX: u32 = 512;

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
