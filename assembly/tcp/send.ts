/**
 * Taking bytes from the application into the send queue. Short ones are copied into a frame, behind
 * room for their headers; long ones stay where they are and are referenced until acknowledged.
 */
import { CFG_SEND_BUFFER_MAX } from "../abi";
import { config, copyBreak } from "../core/config";
import { allocFrame, allocRecord, Buffer, hasFrame } from "../mem/buffers";
import { inWindow } from "../user/check";
import { payloadPlace } from "./emit";
import { sendRoom } from "./output";
import { MORE_FOLLOWS, RECORD_END } from "./send-queue";
import { coldOf, F_REFERENCES, Tcb } from "./tcb";

/** Buffer flag: the application of another core sent it, and is not to be told of its acknowledgment. */
export const SENT_ELSEWHERE: u16 = 1 << 14;

/** Bytes that a send would accept now. */
export function acceptable(tcb: Tcb): u32 {
  return sendRoom(tcb, config(CFG_SEND_BUFFER_MAX));
}

/**
 * How much of `length` bytes is taken where there is room for `room`: what is cut short is cut to whole
 * segments. The window opens by a few bytes more than was acknowledged, and segments of those few bytes would
 * follow one another.
 */
export function portion(tcb: Tcb, length: u32, room: u32): u32 {
  if (length <= room) return length;
  return room > u32(tcb.mss) ? room - (room % u32(tcb.mss)) : room;
}

/**
 * Queues up to `length` bytes; the range has been checked. Returns how many were taken: all of them
 * unless buffers ran out.
 */
export function enqueue(tcb: Tcb, address: u32, length: u32): u32 {
  let left = length;
  if (tcb.txNext != 0 && left != 0) {
    const taken = fillLast(tcb, address, left);
    address += taken;
    left -= taken;
  }
  // Referenced memory must stay the application's until acknowledged; received frames do not.
  const referable = left >= copyBreak && inWindow(address, left);
  while (left != 0) {
    let taken: u32 = 0;
    if (referable && left >= copyBreak) taken = appendReference(tcb, address, left);
    // Without a record for a reference there may still be a frame for a copy.
    if (taken == 0) taken = appendCopy(tcb, address, left);
    if (taken == 0) break;
    address += taken;
    left -= taken;
  }
  return length - left;
}

function appendReference(tcb: Tcb, address: u32, length: u32): u32 {
  const buffer = allocRecord();
  if (buffer == null) return 0;
  const taken = min<u32>(length, tcb.mss);
  buffer.address = address;
  tcb.flags |= F_REFERENCES;
  append(tcb, buffer, taken);
  return taken;
}

/**
 * The last buffer, if it is still to be sent and is our own frame, takes what fits a segment. One whose
 * front was acknowledged begins further back in its frame and has less room.
 */
function fillLast(tcb: Tcb, address: u32, length: u32): u32 {
  const last = changetype<Buffer>(tcb.txTail);
  if (
    !hasFrame(last) ||
    last.length >= tcb.mss ||
    last.holds != 1 ||
    last.flags & (SENT_ELSEWHERE | RECORD_END) ||
    last.address != payloadPlace(tcb, last)
  ) {
    return 0;
  }
  const taken = min<u32>(length, u32(tcb.mss) - last.length);
  memory.copy(last.address + last.length, address, taken);
  last.length += taken;
  last.flags &= ~MORE_FOLLOWS;
  coldOf(tcb).sndEnd += taken;
  return taken;
}

function appendCopy(tcb: Tcb, address: u32, length: u32): u32 {
  const buffer = allocFrame();
  if (buffer == null) return 0;
  const taken = min<u32>(length, tcb.mss);
  buffer.address = payloadPlace(tcb, buffer);
  copyBytes(buffer.address, address, taken);
  append(tcb, buffer, taken);
  return taken;
}

function append(tcb: Tcb, buffer: Buffer, length: u32): void {
  const cold = coldOf(tcb);
  buffer.length = length;
  buffer.seq = cold.sndEnd;
  cold.sndEnd += length;
  const at = changetype<u32>(buffer);
  if (tcb.txHead == 0) tcb.txHead = at;
  else changetype<Buffer>(tcb.txTail).next = at;
  tcb.txTail = at;
  if (tcb.txNext == 0) tcb.txNext = at;
}

/** 16-byte steps for short copies, where the call of a bulk copy costs more. */
function copyBytes(to: u32, from: u32, length: u32): void {
  if (length > 256) {
    memory.copy(to, from, length);
    return;
  }
  let at: u32 = 0;
  while (at + 16 <= length) {
    v128.store(to + at, v128.load(from + at));
    at += 16;
  }
  if (at != length) memory.copy(to + at, from + at, length - at);
}
