/**
 * Loss recovery with SACK (RFC 6675 in the form that RFC 8985 gives it): what an ACK does while something
 * in flight is known to have arrived or thought lost.
 *
 *   open → recovery    something is lost (RACK): the window shrinks in proportion to what arrives (RFC 6937)
 *        → loss        the timer has run out: everything is lost, slow start from one segment (RFC 6298)
 *   both end when all that was in flight at their beginning is acknowledged, or are taken back when what
 *   was sent again proves needless: by the echo of a timestamp (RFC 3522), by D-SACKs (RFC 3708), or after
 *   a timeout by the arrival of what was sent before it (RFC 5682).
 */
import {
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_FAST_RETRANSMITS,
  CNT_TCP_SPURIOUS_TIMEOUTS,
  CNT_TCP_UNDOS,
} from "../abi";
import { count } from "../core/counters";
import { confirmNeighbour } from "../net/neighbours";
import { now } from "../time/clock";
import { optionHasTimestamps, optionTsEcho } from "../wire/tcp-options";
import { onAck, onLoss, onRecoveryAck, onRecoveryEnd, onTimeout, onUndo } from "./congestion";
import { windowState } from "./control-state";
import { clearDeadline, setDeadline } from "./deadlines";
import { hasLandmarks } from "./landmarks";
import { isProbeAlone } from "./mtu-probe";
import { reportSent } from "./notices";
import { output } from "./output";
import { adaptReorderingWindow, detectLosses, relaxReorderingWindow } from "./rack";
import { clearSample, sampleRtt } from "./rtt";
import {
  arrived,
  arrivedRtt,
  beginAck,
  closeScoreboard,
  inFlight,
  isHeadLost,
  markAllLost,
  markNoneLost,
  noteReordering,
  originalArrived,
  releaseCovered,
  takeBlocks,
  twiceFrom,
  twiceTo,
} from "./scoreboard";
import { seqAfter, seqAfterEq } from "./seq";
import { armRetransmission, probeAnswered } from "./tail-probe";
import {
  C_SAMPLED,
  coldOf,
  F_MORE,
  F_PERSIST,
  F_RECOVERY,
  F_SCOREBOARD,
  R_DOUBT,
  R_LOSS,
  R_PROBE,
  R_PROBE_AGAIN,
  R_REORDERING_TIMER,
  R_UNDO,
  Tcb,
  TcbCold,
} from "./tcb";
import { echoedRtt } from "./timestamps";

/** The ACK in hand has shown the last retransmission to be as needless as all others. */
let allProved: bool = false;
/** A recovery has ended with something lost that was sent during it. */
let isLossLeft: bool = false;

/** An ACK on a connection with SACK, of something new or not, or an old one whose SACK is still news: ack <= sndMax. */
export function acknowledgeSelectively(tcb: Tcb, ack: u32): void {
  const cold = coldOf(tcb);
  const flight = inFlight(tcb, cold);
  const advanced: bool = seqAfter(ack, tcb.sndUna);
  let bytes: u32 = 0;
  beginAck(tcb, cold);
  clearSample();
  if (advanced) {
    bytes = releaseCovered(tcb, cold, ack);
    tcb.sndUna = ack;
    cold.retries = 0;
    tcb.flags &= ~(F_PERSIST | F_MORE);
    confirmNeighbour(tcb.neighbour);
  } else {
    count(CNT_TCP_DUPLICATE_ACKS);
  }
  takeBlocks(tcb, cold, ack);
  noteReordering(tcb, cold);
  takeRoundTrip(tcb, cold, advanced);
  if (arrived != 0) onAck(tcb, arrived, flight);
  takeDuplicates(tcb, cold);
  if (cold.repair & R_PROBE) probeAnswered(tcb, cold, ack, advanced);
  if (isMistake(tcb, cold, advanced)) takeBack(tcb, cold);
  else endRecovery(tcb, cold, ack, advanced);
  findLosses(tcb, cold, advanced);
  if (bytes != 0) reportSent(tcb, bytes);
}

/** Section 6.2 step 5 of RFC 8985 and what follows from it, on an ACK or when its timer has run out. */
function findLosses(tcb: Tcb, cold: TcbCold, advanced: bool): void {
  const lostBefore = cold.lostBytes;
  const wait = detectLosses(tcb, cold);
  const lost = cold.lostBytes - lostBefore;
  const moreLost: bool = lost != 0;
  const congested: bool = isLossLeft || (moreLost && !isProbeAlone(cold));
  const begins: bool = !(tcb.flags & F_RECOVERY) && !(cold.repair & R_LOSS) && congested;
  isLossLeft = false;
  if (begins) beginRecovery(tcb, cold);
  if (tcb.flags & F_RECOVERY) {
    if (tcb.controlFlags & C_SAMPLED) askModel(tcb, cold, lost);
    else shrinkWindow(tcb, cold, advanced && !moreLost);
  }
  setTimer(tcb, cold, wait, advanced || begins);
  const busy: bool = tcb.flags & F_RECOVERY || cold.repair & (R_LOSS | R_PROBE);
  const empty: bool = cold.sackedBytes == 0 && cold.lostBytes == 0 && !hasLandmarks(tcb, cold);
  if (!busy && empty) closeScoreboard(tcb, cold);
}

function setTimer(tcb: Tcb, cold: TcbCold, wait: u32, restart: bool): void {
  const had = (cold.repair & R_REORDERING_TIMER) != 0;
  cold.repair &= ~R_REORDERING_TIMER;
  if (tcb.sndUna == cold.sndMax) {
    // A deadline that is not about data in flight is left alone.
    if (restart) clearDeadline(tcb);
  } else if (wait != 0) {
    cold.repair |= R_REORDERING_TIMER;
    setDeadline(tcb, now + wait);
  } else if (restart || had) {
    armRetransmission(tcb, cold);
  }
}

/** The timer of R_REORDERING_TIMER has run out. */
export function reorderingTimeout(tcb: Tcb): void {
  const cold = coldOf(tcb);
  beginAck(tcb, cold);
  findLosses(tcb, cold, false);
  output(tcb);
}

/** The retransmission timer has run out; to be called before `retries` counts it. */
export function beginLoss(tcb: Tcb, cold: TcbCold): void {
  onTimeout(tcb, cold.sndMax - tcb.sndUna);
  if (!(cold.repair & R_LOSS)) cold.repair |= R_UNDO | R_DOUBT;
  if (!(tcb.flags & F_SCOREBOARD)) cold.highestArrived = tcb.sndUna;
  tcb.flags = (tcb.flags | F_SCOREBOARD) & ~F_RECOVERY;
  cold.repair = (cold.repair | R_LOSS) & ~(R_PROBE | R_PROBE_AGAIN | R_REORDERING_TIMER);
  cold.recover = cold.sndMax;
  markAllLost(tcb, cold);
}

function beginRecovery(tcb: Tcb, cold: TcbCold): void {
  count(CNT_TCP_FAST_RETRANSMITS);
  const flight = tcb.sndNxt - tcb.sndUna;
  onLoss(tcb, flight);
  tcb.flags |= F_RECOVERY;
  cold.repair = (cold.repair | R_UNDO) & ~(R_PROBE | R_PROBE_AGAIN);
  cold.recover = cold.sndMax;
  cold.prrOut = 0;
  // A control with a model of the path has other things in these words, and no use for them.
  if (tcb.controlFlags & C_SAMPLED) return;
  const state = windowState(cold);
  state.recoverFlight = flight;
  state.prrDelivered = 0;
}

function endRecovery(tcb: Tcb, cold: TcbCold, ack: u32, advanced: bool): void {
  const inLoss = (cold.repair & R_LOSS) != 0;
  if (!inLoss && !(tcb.flags & F_RECOVERY)) return;
  if (seqAfterEq(ack, cold.recover)) {
    if (!inLoss) onRecoveryEnd(tcb);
    tcb.flags &= ~F_RECOVERY;
    cold.repair &= ~(R_LOSS | R_DOUBT);
    relaxReorderingWindow(cold);
    // What was sent in the meantime has its own losses, and each flight's count for themselves.
    isLossLeft = !inLoss && isHeadLost(tcb);
  } else if (advanced) {
    // Only what was sent again has arrived: the timeout was right (RFC 5682 section 3.1).
    cold.repair &= ~R_DOUBT;
  }
}

/** A control with a model of the path says how much of it recovery uses, and paces how fast that is reached. */
function askModel(tcb: Tcb, cold: TcbCold, lost: u32): void {
  const flight = inFlight(tcb, cold);
  onRecoveryAck(tcb, flight, arrived, lost);
  // The first segment goes again whatever the window.
  if (cold.prrOut == 0) tcb.cwnd = max<u32>(tcb.cwnd, flight + tcb.mss);
}

/** Proportional rate reduction (RFC 6937): as much may go out as keeps the window on its way to ssthresh. */
function shrinkWindow(tcb: Tcb, cold: TcbCold, safe: bool): void {
  const flight = inFlight(tcb, cold);
  const target = cold.ssthresh;
  const out = cold.prrOut;
  const state = windowState(cold);
  const delivered = state.prrDelivered + arrived;
  state.prrDelivered = delivered;
  let allowed: u32 = 0;
  if (flight > target) {
    // Nothing is known of the flight when the control was changed since.
    const share = (u64(delivered) * u64(target)) / u64(max<u32>(state.recoverFlight, 1));
    allowed = share > u64(out) ? u32(min<u64>(share - u64(out), u64(arrived + tcb.mss))) : 0;
  } else {
    // The bound that conserves packets, and slow start where ACKs show that nothing more was lost.
    const owed = delivered > out ? delivered - out : 0;
    allowed = max<u32>(owed, arrived) + (safe ? u32(tcb.mss) : 0);
    allowed = min<u32>(allowed, target - flight);
  }
  // The first segment goes again whatever the window.
  if (out == 0) allowed = max<u32>(allowed, tcb.mss);
  tcb.cwnd = flight + allowed;
}

/** Samples the round trip, by what was sent only once or else by the echo of a timestamp. */
function takeRoundTrip(tcb: Tcb, cold: TcbCold, advanced: bool): void {
  let rtt = arrivedRtt;
  if (rtt == 0 && advanced && arrived != 0 && optionHasTimestamps) {
    rtt = echoedRtt(cold, optionTsEcho);
  }
  if (rtt == 0) return;
  tcb.backoff = 0;
  sampleRtt(cold, rtt);
}

function takeDuplicates(tcb: Tcb, cold: TcbCold): void {
  adaptReorderingWindow(tcb, cold);
  allProved = false;
  if (twiceFrom == twiceTo || cold.resentUnproved == 0) return;
  const mss: u32 = tcb.mss;
  const segments = (twiceTo - twiceFrom + mss - 1) / mss;
  const left = cold.resentUnproved;
  // So many were sent again that they were not counted.
  if (left == u8.MAX_VALUE) return;
  allProved = segments >= left;
  cold.resentUnproved = <u8>(allProved ? 0 : left - segments);
}

/** Whether the ACK in hand shows that the reduction was for nothing. */
function isMistake(tcb: Tcb, cold: TcbCold, advanced: bool): bool {
  const repair = cold.repair;
  if (!(repair & R_UNDO)) return false;
  if (allProved) return true;
  if (repair & R_LOSS && repair & R_DOUBT && originalArrived) return true;
  // What was sent first has arrived, not what was sent again.
  if (!advanced || !optionHasTimestamps || optionTsEcho == 0) return false;
  if (!(tcb.flags & F_RECOVERY) && !(repair & R_LOSS)) return false;
  return i32(optionTsEcho - cold.resentStamp) < 0;
}

/** Takes the reduction back; nothing counts as lost any more. */
function takeBack(tcb: Tcb, cold: TcbCold): void {
  count(cold.repair & R_LOSS ? CNT_TCP_SPURIOUS_TIMEOUTS : CNT_TCP_UNDOS);
  tcb.flags &= ~F_RECOVERY;
  cold.repair &= ~(R_LOSS | R_DOUBT | R_UNDO);
  tcb.backoff = 0;
  markNoneLost(cold);
  onUndo(tcb);
}
