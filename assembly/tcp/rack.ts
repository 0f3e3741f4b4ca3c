/**
 * RACK (RFC 8985 section 6): a segment is lost when one that was sent sufficiently later has arrived. It
 * needs no count of duplicates and finds lost retransmissions too.
 */
import { Buffer } from "../mem/buffers";
import { now } from "../time/clock";
import { optionHasTimestamps, optionTsEcho } from "../wire/tcp-options";
import { LOST, markLost, SACKED, twiceFrom, twiceTo } from "./scoreboard";
import { SENT_AGAIN } from "./send-queue";
import { seqAfter, seqAfterEq } from "./seq";
import { F_RECOVERY, R_DSACK_ROUND, R_LOSS, R_RACK, R_REORDERED, Tcb, TcbCold } from "./tcb";
import { timestampNow } from "./timestamps";

/** As many segments that arrived behind a gap speak for a loss (RFC 5681 section 3.2). */
const DUP_THRESHOLD: u32 = 3;
/** Recoveries for which a widened reordering window is kept. */
const PERSISTENCE: u32 = 16;
/** Most segments that were sent again and that one ACK looks at; the next one goes on behind them. */
const AGAIN_MAX: u32 = 64;

/** Section 6.2, step 2: a segment that ends at `end` has arrived. */
export function rackArrived(cold: TcbCold, buffer: Buffer, end: u32): void {
  const rtt = max<u32>(now - buffer.sentAt, 1);
  if (buffer.flags & SENT_AGAIN && isOfOriginal(cold, rtt)) return;
  cold.rackRtt = rtt;
  if (cold.repair & R_RACK && !isLater(buffer.sentAt, end, cold.rackXmit, cold.rackEnd)) return;
  cold.repair |= R_RACK;
  cold.rackXmit = buffer.sentAt;
  cold.rackEnd = end;
}

/** Whether what was sent again for `rtt` µs has arrived as it was sent before: too soon, or by its echo. */
function isOfOriginal(cold: TcbCold, rtt: u32): bool {
  if (rtt < cold.minRtt) return true;
  if (!optionHasTimestamps || optionTsEcho == 0) return false;
  return i32(timestampNow(cold) - optionTsEcho) > i32(rtt / 1000 + 1);
}

/** True when one segment was sent after another; of those sent at once the later in sequence. */
function isLater(sentAt: u32, end: u32, otherSentAt: u32, otherEnd: u32): bool {
  if (sentAt == otherSentAt) return seqAfter(end, otherEnd);
  return i32(sentAt - otherSentAt) > 0;
}

/**
 * Section 6.2, step 5: marks what is lost. Segments sent once were sent in sequence and are decided of in
 * sequence, each once; those sent again are looked at every time, some of them, in turn.
 *
 * @returns in how many µs what was sent early enough to be lost counts as that; 0: nothing was
 */
export function detectLosses(tcb: Tcb, cold: TcbCold): u32 {
  if (!(cold.repair & R_RACK)) return 0;
  const patience = cold.rackRtt + reorderingWindow(tcb, cold);
  const again = judgeAgain(tcb, cold, patience);
  return max<u32>(judgeOnce(tcb, cold, patience), again);
}

function judgeOnce(tcb: Tcb, cold: TcbCold, patience: u32): u32 {
  let judged = cold.lastJudged;
  let at = judged != 0 ? changetype<Buffer>(judged).next : tcb.txHead;
  let wait: u32 = 0;
  while (at != 0 && at != tcb.txNext) {
    const buffer = changetype<Buffer>(at);
    if (!(buffer.flags & (SACKED | LOST))) {
      wait = remaining(cold, buffer, patience);
      if (wait != 0) break;
      markLost(cold, buffer);
    }
    judged = at;
    at = buffer.next;
  }
  cold.lastJudged = judged;
  return wait == NEVER ? 0 : wait;
}

function judgeAgain(tcb: Tcb, cold: TcbCold, patience: u32): u32 {
  if (cold.lastJudged == 0) return 0;
  const end = changetype<Buffer>(cold.lastJudged).seq;
  let wait: u32 = 0;
  let at = cold.againNext != 0 ? cold.againNext : tcb.txHead;
  cold.againNext = 0;
  for (let steps: u32 = 0; at != 0; steps++) {
    const buffer = changetype<Buffer>(at);
    if (seqAfter(buffer.seq, end)) break;
    if (steps == AGAIN_MAX) {
      cold.againNext = at;
      break;
    }
    if (buffer.flags & SACKED) {
      at = behindRun(at);
      continue;
    }
    if (!(buffer.flags & LOST)) {
      const left = remaining(cold, buffer, patience);
      if (left == 0) markLost(cold, buffer);
      else if (left != NEVER) wait = max<u32>(wait, left);
    }
    at = buffer.next;
  }
  return wait;
}

/** What follows a run of arrived segments; on the way its first one learns where it ends. */
function behindRun(first: u32): u32 {
  let last = changetype<Buffer>(first).info;
  let next = changetype<Buffer>(last).next;
  while (next != 0 && changetype<Buffer>(next).flags & SACKED) {
    last = changetype<Buffer>(next).info;
    next = changetype<Buffer>(last).next;
  }
  changetype<Buffer>(first).info = last;
  return next;
}

/** For a segment sent after all that have arrived: time alone does not make it lost. */
const NEVER: u32 = 0xffffffff;

/** µs until a segment in flight counts as lost: 0 when it does, NEVER while nothing speaks for it. */
function remaining(cold: TcbCold, buffer: Buffer, patience: u32): u32 {
  const end = buffer.seq + buffer.length;
  if (!isLater(cold.rackXmit, cold.rackEnd, buffer.sentAt, end)) return NEVER;
  const left = i32(buffer.sentAt + patience - now);
  return left > 0 ? left : 0;
}

/** Section 6.2, step 4. */
function reorderingWindow(tcb: Tcb, cold: TcbCold): u32 {
  if (!(cold.repair & R_REORDERED)) {
    if (tcb.flags & F_RECOVERY || cold.repair & R_LOSS) return 0;
    if (cold.sackedSegments >= DUP_THRESHOLD) return 0;
  }
  const window = (cold.minRtt >> 2) * (u32(cold.reoGrown) + 1);
  return min<u32>(window, cold.srtt8 >> 3);
}

/** D-SACKs widen the reordering window, once a round trip (section 6.2, step 4). */
export function adaptReorderingWindow(tcb: Tcb, cold: TcbCold): void {
  if (cold.repair & R_DSACK_ROUND && seqAfterEq(tcb.sndUna, cold.dsackRound)) {
    cold.repair &= ~R_DSACK_ROUND;
  }
  if (twiceFrom == twiceTo || cold.repair & R_DSACK_ROUND) return;
  cold.repair |= R_DSACK_ROUND;
  cold.dsackRound = tcb.sndNxt;
  if (cold.reoGrown < 255) cold.reoGrown++;
  cold.reoPersist = PERSISTENCE;
}

/** A recovery is over: a widened window is kept for some of them. */
export function relaxReorderingWindow(cold: TcbCold): void {
  if (cold.reoPersist == 0) return;
  cold.reoPersist--;
  if (cold.reoPersist == 0) cold.reoGrown = 0;
}
