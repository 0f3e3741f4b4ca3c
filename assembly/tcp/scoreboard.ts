/**
 * What is known of each segment in flight (RFC 6675 section 3), kept in the send queue's buffers:
 *
 *   ─── in flight, as sent first or again
 *   SACKED   has arrived, says the peer
 *   LOST     is thought lost and was not sent again since
 *
 * A buffer with SACKED points, by `info`, to one further on in the same run of such buffers, mostly its
 * last, so that a walk takes a run in one step. The peer's word is bounded: blocks outside of what is in
 * flight are ignored, and so are those that take too long to find.
 */
import {
  CNT_TCP_DSACKS_IN,
  CNT_TCP_LOST_RETRANSMITS,
  CNT_TCP_RENEGES,
  CNT_TCP_SACK_IGNORED,
} from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { now } from "../time/clock";
import { optionSackBlocks, sackLeft, sackRight } from "../wire/tcp-options";
import { noteDelivered } from "./delivery-rate";
import { forgetLandmark, forgetLandmarks, nearestPlace, noteLandmark } from "./landmarks";
import { rackArrived } from "./rack";
import { SENT_AGAIN, severBuffer } from "./send-queue";
import { SENT_ELSEWHERE } from "./send";
import { seqAfter, seqAfterEq, seqBefore, seqBeforeEq } from "./seq";
import {
  C_SAMPLED,
  coldOf,
  F_SCOREBOARD,
  R_RACK,
  R_REORDERED,
  R_RESENT,
  Tcb,
  TcbCold,
} from "./tcb";
import { timestampNow } from "./timestamps";

/** Buffer flags. */
export const SACKED: u16 = 2;
export const LOST: u16 = 4;

/**
 * Steps that one ACK may take over what it does not change, from the nearest landmark on: 4 MiB of full
 * segments of which every other one is lost, as a queue that overflows leaves them.
 */
const STEPS_MAX: u32 = 4096;

/** Segments by which reordering is nothing special (RFC 5681's duplicate threshold). */
const REORDERING_USUAL: u32 = 3;

// What the ACK in hand has told.
/** Bytes that were not known to have arrived. */
export let arrived: u32 = 0;
/** And the segments that they end. */
export let arrivedSegments: u32 = 0;
/** Among them some that were sent only once, before the recovery began. */
export let originalArrived: bool = false;
/** Round trip of the newest segment of them that was sent only once, µs; 0: none. */
export let arrivedRtt: u32 = 0;
/** What came twice, by its D-SACK (RFC 2883): [twiceFrom, twiceTo). */
export let twiceFrom: u32 = 0;
export let twiceTo: u32 = 0;
let steps: u32 = 0;
/** Some came after what was sent later; the first of them begins at `reorderedFrom`. */
let isReordered: bool = false;
let reorderedFrom: u32 = 0;

/** Before an ACK is worked on. */
export function beginAck(tcb: Tcb, cold: TcbCold): void {
  arrived = 0;
  arrivedSegments = 0;
  originalArrived = false;
  arrivedRtt = 0;
  twiceFrom = 0;
  twiceTo = 0;
  steps = 0;
  isReordered = false;
  if (tcb.flags & F_SCOREBOARD) return;
  tcb.flags |= F_SCOREBOARD;
  cold.highestArrived = tcb.sndUna;
}

/** Bytes in the network, as far as is known (RFC 6675's pipe). */
export function inFlight(tcb: Tcb, cold: TcbCold): u32 {
  return tcb.sndNxt - tcb.sndUna - cold.sackedBytes - cold.lostBytes;
}

/** Forgets everything; nothing is SACKED or LOST any more. */
export function closeScoreboard(tcb: Tcb, cold: TcbCold): void {
  tcb.flags &= ~F_SCOREBOARD;
  cold.repair &= ~(R_RACK | R_RESENT);
  forgetPlaces(tcb, cold);
}

function forgetPlaces(tcb: Tcb, cold: TcbCold): void {
  cold.lastJudged = 0;
  cold.nextLost = 0;
  cold.againNext = 0;
  forgetLandmarks(tcb, cold);
}

/**
 * Takes what an ACK covers off the queue, up to `ack`. Returns how many bytes of it this core's
 * application sent.
 */
export function releaseCovered(tcb: Tcb, cold: TcbCold, ack: u32): u32 {
  let at = tcb.txHead;
  let bytes: u32 = 0;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (!seqBefore(buffer.seq, ack)) break;
    severBuffer(buffer);
    const end = buffer.seq + buffer.length;
    const covered = seqAfter(end, ack) ? ack - buffer.seq : buffer.length;
    if (!(buffer.flags & SENT_ELSEWHERE)) bytes += covered;
    if (buffer.flags & SACKED) cold.sackedBytes -= covered;
    else noteArrived(tcb, cold, buffer, covered);
    if (covered != buffer.length) {
      buffer.seq = ack;
      buffer.address += covered;
      buffer.length -= covered;
      break;
    }
    if (buffer.flags & SACKED) cold.sackedSegments--;
    forgetLandmark(cold, at);
    if (cold.lastJudged == at) cold.lastJudged = 0;
    if (cold.againNext == at) cold.againNext = 0;
    if (cold.nextLost == at) cold.nextLost = lostFrom(cold, buffer.next);
    at = buffer.next;
    release(buffer);
  }
  tcb.txHead = at;
  if (at == 0) tcb.txTail = 0;
  return bytes;
}

/** Takes the SACK option of the ACK in hand in, after what it covers was released. */
export function takeBlocks(tcb: Tcb, cold: TcbCold, ack: u32): void {
  const blocks = optionSackBlocks;
  for (let i: u32 = 0; i < blocks; i++) {
    const left = sackLeft(i);
    const right = sackRight(i);
    if (!seqBefore(left, right) || seqAfter(right, tcb.sndNxt)) {
      count(CNT_TCP_SACK_IGNORED);
    } else if (i == 0 && cameTwice(ack, left, right)) {
      if (seqBefore(left, tcb.sndUna - cold.sndWndMax)) continue;
      twiceFrom = left;
      twiceTo = right;
      count(CNT_TCP_DSACKS_IN);
    } else if (seqAfter(left, tcb.sndUna)) {
      tagBlock(tcb, cold, left, right);
    }
  }
}

/** RFC 2883 section 4: below the cumulative ACK, or a part of the second block. */
function cameTwice(ack: u32, left: u32, right: u32): bool {
  if (seqBefore(left, ack)) return seqBeforeEq(right, ack);
  if (optionSackBlocks < 2) return false;
  return seqBeforeEq(sackLeft(1), left) && seqAfterEq(sackRight(1), right);
}

/** Marks the whole segments in [left, right). */
function tagBlock(tcb: Tcb, cold: TcbCold, left: u32, right: u32): void {
  let at = nearestPlace(tcb, cold, left);
  const unsent = tcb.txNext;
  // Where the run of arrived segments begins that ends right before `at`, as far as this walk has seen it.
  let run: u32 = 0;
  while (at != 0 && at != unsent) {
    const buffer = changetype<Buffer>(at);
    if (buffer.flags & SACKED) {
      const last = buffer.info;
      if (run == 0) run = at;
      else changetype<Buffer>(run).info = last;
      at = changetype<Buffer>(last).next;
    } else {
      if (seqAfterEq(buffer.seq, right)) break;
      if (seqBefore(buffer.seq, left)) {
        run = 0;
      } else {
        if (seqAfter(buffer.seq + buffer.length, right)) break;
        tag(tcb, cold, buffer);
        if (run == 0) run = at;
        else changetype<Buffer>(run).info = at;
        at = buffer.next;
        continue;
      }
      at = buffer.next;
    }
    if (++steps > STEPS_MAX) {
      count(CNT_TCP_SACK_IGNORED);
      // The next ACK that names the block, as most do again, goes on from here.
      if (at != 0 && at != unsent) noteLandmark(tcb, cold, at);
      return;
    }
  }
  if (run != 0) noteLandmark(tcb, cold, run);
}

function tag(tcb: Tcb, cold: TcbCold, buffer: Buffer): void {
  noteArrived(tcb, cold, buffer, buffer.length);
  const at = changetype<u32>(buffer);
  buffer.flags = (buffer.flags | SACKED) & ~LOST;
  buffer.info = at;
  cold.sackedBytes += buffer.length;
  cold.sackedSegments++;
  if (cold.nextLost == at) cold.nextLost = lostFrom(cold, buffer.next);
}

/** The first `bytes` of a segment have arrived. */
function noteArrived(tcb: Tcb, cold: TcbCold, buffer: Buffer, bytes: u32): void {
  const end = buffer.seq + bytes;
  if (buffer.flags & LOST) cold.lostBytes -= bytes;
  arrived += bytes;
  if (bytes == buffer.length) arrivedSegments++;
  if (tcb.controlFlags & C_SAMPLED) noteDelivered(tcb, buffer, bytes);
  if (!(buffer.flags & SENT_AGAIN)) {
    arrivedRtt = max<u32>(now - buffer.sentAt, 1);
    if (seqBeforeEq(end, cold.recover)) originalArrived = true;
    // RFC 8985 section 6.2, step 3.
    if (seqBefore(end, cold.highestArrived)) noteLate(cold, buffer.seq);
  }
  if (seqAfter(end, cold.highestArrived)) cold.highestArrived = end;
  rackArrived(cold, buffer, end);
}

function noteLate(cold: TcbCold, seq: u32): void {
  cold.repair |= R_REORDERED;
  if (!isReordered || seqBefore(seq, reorderedFrom)) reorderedFrom = seq;
  isReordered = true;
}

/** Once the ACK in hand is known: how far out of order has come what it told of. */
export function noteReordering(tcb: Tcb, cold: TcbCold): void {
  if (!isReordered) return;
  const mss: u32 = tcb.mss;
  const distance = (cold.highestArrived - reorderedFrom + mss - 1) / mss;
  cold.reorderings++;
  if (distance > REORDERING_USUAL && distance > cold.reordering) {
    cold.reordering = <u8>min<u32>(distance, u8.MAX_VALUE);
  }
}

/** Counts a segment in flight as lost. */
export function markLost(cold: TcbCold, buffer: Buffer): void {
  if (buffer.flags & SENT_AGAIN) count(CNT_TCP_LOST_RETRANSMITS);
  buffer.flags |= LOST;
  cold.lostBytes += buffer.length;
  const next = cold.nextLost;
  if (next == 0 || seqBefore(buffer.seq, changetype<Buffer>(next).seq)) {
    cold.nextLost = changetype<u32>(buffer);
  }
}

/**
 * After a timeout: everything in flight is lost, but for what has arrived. A peer whose oldest missing
 * segment is one that it had acknowledged has thrown such away (RFC 2018 section 8).
 */
export function markAllLost(tcb: Tcb, cold: TcbCold): void {
  const reneged = tcb.txHead != 0 && (changetype<Buffer>(tcb.txHead).flags & SACKED) != 0;
  if (reneged) {
    count(CNT_TCP_RENEGES);
    cold.sackedBytes = 0;
    cold.sackedSegments = 0;
    forgetLandmarks(tcb, cold);
  }
  cold.lostBytes = 0;
  cold.nextLost = 0;
  for (let at = tcb.txHead; at != 0 && at != tcb.txNext; at = changetype<Buffer>(at).next) {
    const buffer = changetype<Buffer>(at);
    cold.lastJudged = at;
    if (reneged) buffer.flags &= ~SACKED;
    if (buffer.flags & SACKED) continue;
    buffer.flags |= LOST;
    cold.lostBytes += buffer.length;
    if (cold.nextLost == 0) cold.nextLost = at;
  }
}

/** Nothing is lost after all: what was counted so is in flight. */
export function markNoneLost(cold: TcbCold): void {
  let at = cold.nextLost;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    buffer.flags &= ~LOST;
    cold.lostBytes -= buffer.length;
    at = lostFrom(cold, buffer.next);
  }
  cold.nextLost = 0;
}

/** A segment was sent again, now. */
export function noteResent(cold: TcbCold, buffer: Buffer): void {
  const at = changetype<u32>(buffer);
  if (buffer.flags & LOST) cold.lostBytes -= buffer.length;
  buffer.flags = (buffer.flags & ~LOST) | SENT_AGAIN;
  buffer.sentAt = now;
  if (cold.nextLost == at) cold.nextLost = lostFrom(cold, buffer.next);
  if (!(cold.repair & R_RESENT)) {
    cold.repair |= R_RESENT;
    cold.resentStamp = max<u32>(timestampNow(cold), 1);
    cold.resentUnproved = 0;
  }
  if (cold.resentUnproved < 255) cold.resentUnproved++;
}

/** Whether the oldest segment in flight was lost. */
export function isHeadLost(tcb: Tcb): bool {
  const at = tcb.txHead;
  return at != 0 && (changetype<Buffer>(at).flags & (LOST | SENT_AGAIN)) != 0;
}

/** A buffer was cut in two; the second part shares the fate of the first. */
export function noteCut(cold: TcbCold, buffer: Buffer): void {
  if (cold.lastJudged == changetype<u32>(buffer)) cold.lastJudged = buffer.next;
}

/** Buffers of the send queue were replaced by others: finds all places again. */
export function rebuildScoreboard(tcb: Tcb): void {
  if (!(tcb.flags & F_SCOREBOARD)) return;
  const cold = coldOf(tcb);
  forgetPlaces(tcb, cold);
  for (let at = tcb.txHead; at != 0 && at != tcb.txNext; at = changetype<Buffer>(at).next) {
    const buffer = changetype<Buffer>(at);
    if (buffer.flags & SACKED) buffer.info = at;
    if (buffer.flags & LOST && cold.nextLost == 0) cold.nextLost = at;
  }
}

/** The first lost buffer from `at` on, or 0. */
function lostFrom(cold: TcbCold, at: u32): u32 {
  if (cold.lostBytes == 0) return 0;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (buffer.flags & LOST) return at;
    at = buffer.flags & SACKED ? changetype<Buffer>(buffer.info).next : buffer.next;
  }
  return 0;
}
