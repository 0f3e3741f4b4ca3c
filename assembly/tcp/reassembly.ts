/**
 * Segments that arrived early, in sequence order and without overlaps, until the gap before them
 * fills. Buffers that follow each other without a gap form a run; its first one knows where it ends, so
 * that a search goes from run to run:
 *
 *   outOfOrder → │ first ──info─→ last │ → │ first ──info─→ last │ → 0        extra: the run's end
 *
 * Bounded per connection, and refused altogether when frames run short: then only segments that make
 * progress are kept.
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
import { forgetRecent, putFirst } from "./recent";
import { forgetRun, latestRun } from "./sack-blocks";
import { seqAfter, seqAfterEq, seqBefore, seqBeforeEq, seqMin } from "./seq";
import { coldOf, F_OUT_OF_ORDER, Tcb, TcbCold } from "./tcb";

/** Buffer flag: the segment carried FIN behind its payload. */
export const HAS_FIN: u16 = 1;

/** Most runs of a connection: bounds the search, and no honest peer has so many gaps. */
const RUNS_MAX: u32 = 512;

/** What of the segment kept last had been received before: [keptTwiceFrom, keptTwiceTo). */
export let keptTwiceFrom: u32 = 0;
export let keptTwiceTo: u32 = 0;

/**
 * Keeps an early segment; `buffer` is the caller's no longer. Payload lies at buffer.address, its
 * first sequence number is buffer.seq.
 */
export function keep(tcb: Tcb, buffer: Buffer): void {
  const cold = coldOf(tcb);
  keptTwiceFrom = 0;
  keptTwiceTo = 0;
  count(CNT_TCP_OUT_OF_ORDER);
  if (
    cold.outOfOrderCount >= config(CFG_REASSEMBLY_MAX) ||
    cold.outOfOrderRuns >= RUNS_MAX ||
    freeFrames() <= config(CFG_RECEIVE_RESERVE)
  ) {
    count(CNT_DROP_TCP_REASSEMBLY);
    release(buffer);
    return;
  }
  // The words that name runs may have served the other direction (landmarks.ts); the last run leaves them zero.
  if (!(tcb.flags & F_OUT_OF_ORDER)) forgetRecent(cold);
  const before = runBefore(cold, buffer.seq);
  let after = before == 0 ? cold.outOfOrder : lastOf(before).next;
  let run = changetype<u32>(buffer);
  if (before != 0 && seqAfterEq(dataEnd(before), buffer.seq)) {
    run = before;
    if (!joinsFront(cold, before, buffer)) return;
  } else {
    if (before == 0) cold.outOfOrder = run;
    else lastOf(before).next = run;
    cold.outOfOrderRuns++;
  }
  buffer.next = after;
  cold.outOfOrderCount++;
  tcb.flags |= F_OUT_OF_ORDER;
  setEnd(run, buffer, buffer.seq + buffer.length);
  // Runs that the segment reaches become part of its own.
  while (after != 0 && seqAfterEq(dataEnd(run), changetype<Buffer>(after).seq)) {
    swallow(cold, run, buffer, after);
    after = lastOf(run).next;
  }
  putFirst(cold, run);
}

/**
 * Cuts off what the run before has already. False when that is all of the segment: it is released then.
 */
function joinsFront(cold: TcbCold, before: u32, buffer: Buffer): bool {
  const end = dataEnd(before);
  const last = lastOf(before);
  if (seqAfter(end, buffer.seq)) noteTwice(buffer.seq, seqMin(end, buffer.seq + buffer.length));
  if (seqAfterEq(end, buffer.seq + buffer.length)) {
    // Only its FIN can be news.
    if (buffer.flags & HAS_FIN && end == buffer.seq + buffer.length && !(last.flags & HAS_FIN)) {
      last.flags |= HAS_FIN;
    } else {
      count(CNT_DROP_TCP_DUPLICATE);
    }
    release(buffer);
    putFirst(cold, before);
    return false;
  }
  trimFront(buffer, end - buffer.seq);
  last.next = changetype<u32>(buffer);
  return true;
}

/** Appends the run `after` to `run`, whose last buffer is `buffer`, without what that covers. */
function swallow(cold: TcbCold, run: u32, buffer: Buffer, after: u32): void {
  const end = dataEnd(run);
  const afterEnd = dataEnd(after);
  const afterLast = lastOf(after);
  const behind = afterLast.next;
  const first = changetype<Buffer>(after).seq;
  if (seqAfter(end, first)) noteTwice(first, seqMin(end, afterEnd));
  forgetRun(cold, after);
  cold.outOfOrderRuns--;
  let at = after;
  while (at != behind) {
    const covered = changetype<Buffer>(at);
    if (seqBefore(end, covered.seq + covered.length)) break;
    // What ends where the segment does, or lies empty there, leaves its FIN to it.
    if (covered.seq + covered.length == end) buffer.flags |= covered.flags & HAS_FIN;
    at = covered.next;
    release(covered);
    cold.outOfOrderCount--;
  }
  buffer.next = at;
  if (at == behind) return;
  const rest = changetype<Buffer>(at);
  if (seqAfter(end, rest.seq)) trimFront(rest, end - rest.seq);
  setEnd(run, afterLast, afterEnd);
}

/**
 * Delivers what rcvNxt has reached. Returns true when the FIN was among it: rcvNxt then still lies
 * before the FIN.
 */
export function drain(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  let at = cold.outOfOrder;
  let fin = false;
  while (at != 0 && !fin && seqBeforeEq(changetype<Buffer>(at).seq, tcb.rcvNxt)) {
    const behind = lastOf(at).next;
    forgetRun(cold, at);
    cold.outOfOrderRuns--;
    while (at != behind && !fin) {
      const buffer = changetype<Buffer>(at);
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
    }
  }
  if (fin) {
    // Nothing can follow a FIN but forgeries.
    releaseList(at);
    at = 0;
    clearRuns(cold);
  }
  cold.outOfOrder = at;
  if (at == 0) tcb.flags &= ~F_OUT_OF_ORDER;
  return fin;
}

/** Releases everything. */
export function discard(tcb: Tcb): void {
  const cold = coldOf(tcb);
  releaseList(cold.outOfOrder);
  cold.outOfOrder = 0;
  clearRuns(cold);
  tcb.flags &= ~F_OUT_OF_ORDER;
}

/** Where a run ends for the peer: behind its FIN, if it has come. */
export function runEnd(run: Buffer): u32 {
  const last = lastOf(changetype<u32>(run));
  return run.extra + (last.flags & HAS_FIN ? 1 : 0);
}

/** The last run that begins at `seq` or before, or 0. */
function runBefore(cold: TcbCold, seq: u32): u32 {
  let before: u32 = 0;
  let at = cold.outOfOrder;
  // Most segments continue the run that grew last.
  const latest = latestRun(cold);
  if (latest != 0 && seqBeforeEq(changetype<Buffer>(latest).seq, seq)) at = latest;
  while (at != 0 && seqBeforeEq(changetype<Buffer>(at).seq, seq)) {
    before = at;
    at = lastOf(at).next;
  }
  return before;
}

function clearRuns(cold: TcbCold): void {
  cold.outOfOrderCount = 0;
  cold.outOfOrderRuns = 0;
  forgetRecent(cold);
}

function setEnd(run: u32, last: Buffer, end: u32): void {
  const first = changetype<Buffer>(run);
  first.info = changetype<u32>(last);
  first.extra = end;
}

function lastOf(run: u32): Buffer {
  return changetype<Buffer>(changetype<Buffer>(run).info);
}

function dataEnd(run: u32): u32 {
  return changetype<Buffer>(run).extra;
}

function noteTwice(from: u32, to: u32): void {
  if (keptTwiceFrom != keptTwiceTo) return;
  keptTwiceFrom = from;
  keptTwiceTo = to;
}

function trimFront(buffer: Buffer, bytes: u32): void {
  buffer.seq += bytes;
  buffer.address += bytes;
  buffer.length -= bytes;
}
