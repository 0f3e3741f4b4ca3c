/**
 * Whether a connection can still be trusted when the thread that worked on it was lost, and what is done
 * with one that cannot. Nothing that is read here is taken for granted: a link may lead anywhere, a
 * length may be any number. Buffers of connections that passed are claimed until all have been looked
 * at, so that one buffer does not pass twice.
 */
import { CFG_BUFFER_COUNT, FRAME_SIZE } from "../abi";
import { config, windowBase, windowEnd } from "../core/config";
import { Buffer, frameOf, hasFrame, isHeld, release } from "../mem/buffers";
import { holdNeighbour, isNeighbour } from "../net/neighbour-table";
import { neighbourFor } from "../net/neighbours";
import { IPV4_BROADCAST } from "../wire/ipv4";
import { linkTimeWait } from "./end";
import { closeScoreboard, rebuildScoreboard } from "./scoreboard";
import { DONE, TIME_WAIT } from "./states";
import {
  coldOf,
  F_DIE,
  F_IN_BACKLOG,
  F_KNOWN,
  F_ON_AGENDA,
  F_ON_NOTICES,
  F_OUT_OF_ORDER,
  M_CONDEMNED,
  M_HANDSHAKE,
  M_IN_BACKLOG,
  M_KNOWN,
  Tcb,
} from "./tcb";

/** Holds of a buffer that a sound connection has claimed. */
const CLAIMED: u16 = 0xfffe;

/** True when what the connection holds is what it says it holds. */
export function isSound(tcb: Tcb): bool {
  return soundSendQueue(tcb) && soundReceiveQueue(tcb) && soundEarlySegments(tcb);
}

/** Marks the buffers of a sound connection as its own. Returns how many there are. */
export function claim(tcb: Tcb): u32 {
  return setHolds(tcb, CLAIMED);
}

/** Ends the claim. */
export function unclaim(tcb: Tcb): void {
  setHolds(tcb, 1);
}

/** Takes from a connection what it holds, as far as that is certain; its next core will reset it. */
export function condemn(tcb: Tcb): void {
  const cold = coldOf(tcb);
  dropUnclaimed(tcb.txHead);
  dropUnclaimed(tcb.rxHead);
  if (tcb.flags & F_OUT_OF_ORDER) dropUnclaimed(cold.outOfOrder);
  tcb.txHead = 0;
  tcb.txTail = 0;
  tcb.txNext = 0;
  tcb.rxHead = 0;
  tcb.rxTail = 0;
  tcb.rxQueued = 0;
  cold.rxUnannounced = 0;
  cold.outOfOrder = 0;
  cold.outOfOrderCount = 0;
  cold.outOfOrderRuns = 0;
  cold.sackedBytes = 0;
  cold.lostBytes = 0;
  cold.sackedSegments = 0;
  tcb.flags &= ~(F_OUT_OF_ORDER | F_KNOWN);
  closeScoreboard(tcb, cold);
  cold.moving |= <u8>M_CONDEMNED;
}

/**
 * Puts a connection back to where it is neither on a list nor on its way: its old core has neither lists
 * nor timers any more.
 */
export function unhand(tcb: Tcb): void {
  const cold = coldOf(tcb);
  const moving = cold.moving;
  tcb.timerNext = 0;
  tcb.timerPrev = 0;
  let flags = tcb.flags & ~(F_ON_AGENDA | F_ON_NOTICES);
  if (moving & M_KNOWN) flags |= F_KNOWN;
  if (moving & M_IN_BACKLOG) flags |= F_IN_BACKLOG;
  // The end of it would have been the next thing to tell.
  if (flags & F_DIE) flags &= ~(F_DIE | F_KNOWN);
  tcb.flags = flags;
  cold.moving = moving & (<u8>(M_HANDSHAKE | M_CONDEMNED));
  // Places in the queues that only speed things up are found again.
  cold.sackRecent0 = 0;
  cold.sackRecent1 = 0;
  cold.sackRecent2 = 0;
  cold.sackRecent3 = 0;
  rebuildScoreboard(tcb);
  if (tcb.state == DONE) return;
  if (!isNeighbour(changetype<u32>(tcb.neighbour))) tcb.neighbour = neighbourFor(IPV4_BROADCAST)!;
  holdNeighbour(tcb.neighbour);
  if (tcb.state == TIME_WAIT) linkTimeWait(tcb);
}

/** Frees the buffers of a list that no sound connection has claimed. */
export function dropUnclaimed(first: u32): void {
  let at = first;
  while (isHeld(at) && changetype<Buffer>(at).holds != CLAIMED) {
    const buffer = changetype<Buffer>(at);
    at = buffer.next;
    // What else held it was the TX ring, which is empty.
    buffer.holds = 1;
    release(buffer);
  }
}

function soundSendQueue(tcb: Tcb): bool {
  const most = config(CFG_BUFFER_COUNT);
  let last: u32 = 0;
  let seq: u32 = 0;
  let length: u32 = 0;
  let unsent = tcb.txNext == 0;
  for (let at = tcb.txHead; at != 0; at = changetype<Buffer>(at).next) {
    if (!isFree(at) || length++ == most) return false;
    const buffer = changetype<Buffer>(at);
    if (last != 0 && buffer.seq != seq) return false;
    if (!isInside(buffer)) return false;
    if (at == tcb.txNext) unsent = true;
    seq = buffer.seq + buffer.length;
    last = at;
  }
  return unsent && (last == 0 || (tcb.txTail == last && coldOf(tcb).sndEnd == seq));
}

function soundReceiveQueue(tcb: Tcb): bool {
  const most = config(CFG_BUFFER_COUNT);
  let last: u32 = 0;
  let bytes: u32 = 0;
  let length: u32 = 0;
  for (let at = tcb.rxHead; at != 0; at = changetype<Buffer>(at).next) {
    if (!isFree(at) || length++ == most) return false;
    const buffer = changetype<Buffer>(at);
    if (!hasFrame(buffer) || !isInside(buffer)) return false;
    bytes += buffer.length;
    last = at;
  }
  return bytes == tcb.rxQueued && (last == 0 || tcb.rxTail == last);
}

function soundEarlySegments(tcb: Tcb): bool {
  if (!(tcb.flags & F_OUT_OF_ORDER)) return true;
  const cold = coldOf(tcb);
  let length: u32 = 0;
  for (let at = cold.outOfOrder; at != 0; at = changetype<Buffer>(at).next) {
    if (!isFree(at) || length++ == u32(cold.outOfOrderCount)) return false;
    const buffer = changetype<Buffer>(at);
    if (!hasFrame(buffer) || !isInside(buffer)) return false;
  }
  return length == u32(cold.outOfOrderCount);
}

/** True for a record in use that no connection has claimed. */
function isFree(at: u32): bool {
  return isHeld(at) && changetype<Buffer>(at).holds != CLAIMED;
}

/** True when the bytes lie in the record's frame, or in the application's window. */
function isInside(buffer: Buffer): bool {
  const low = hasFrame(buffer) ? frameOf(buffer) : windowBase;
  const high = hasFrame(buffer) ? low + FRAME_SIZE : windowEnd;
  return buffer.address >= low && buffer.address <= high && buffer.length <= high - buffer.address;
}

function setHolds(tcb: Tcb, holds: u16): u32 {
  let buffers = setHoldsOf(tcb.txHead, holds) + setHoldsOf(tcb.rxHead, holds);
  if (tcb.flags & F_OUT_OF_ORDER) buffers += setHoldsOf(coldOf(tcb).outOfOrder, holds);
  return buffers;
}

function setHoldsOf(first: u32, holds: u16): u32 {
  let buffers: u32 = 0;
  for (let at = first; at != 0; at = changetype<Buffer>(at).next) {
    changetype<Buffer>(at).holds = holds;
    buffers++;
  }
  return buffers;
}
