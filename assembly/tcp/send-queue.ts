/**
 * The buffers of the send queue: what their flags say of them, what comes before they go back to the
 * application, and how one becomes two.
 */
import { allocFrame, allocRecord, Buffer, hasFrame } from "../mem/buffers";
import { now } from "../time/clock";
import { payloadPlace, severPayloads } from "./emit";
import { Tcb } from "./tcb";

/** Buffer flag: was sent more than once, so its round trip is ambiguous (Karn). */
export const SENT_AGAIN: u16 = 1;
/** Buffer flag: a record ends here (FLAG_RECORD_END); nothing is joined to it. */
export const RECORD_END: u16 = 8;
/** Buffer flag: the application has said that more follows (FLAG_MORE); its end need not be pushed. */
export const MORE_FOLLOWS: u16 = 16;
/** Buffer flag: our FIN went out with it. */
export const WITH_FIN: u16 = 32;

/** Before some of a buffer, or all, goes back to the application, if it has the memory. */
export function severBuffer(buffer: Buffer): void {
  if (!hasFrame(buffer)) severPayloads(buffer.sentAt);
}

/** Before what the whole queue has of the application's memory goes back to it. */
export function severQueue(tcb: Tcb): void {
  for (let at = tcb.txHead; at != 0; at = changetype<Buffer>(at).next) {
    if (hasFrame(changetype<Buffer>(at))) continue;
    severPayloads(now);
    return;
  }
}

/**
 * Splits a buffer so that its first `length` bytes go alone. False when no record is free.
 *
 * @param length from 1 to the buffer's length - 1
 */
export function cut(buffer: Buffer, length: u32, tcb: Tcb): bool {
  const rest = buffer.length - length;
  let tail: Buffer | null = null;
  if (hasFrame(buffer)) {
    tail = allocFrame();
    if (tail == null) return false;
    tail.address = payloadPlace(tcb, tail);
    memory.copy(tail.address, buffer.address + length, rest);
  } else {
    tail = allocRecord();
    if (tail == null) return false;
    tail.address = buffer.address + length;
  }
  tail.length = rest;
  tail.seq = buffer.seq + length;
  tail.flags = buffer.flags;
  buffer.flags &= ~(RECORD_END | MORE_FOLLOWS | WITH_FIN);
  tail.sentAt = buffer.sentAt;
  tail.info = buffer.info;
  tail.extra = buffer.extra;
  tail.next = buffer.next;
  buffer.length = length;
  buffer.next = changetype<u32>(tail);
  if (tcb.txTail == changetype<u32>(buffer)) tcb.txTail = changetype<u32>(tail);
  return true;
}
