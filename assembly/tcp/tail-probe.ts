/**
 * The retransmission timer, and in front of it the tail loss probe (RFC 8985 section 7): with the last
 * segments of a flight lost nothing later arrives that would show it, so after two round trips the last
 * one is sent again, or one more, for the SACK that it brings.
 */
import { CNT_TCP_TAIL_PROBES } from "../abi";
import { rtoMin } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { isBefore, now } from "../time/clock";
import { ACK, FIN } from "../wire/tcp";
import { onLoss, onRecoveryEnd } from "./congestion";
import { setDeadline } from "./deadlines";
import { sendBare } from "./emit";
import { countResent, resend, sendNext } from "./output";
import { backedOffRto } from "./rtt";
import { arrived, closeScoreboard, inFlight, twiceFrom, twiceTo } from "./scoreboard";
import { WITH_FIN } from "./send-queue";
import { seqAfter, seqBefore } from "./seq";
import { F_FIN_SENT, F_SCOREBOARD, R_PROBE, R_PROBE_AGAIN, R_SACK, Tcb, TcbCold } from "./tcb";

/** Slack for a receiver and hosts that are not on the spot, µs (as Linux's TCP_TIMEOUT_MIN). */
const SLACK: u32 = 2000;

/** Sets the timer: for a probe where one would help, else for the retransmission timeout. */
export function armRetransmission(tcb: Tcb, cold: TcbCold): void {
  const rto = backedOffRto(tcb, cold);
  const mayProbe = (cold.repair & R_SACK) != 0 && !(tcb.flags & F_SCOREBOARD) && cold.srtt8 != 0;
  setDeadline(tcb, now + (mayProbe ? min<u32>(probeDelay(tcb, cold), rto) : rto));
}

/** Section 7.2. A lone segment may have to wait for its delayed ACK. */
function probeDelay(tcb: Tcb, cold: TcbCold): u32 {
  const alone: bool = tcb.sndNxt - tcb.sndUna <= tcb.mss;
  return (cold.srtt8 >> 2) + (alone ? rtoMin : min<u32>(SLACK, rtoMin));
}

/** How long after a deadline that was for a probe the retransmission timeout comes, at most, µs. */
export function probeLead(tcb: Tcb, cold: TcbCold): u32 {
  if (!(cold.repair & R_SACK)) return 0;
  const rto = backedOffRto(tcb, cold);
  const delay = (cold.srtt8 >> 2) + min<u32>(SLACK, rtoMin);
  return rto > delay ? rto - delay : 0;
}

/**
 * The deadline has passed: sends a probe if it was for one (section 7.3), and arms the timeout. False when
 * it is that which has passed.
 */
export function probeTail(tcb: Tcb, cold: TcbCold): bool {
  if (!(cold.repair & R_SACK) || tcb.flags & F_SCOREBOARD) return false;
  if (cold.srtt8 == 0 || tcb.backoff != 0) return false;
  // Nothing of the queue is in flight: a TX ring or the frames kept it back, unless it is a FIN alone.
  if (tcb.txHead == tcb.txNext && (tcb.txHead != 0 || !(tcb.flags & F_FIN_SENT))) return false;
  // More was sent since the timer was set; with a FIN it was set anew.
  if (tcb.txNext == 0 && !(tcb.flags & F_FIN_SENT)) {
    const delay = min<u32>(probeDelay(tcb, cold), cold.rto);
    const due = changetype<Buffer>(tcb.txTail).sentAt + delay;
    if (isBefore(now, due)) {
      setDeadline(tcb, due);
      return true;
    }
  }
  const end = tcb.sndNxt;
  const fresh = sendNext(tcb);
  // A TX ring that has no room for either says nothing of the path: the timeout comes in its own time.
  const again = !fresh && resendLast(tcb, cold);
  if (fresh || again) count(CNT_TCP_TAIL_PROBES);
  cold.repair |= again ? R_PROBE | R_PROBE_AGAIN : R_PROBE;
  cold.recover = again ? end : tcb.sndNxt;
  cold.highestArrived = tcb.sndUna;
  tcb.flags |= F_SCOREBOARD;
  setDeadline(tcb, now + backedOffRto(tcb, cold));
  return true;
}

/** Nothing has answered the probe of a FIN that is alone in flight. */
export function endProbe(tcb: Tcb, cold: TcbCold): void {
  cold.repair &= ~(R_PROBE | R_PROBE_AGAIN);
  closeScoreboard(tcb, cold);
}

/** What the answer to a probe says (section 7.4.2). */
export function probeAnswered(tcb: Tcb, cold: TcbCold, ack: u32, advanced: bool): void {
  if (seqBefore(ack, cold.recover)) return;
  if (cold.repair & R_PROBE_AGAIN && twiceTo != cold.recover) {
    if (seqAfter(ack, cold.recover)) {
      // The probe itself has mended a loss, which is a sign of congestion all the same.
      onLoss(tcb, inFlight(tcb, cold));
      onRecoveryEnd(tcb);
    } else if (advanced || arrived != 0 || twiceFrom != twiceTo) {
      // Either one may have arrived: the next ACK will tell.
      return;
    }
  }
  cold.repair &= ~(R_PROBE | R_PROBE_AGAIN);
}

/** Sends what was sent last once more: the FIN, if it went alone. False when there was no room. */
function resendLast(tcb: Tcb, cold: TcbCold): bool {
  if (tcb.txHead != 0) {
    const last = lastSent(tcb);
    if (!(tcb.flags & F_FIN_SENT) || last.flags & WITH_FIN) return resend(tcb, cold, last);
  }
  if (!sendBare(tcb, cold.sndEnd, FIN | ACK)) return false;
  countResent(tcb);
  return true;
}

/** There is one: data is in flight. */
function lastSent(tcb: Tcb): Buffer {
  if (tcb.txNext == 0) return changetype<Buffer>(tcb.txTail);
  let at = tcb.txHead;
  while (changetype<Buffer>(at).next != tcb.txNext) at = changetype<Buffer>(at).next;
  return changetype<Buffer>(at);
}
