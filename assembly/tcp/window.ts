/**
 * The receive window: how much to offer (RFC 9293 section 3.8.6, RFC 7323 section 2) and how large it
 * may become. The window opens only by what the application gives back with recv_done.
 */
import { CFG_RECEIVE_WINDOW_MAX } from "../abi";
import { config } from "../core/config";
import { freeFrames } from "../mem/buffers";
import { now } from "../time/clock";
import { seqBefore } from "./seq";
import { coldOf, F_SCALED, Tcb } from "./tcb";

/** Smallest shift that makes the largest window fit 16 bits. */
export function windowShift(): u32 {
  const most = config(CFG_RECEIVE_WINDOW_MAX);
  let shift: u32 = 0;
  while (shift < 14 && most >> shift > 65535) shift++;
  return shift;
}

/** Window of a SYN, which is never scaled. */
export function synWindow(tcb: Tcb): u32 {
  const window = min<u32>(tcb.rcvWindow, 65535);
  tcb.rcvAdv = tcb.rcvNxt + window;
  return window;
}

/**
 * The window field of the next segment; moves `rcvAdv`. The right edge never moves left, and moves
 * right only by a worthwhile amount (silly-window avoidance, RFC 9293 section 3.8.6.2.2).
 */
export function advertisedWindow(tcb: Tcb): u32 {
  const edge = offeredEdge(tcb);
  if (edge - tcb.rcvAdv >= worthwhile(tcb)) tcb.rcvAdv = edge;
  const window = (tcb.rcvAdv - tcb.rcvNxt) >> tcb.rcvShift;
  return min<u32>(window, 65535);
}

/**
 * True when the application has given back so much that the peer should hear of it at once: the window
 * that it knows of has shrunk to half or less, and would double at least (as Linux has it). Otherwise
 * the peer has enough to go on with, and the next ACK tells it.
 */
export function windowUpdateDue(tcb: Tcb): bool {
  const offered = tcb.rcvAdv - tcb.rcvNxt;
  if (offered > tcb.rcvWindow >> 1) return false;
  const more = offeredEdge(tcb) - tcb.rcvAdv;
  return more >= offered && more >= worthwhile(tcb);
}

/** Right edge that the buffer allows, at least the one already offered. */
function offeredEdge(tcb: Tcb): u32 {
  let free = tcb.rcvWindow > tcb.rxQueued ? tcb.rcvWindow - tcb.rxQueued : 0;
  free = min<u32>(free, u32(65535) << tcb.rcvShift);
  const edge = tcb.rcvNxt + free;
  return seqBefore(edge, tcb.rcvAdv) ? tcb.rcvAdv : edge;
}

function worthwhile(tcb: Tcb): u32 {
  return min<u32>(tcb.rcvWindow >> 1, tcb.mss);
}

/**
 * Auto-tuning: a peer that fills half the window within a round trip gets one twice as large, as long
 * as frames are plentiful.
 *
 * @param bytes what the application just gave back
 */
export function tuneWindow(tcb: Tcb, bytes: u32): void {
  const cold = coldOf(tcb);
  const elapsed = now - cold.tuneStart;
  if (elapsed <= cold.srtt8 >> 3) {
    cold.tuneBytes += bytes;
    return;
  }
  const limit = config(CFG_RECEIVE_WINDOW_MAX);
  const most = tcb.flags & F_SCALED ? limit : min<u32>(limit, 65535);
  if (cold.tuneBytes + bytes >= tcb.rcvWindow >> 1 && tcb.rcvWindow < most) {
    const wanted = min<u32>(tcb.rcvWindow << 1, most);
    if (wanted >> 11 < freeFrames()) tcb.rcvWindow = wanted;
  }
  cold.tuneStart = now;
  cold.tuneBytes = 0;
}
