/**
 * Path MTU discovery where no ICMP comes back, in a black hole (RFC 4821, RFC 8899): when a full segment
 * times out again and again, smaller ones are sent; when those arrive, larger ones are tried, in search of
 * the largest that does. The search is the connection's own: other ones to the same host may take other paths.
 *
 *   mss ≤ largest that arrives < mssCeiling ≤ mssFull         0 in mssFull: nothing is suspected
 *
 * When small segments time out as often, the size was not to blame, and mssCeiling stays behind as a mark.
 */
import { CFG_MTU_PROBING, CNT_TCP_BLACK_HOLES, CNT_TCP_MTU_PROBES } from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Buffer, hasFrame, release } from "../mem/buffers";
import { isDigest } from "../net/digest";
import { nowMillis } from "../time/clock";
import { payloadPlace } from "./emit";
import { sendInTurn } from "./output";
import { RECORD_END } from "./send-queue";
import { seqAfterEq } from "./seq";
import {
  coldOf,
  C_LOWERED,
  F_FIN_QUEUED,
  F_RECOVERY,
  F_RESENDING,
  F_SCOREBOARD,
  Tcb,
  TcbCold,
} from "./tcb";

/** Timeouts in a row from which on the size is suspected (as Linux's tcp_retries1). */
const SUSPICIOUS: u32 = 3;
/** The same once the size was suspected in vain; and from which on small ones, too, show that it was. */
const VERY_SUSPICIOUS: u32 = 6;
const HOPELESS: u32 = 9;
/** The first guess of the search. */
const BASE_MSS: u32 = 1024;
/** Where it ends: every IPv4 host takes packets of 576 bytes, every IPv6 link carries 1280; less headers. */
const FLOOR_MSS: u32 = 512;
const FLOOR_MSS_6: u32 = 1208;
/** Sizes so near to each other are not told apart. */
const CLOSE_ENOUGH: u32 = 32;
/** ms between a probe that was lost and the next one, and until the search begins anew (RFC 8899 5.1.1). */
const PROBE_PAUSE: u32 = 1000;
const RAISE_PAUSE: u32 = 600_000;
/** `probedAt` is in units of 64 ms: runs around in 70 minutes, after which a pause may be taken twice. */
const PROBED_SHIFT: u32 = 6;
/** Full segments behind a probe, whose arrival shows soon that it was lost. */
const FOLLOWERS: u32 = 3;

/** The oldest segment has timed out, after `retries` other times in a row. Smaller ones may go from now on. */
export function suspectSize(tcb: Tcb, cold: TcbCold): void {
  const lowered = (tcb.controlFlags & C_LOWERED) != 0;
  if (lowered) noteProbeLost(cold);
  const acquitted = !lowered && cold.mssCeiling != 0;
  const enough = acquitted ? VERY_SUSPICIOUS : SUSPICIOUS;
  if (cold.retries < enough || tcb.txHead == 0 || !config(CFG_MTU_PROBING)) return;
  const mss: u32 = tcb.mss;
  const length = changetype<Buffer>(tcb.txHead).length;
  if (lowered && length <= mss && isAcquitted(cold)) {
    restoreSize(tcb, cold);
    return;
  }
  const floor = isDigest(tcb.localIp) ? FLOOR_MSS_6 : FLOOR_MSS;
  const smaller = max<u32>(mss > BASE_MSS ? BASE_MSS : mss >> 1, floor);
  // A small segment that is lost as well speaks for a path that is gone, not for one that is narrow.
  if (smaller >= mss || length <= smaller) return;
  if (!lowered) {
    cold.mssFull = <u16>mss;
    cold.probeEnd = 0;
    count(CNT_TCP_BLACK_HOLES);
  }
  cold.mssCeiling = cold.mssFull;
  noteProbed(cold);
  tcb.mss = <u16>smaller;
  tcb.controlFlags |= <u16>C_LOWERED;
}

/**
 * Whether a small segment has timed out so often that size is not to blame: from the first on or, after others
 * had arrived, as often as made us suspect it. What a probe was sent for is found out by probes.
 */
function isAcquitted(cold: TcbCold): bool {
  if (cold.retries >= HOPELESS) return true;
  // In the run of timeouts that lowered the size the count is beyond that.
  return cold.retries == SUSPICIOUS && cold.probeEnd == 0;
}

/** Full segments again: the size was right. */
function restoreSize(tcb: Tcb, cold: TcbCold): void {
  tcb.mss = cold.mssFull;
  cold.mssFull = 0;
  tcb.controlFlags &= ~(<u16>C_LOWERED);
}

function noteProbed(cold: TcbCold): void {
  cold.probedAt = <u16>(nowMillis >> PROBED_SHIFT);
}

/** ms since the last probe ended, to within 64. */
function sinceProbe(cold: TcbCold): u32 {
  return (((nowMillis >> PROBED_SHIFT) - cold.probedAt) & 0xffff) << PROBED_SHIFT;
}

/** What was sent as a probe is to be sent again, smaller: it was too large, or just lost. */
export function noteProbeLost(cold: TcbCold): void {
  if (cold.probeSize == 0) return;
  cold.mssCeiling = cold.probeSize;
  cold.probeSize = 0;
  noteProbed(cold);
}

/**
 * Without SACK: whether it is the probe that the peer waits for. Its loss is no sign of congestion (RFC 4821
 * section 7.6); that of what follows it will show when it has arrived.
 */
export function isProbeAwaited(tcb: Tcb, cold: TcbCold): bool {
  if (cold.probeSize == 0 || tcb.txHead == 0) return false;
  const first = changetype<Buffer>(tcb.txHead);
  return first.seq + first.length == cold.probeEnd;
}

/** With SACK: whether nothing but the probe was lost. */
export function isProbeAlone(cold: TcbCold): bool {
  if (cold.probeSize == 0 || cold.nextLost == 0) return false;
  const lost = changetype<Buffer>(cold.nextLost);
  return cold.lostBytes == lost.length && lost.seq + lost.length == cold.probeEnd;
}

/**
 * With C_LOWERED, before anything new is sent: takes in that a probe has arrived, or sends the next one,
 * if all is well, it is time, and enough data waits.
 */
export function probeUpward(tcb: Tcb): void {
  const cold = coldOf(tcb);
  if (cold.probeSize != 0) {
    if (!seqAfterEq(tcb.sndUna, cold.probeEnd)) return;
    takeSize(tcb, cold);
    if (!(tcb.controlFlags & C_LOWERED)) return;
  }
  if (tcb.flags & (F_SCOREBOARD | F_RECOVERY | F_RESENDING | F_FIN_QUEUED) || cold.retries != 0)
    return;
  if (sinceProbe(cold) < PROBE_PAUSE || tcb.txNext == 0) return;
  const size = nextSize(tcb, cold);
  if (size == 0 || !mayProbe(tcb, cold, size)) return;
  const buffer = changetype<Buffer>(tcb.txNext);
  if (!mayLengthen(tcb, buffer, size)) return;
  lengthen(tcb, buffer, size);
  if (!sendInTurn(tcb, buffer)) return;
  count(CNT_TCP_MTU_PROBES);
  tcb.txNext = buffer.next;
  cold.mssCeiling = <u16>max<u32>(cold.mssCeiling, size);
  cold.probeSize = <u16>size;
  cold.probeEnd = buffer.seq + size;
}

/** A probe has arrived: its size is right. */
function takeSize(tcb: Tcb, cold: TcbCold): void {
  tcb.mss = cold.probeSize;
  cold.probeSize = 0;
  if (tcb.mss != cold.mssFull) return;
  restoreSize(tcb, cold);
  cold.mssCeiling = 0;
}

/** The size to try: all of it first, in case that nothing was wrong with it; then halfway. 0: none now. */
function nextSize(tcb: Tcb, cold: TcbCold): u32 {
  const mss: u32 = tcb.mss;
  const ceiling: u32 = cold.mssCeiling;
  if (cold.probeEnd == 0 && ceiling == u32(cold.mssFull)) return ceiling;
  if (ceiling > mss && ceiling - mss > CLOSE_ENOUGH) return (mss + ceiling) >> 1;
  return sinceProbe(cold) < RAISE_PAUSE ? 0 : cold.mssFull;
}

/** Whether windows and queue have room for the probe and what shall follow it. */
function mayProbe(tcb: Tcb, cold: TcbCold, size: u32): bool {
  const needed = size + FOLLOWERS * u32(tcb.mss);
  const flight = tcb.sndNxt - tcb.sndUna;
  return flight + needed <= min<u32>(tcb.sndWnd, tcb.cwnd) && cold.sndEnd - tcb.sndNxt >= needed;
}

/** Whether an unsent buffer and those behind it make one of `size` bytes. */
function mayLengthen(tcb: Tcb, buffer: Buffer, size: u32): bool {
  const framed = hasFrame(buffer);
  if (framed && (buffer.holds != 1 || buffer.address != payloadPlace(tcb, buffer))) return false;
  if (buffer.flags & RECORD_END) return buffer.length == size;
  let length = buffer.length;
  let at = buffer.next;
  while (length < size) {
    if (at == 0) return false;
    const next = changetype<Buffer>(at);
    if (next.flags != buffer.flags || next.holds != 1) return false;
    if (!framed && (hasFrame(next) || next.address != buffer.address + length)) return false;
    length += next.length;
    at = next.next;
  }
  return buffer.length <= size;
}

/** Makes an unsent buffer `size` bytes long, by those behind it, which fit. */
function lengthen(tcb: Tcb, buffer: Buffer, size: u32): void {
  const framed = hasFrame(buffer);
  while (buffer.length < size) {
    const at = buffer.next;
    const next = changetype<Buffer>(at);
    const taken = min<u32>(size - buffer.length, next.length);
    if (framed) memory.copy(buffer.address + buffer.length, next.address, taken);
    buffer.length += taken;
    if (taken == next.length) {
      buffer.next = next.next;
      if (tcb.txTail == at) tcb.txTail = changetype<u32>(buffer);
      release(next);
    } else {
      next.seq += taken;
      next.address += taken;
      next.length -= taken;
    }
  }
}
