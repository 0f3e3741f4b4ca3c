/**
 * Segments that arrived early, in sequence order and without overlaps, until the gap before them
 * fills. Bounded per connection, and refused altogether when frames run short: then only segments
 * that make progress are kept.
 */
import {
  CFG_REASSEMBLY_MAX,
  CFG_RECEIVE_RESERVE,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_REASSEMBLY,
  CNT_TCP_OUT_OF_ORDER,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Buffer, freeFrames, release, releaseList } from "../mem/buffers";
import { deliver } from "./deliver";
import { seqAfter, seqAfterEq, seqBefore, seqBeforeEq } from "./seq";
import { coldOf, F_OUT_OF_ORDER, Tcb } from "./tcb";

/** Buffer flag: the segment carried FIN behind its payload. */
export const HAS_FIN: u16 = 1;

/**
 * Keeps an early segment; `buffer` is the caller's no longer. Payload lies at buffer.address, its
 * first sequence number is buffer.seq.
 */
export function keep(tcb: Tcb, buffer: Buffer): void {
  const cold = coldOf(tcb);
  count(CNT_TCP_OUT_OF_ORDER);
  if (
    cold.outOfOrderCount >= config(CFG_REASSEMBLY_MAX) ||
    freeFrames() <= config(CFG_RECEIVE_RESERVE)
  ) {
    count(CNT_DROP_TCP_REASSEMBLY);
    release(buffer);
    return;
  }
  // The last segment that begins at or before the new one, and what follows it.
  let previous: u32 = 0;
  let next = cold.outOfOrder;
  while (next != 0 && seqBeforeEq(changetype<Buffer>(next).seq, buffer.seq)) {
    previous = next;
    next = changetype<Buffer>(next).next;
  }
  if (previous != 0) {
    const before = changetype<Buffer>(previous);
    const end = before.seq + before.length;
    const covered = seqAfterEq(end, buffer.seq + buffer.length);
    if (covered && (!(buffer.flags & HAS_FIN) || before.flags & HAS_FIN)) {
      count(CNT_DROP_TCP_DUPLICATE);
      release(buffer);
      return;
    }
    if (seqAfter(end, buffer.seq)) trimFront(buffer, min<u32>(end - buffer.seq, buffer.length));
  }
  // Segments that the new one covers go; one that it reaches into loses its front.
  const end = buffer.seq + buffer.length;
  while (next != 0) {
    const after = changetype<Buffer>(next);
    if (seqBeforeEq(end, after.seq)) break;
    if (seqBefore(end, after.seq + after.length)) {
      trimFront(after, end - after.seq);
      break;
    }
    if (after.seq + after.length == end) buffer.flags |= after.flags & HAS_FIN;
    next = after.next;
    release(after);
    cold.outOfOrderCount--;
  }
  buffer.next = next;
  if (previous == 0) cold.outOfOrder = changetype<u32>(buffer);
  else changetype<Buffer>(previous).next = changetype<u32>(buffer);
  cold.outOfOrderCount++;
  tcb.flags |= F_OUT_OF_ORDER;
}

/**
 * Delivers what rcvNxt has reached. Returns true when the FIN was among it: rcvNxt then still lies
 * before the FIN.
 */
export function drain(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  let at = cold.outOfOrder;
  let fin = false;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (seqAfter(buffer.seq, tcb.rcvNxt)) break;
    at = buffer.next;
    cold.outOfOrderCount--;
    const end = buffer.seq + buffer.length;
    // A FIN in the middle of data that others sent is a forgery.
    if (buffer.flags & HAS_FIN && seqAfterEq(end, tcb.rcvNxt)) fin = true;
    if (seqBeforeEq(end, tcb.rcvNxt)) {
      release(buffer);
    } else {
      trimFront(buffer, tcb.rcvNxt - buffer.seq);
      tcb.rcvNxt = end;
      deliver(tcb, buffer, buffer.address, buffer.length);
    }
    if (!fin) continue;
    // Nothing can follow a FIN but forgeries.
    releaseList(at);
    at = 0;
    cold.outOfOrderCount = 0;
  }
  cold.outOfOrder = at;
  if (at == 0) tcb.flags &= ~F_OUT_OF_ORDER;
  return fin;
}

function trimFront(buffer: Buffer, bytes: u32): void {
  buffer.seq += bytes;
  buffer.address += bytes;
  buffer.length -= bytes;
}
