/**
 * Places in the send queue from which to walk: the segments that begin the runs that SACK blocks named
 * last, latest first, as the peer repeats them (RFC 2018 section 4), or where a walk to one ended because it
 * took too long. With thousands of segments in flight a walk from the front would cost each ACK as many
 * steps; from a landmark it is mostly one.
 *
 * A landmark is a buffer in flight; it goes when the buffer does. Landmarks lie in the words that name the
 * latest runs of early data (recent.ts) while there are such, with F_OUT_OF_ORDER; there are none then.
 * All four words are zero when that begins or ends (reassembly.ts).
 */
import { Buffer } from "../mem/buffers";
import { forgetRecent, putFirst, RECENT, recentOf } from "./recent";
import { seqAfter, seqBeforeEq } from "./seq";
import { F_OUT_OF_ORDER, Tcb, TcbCold } from "./tcb";

/** The landmark, the segment judged last or the front: the last of them at or before `seq`. */
export function nearestPlace(tcb: Tcb, cold: TcbCold, seq: u32): u32 {
  let place = nearer(0, cold.lastJudged, seq);
  if (!(tcb.flags & F_OUT_OF_ORDER)) {
    const marks = recentOf(cold);
    for (let i: u32 = 0; i < RECENT; i++) place = nearer(place, load<u32>(marks + 4 * i), seq);
  }
  return place != 0 ? place : tcb.txHead;
}

function nearer(place: u32, candidate: u32, seq: u32): u32 {
  if (candidate == 0) return place;
  const begin = changetype<Buffer>(candidate).seq;
  if (!seqBeforeEq(begin, seq)) return place;
  return place == 0 || seqAfter(begin, changetype<Buffer>(place).seq) ? candidate : place;
}

/** A block named the run that begins with this buffer, or a walk ended at it. */
export function noteLandmark(tcb: Tcb, cold: TcbCold, buffer: u32): void {
  if (!(tcb.flags & F_OUT_OF_ORDER)) putFirst(cold, buffer);
}

/** A buffer leaves the send queue: it is none of early data, should such be named here. */
export function forgetLandmark(cold: TcbCold, buffer: u32): void {
  const marks = recentOf(cold);
  for (let i: u32 = 0; i < RECENT; i++) {
    if (load<u32>(marks + 4 * i) == buffer) store<u32>(marks + 4 * i, 0);
  }
}

/** True while there is one: a walk may have to go on. */
export function hasLandmarks(tcb: Tcb, cold: TcbCold): bool {
  if (tcb.flags & F_OUT_OF_ORDER) return false;
  return (cold.sackRecent0 | cold.sackRecent1 | cold.sackRecent2 | cold.sackRecent3) != 0;
}

export function forgetLandmarks(tcb: Tcb, cold: TcbCold): void {
  if (!(tcb.flags & F_OUT_OF_ORDER)) forgetRecent(cold);
}
