/**
 * BBR (version 1, draft-cardwell-iccrg-bbr-congestion-control-00, whose sections are cited): a model of
 * the path instead of a reaction to losses. Its bandwidth is the highest delivery rate of late, its
 * length the shortest round trip; what is sent is paced at the one, and what is in flight bounded by a
 * small multiple of the product of both. A loss that is no congestion changes neither.
 *
 *   STARTUP → DRAIN → PROBE_BW ⇄ PROBE_RTT      (section 3.4)
 *
 * A loss changes the window for as long as recovery lasts, since it may be the queue that has no room:
 * `ssthresh` is the model's window meanwhile. Then it is what it was, as every flight loses something
 * where losses are random.
 */
import { now } from "../time/clock";
import { controlState, RateState } from "./control-state";
import {
  deliveryRate,
  endSample,
  markLimited,
  priorDelivered,
  rateIsLimited,
} from "./delivery-rate";
import { rateOf, sendQuantum, setPacingRate } from "./pacing";
import { roundTrip } from "./rtt";
import { C_SAMPLED, F_RECOVERY, R_LOSS, Tcb, TcbCold } from "./tcb";

const STARTUP: u32 = 0;
const DRAIN: u32 = 1;
const PROBE_BW: u32 = 2;
const PROBE_RTT: u32 = 3;

// Gains are in 256ths.
const UNIT: u32 = 256;
/** 2 / ln 2: the least that doubles the rate every round trip (section 4.3.2.1). */
const HIGH_GAIN: u32 = 739;
const DRAIN_GAIN: u32 = 89;
const PROBE_UP_GAIN: u32 = 320;
const PROBE_DOWN_GAIN: u32 = 192;
const CWND_GAIN: u32 = 512;

const PHASES: u32 = 8;
/** Rounds without growth by a quarter after which the pipe is full (section 4.3.2.2). */
const FULL_ROUNDS: u32 = 3;
/** How long a shortest round trip is believed, and how long a new one is looked for (section 4.3.5), µs. */
const MIN_RTT_WINDOW: u32 = 10_000_000;
const PROBE_RTT_TIME: u32 = 200_000;
/** Segments that keep ACKs coming (section 4.2.3.2). */
const LEAST_SEGMENTS: u32 = 4;
const UNKNOWN: u32 = 0xffffffff;

@final
@unmanaged
export class Bbr extends RateState {
  /** RTprop, µs, UNKNOWN before the first sample; and when it was measured. */
  minRtt: u32;
  minRttAt: u32;
  /**
   * Highest delivery rate of this cycle of PROBE_BW and of the one before, bytes a second. Until the pipe is full
   * the second is `fullRate`, which is no higher than `rate` and so changes nothing of what both say.
   */
  rate: u32;
  rateBefore: u32;
  /** The round ends when what was delivered by now is acknowledged by a segment sent after that. */
  roundEnd: u32;
  /** µs: when the phase of PROBE_BW began, or when PROBE_RTT has lasted long enough. */
  stamp: u32;
  state: u8;
  phase: u8;
  /** Rounds without growth; the pipe is full from FULL_ROUNDS on. */
  fullRounds: u8;
  flags: u8;

  /** The rate that STARTUP has to exceed by a quarter. */
  get fullRate(): u32 {
    return this.rateBefore;
  }

  set fullRate(rate: u32) {
    this.rateBefore = rate;
  }
}

// Bits of `flags`.
/** The ACK in hand begins a round. */
const ROUND_START: u32 = 1;
/** Sending has begun again after a pause (section 4.3.4.4). */
const IDLE_RESTART: u32 = 2;
/** PROBE_RTT: the flight has become small, and `stamp` is set; a round has passed since. */
const SMALL: u32 = 4;
const ROUND_DONE: u32 = 8;
/** Something was lost in this round. */
const LOST: u32 = 16;
/** A timeout has made the window small, for one round. */
const TIMED_OUT: u32 = 32;
/** The first round of recovery: what arrives makes room for as much, and for no more. */
const CONSERVING: u32 = 64;

function bbrOf(cold: TcbCold): Bbr {
  return changetype<Bbr>(controlState(cold));
}

/** BBRInit (section 4.3.1). */
export function bbrInit(tcb: Tcb, cold: TcbCold): void {
  const bbr = bbrOf(cold);
  const rtt = cold.srtt8 >> 3;
  tcb.controlFlags |= <u16>C_SAMPLED;
  bbr.minRtt = rtt != 0 ? rtt : UNKNOWN;
  bbr.minRttAt = now;
  bbr.deliveredAt = now;
  bbr.firstSentAt = now;
  bbr.state = <u8>STARTUP;
  // Nothing is known but the round trip of the handshake (section 4.2.1).
  setPacingRate(tcb, bbr, times(rateOf(tcb.cwnd, rtt != 0 ? rtt : 1000), HIGH_GAIN));
}

/** BBRUpdateOnACK (section 4.1.2). @param flight bytes in flight before the ACK of `acked` bytes */
export function bbrOnAck(tcb: Tcb, cold: TcbCold, acked: u32, flight: u32): void {
  const bbr = bbrOf(cold);
  const inFlight = flight > acked ? flight - acked : 0;
  endSample(bbr, bbr.minRtt == UNKNOWN ? 0 : bbr.minRtt);
  updateRate(bbr);
  if (bbr.state == PROBE_BW) checkPhase(tcb, bbr, flight);
  checkFullPipe(bbr);
  checkDrain(tcb, bbr, inFlight);
  const expired = updateMinRtt(bbr);
  checkProbeRtt(tcb, bbr, inFlight, expired);
  setRate(tcb, bbr);
  setWindow(tcb, cold, bbr, acked);
}

/** Something was lost: recovery begins with what is in flight (section 4.2.3.4). */
export function bbrOnLoss(tcb: Tcb, cold: TcbCold): void {
  const bbr = bbrOf(cold);
  // What an earlier loss, or PROBE_RTT, has made of the window is not what it was.
  const small: bool = bbr.state == PROBE_RTT || isRecovering(tcb, cold);
  bbr.priorCwnd = max<u32>(tcb.cwnd, small ? bbr.priorCwnd : 0);
  bbr.flags |= <u8>(LOST | CONSERVING);
  bbr.roundEnd = bbr.delivered;
  cold.ssthresh = tcb.cwnd;
  tcb.cwnd = 0;
}

/**
 * BBRModulateCwndForRecovery (section 4.2.3.4), with SACK: for a round an ACK lets out as much as it says
 * has arrived, later twice that until the window is the model's, and what was lost takes its place along.
 *
 * @param flight bytes in flight after the ACK, without those that `arrived` by it or are thought `lost`
 */
export function bbrRecover(tcb: Tcb, cold: TcbCold, flight: u32, arrived: u32, lost: u32): void {
  const cwnd = tcb.cwnd > lost ? tcb.cwnd - lost : 0;
  const conserving = (bbrOf(cold).flags & CONSERVING) != 0;
  const next = conserving ? max<u32>(cwnd, flight + arrived) : cwnd + arrived;
  tcb.cwnd = max<u32>(min<u32>(next, cold.ssthresh), leastWindow(tcb));
}

/** The window grows again from one segment, by what arrives, for a round (section 4.2.3.4). */
export function bbrTimeout(cold: TcbCold): void {
  const bbr = bbrOf(cold);
  bbr.flags |= <u8>TIMED_OUT;
  bbr.roundEnd = bbr.delivered;
}

/** The window of before, for what the model still says. */
export function bbrRestore(tcb: Tcb, cold: TcbCold): void {
  const bbr = bbrOf(cold);
  if (bbr.state == PROBE_RTT) tcb.cwnd = leastWindow(tcb);
  else tcb.cwnd = max<u32>(cold.ssthresh, bbr.priorCwnd);
}

/** Sending begins again after a pause: at the rate of the path, as nothing waits there (4.3.4.4). */
export function bbrRestart(tcb: Tcb, cold: TcbCold): void {
  const bbr = bbrOf(cold);
  if (bbr.appLimited == 0) return;
  bbr.flags |= <u8>IDLE_RESTART;
  if (bbr.state == PROBE_BW && bandwidth(bbr) != 0) setPacingRate(tcb, bbr, bandwidth(bbr));
}

/** BBRUpdateRound and BBRUpdateBtlBw (sections 4.1.1.3 and 4.1.1.5). */
function updateRate(bbr: Bbr): void {
  bbr.flags &= ~(<u8>ROUND_START);
  if (deliveryRate == 0) return;
  if (i32(priorDelivered - bbr.roundEnd) >= 0) {
    bbr.roundEnd = bbr.delivered;
    bbr.flags = (bbr.flags | (<u8>ROUND_START)) & ~(<u8>CONSERVING);
    if (bbr.state != PROBE_BW) bbr.flags &= ~(<u8>LOST);
  }
  if (!rateIsLimited || deliveryRate >= bandwidth(bbr)) {
    bbr.rate = max<u32>(bbr.rate, deliveryRate);
  }
}

function bandwidth(bbr: Bbr): u32 {
  return max<u32>(bbr.rate, bbr.rateBefore);
}

/** BBRCheckCyclePhase (section 4.3.4.3). */
function checkPhase(tcb: Tcb, bbr: Bbr, flight: u32): void {
  const gain = phaseGain(bbr.phase);
  const full: bool = now - bbr.stamp > bbr.minRtt;
  let next = full;
  if (gain > UNIT) {
    // Until the flight is as large as the gain makes it, or the path has no room for that.
    next = full && ((bbr.flags & LOST) != 0 || flight >= inflightOf(tcb, bbr, gain));
  } else if (gain < UNIT) {
    next = full || flight <= inflightOf(tcb, bbr, UNIT);
  }
  if (next) beginPhase(bbr, (u32(bbr.phase) + 1) % PHASES);
}

function beginPhase(bbr: Bbr, phase: u32): void {
  bbr.stamp = now;
  bbr.phase = <u8>phase;
  bbr.flags &= ~(<u8>LOST);
  // The filter forgets a whole cycle at a time (draft-ietf-ccwg-bbr, MaxBwFilterLen), never the last.
  if (phase != 0 || bbr.rate == 0) return;
  bbr.rateBefore = bbr.rate;
  bbr.rate = 0;
}

function phaseGain(phase: u32): u32 {
  if (phase == 0) return PROBE_UP_GAIN;
  return phase == 1 ? PROBE_DOWN_GAIN : UNIT;
}

/** BBRCheckFullPipe (section 4.3.2.2). */
function checkFullPipe(bbr: Bbr): void {
  if (bbr.fullRounds >= FULL_ROUNDS || !(bbr.flags & ROUND_START) || rateIsLimited) return;
  const rate = bandwidth(bbr);
  if (rate >= bbr.fullRate + (bbr.fullRate >> 2)) {
    bbr.fullRate = rate;
    bbr.fullRounds = 0;
    return;
  }
  bbr.fullRounds++;
}

/** BBRCheckDrain (section 4.3.3). */
function checkDrain(tcb: Tcb, bbr: Bbr, inFlight: u32): void {
  if (bbr.state == STARTUP && bbr.fullRounds >= FULL_ROUNDS) bbr.state = <u8>DRAIN;
  if (bbr.state == DRAIN && inFlight <= inflightOf(tcb, bbr, UNIT)) enterProbeBw(bbr);
}

/** Begins at any phase but the one that slows down (section 4.3.4.2). */
function enterProbeBw(bbr: Bbr): void {
  bbr.state = <u8>PROBE_BW;
  const phase = ((now >> 4) ^ bbr.delivered) % (PHASES - 1);
  beginPhase(bbr, phase == 0 ? 0 : phase + 1);
}

/** BBRUpdateRTprop (section 4.1.2.3). True when the old one had not been seen for too long. */
function updateMinRtt(bbr: Bbr): bool {
  const expired: bool = now - bbr.minRttAt > MIN_RTT_WINDOW;
  if (roundTrip != 0 && (roundTrip <= bbr.minRtt || expired)) {
    bbr.minRtt = roundTrip;
    bbr.minRttAt = now;
  }
  return expired;
}

/** BBRCheckProbeRTT and BBRHandleProbeRTT (section 4.3.5). */
function checkProbeRtt(tcb: Tcb, bbr: Bbr, inFlight: u32, expired: bool): void {
  if (bbr.state != PROBE_RTT && expired && !(bbr.flags & IDLE_RESTART)) {
    bbr.state = <u8>PROBE_RTT;
    bbr.priorCwnd = tcb.cwnd;
    bbr.flags &= ~(<u8>(SMALL | ROUND_DONE));
  }
  bbr.flags &= ~(<u8>IDLE_RESTART);
  if (bbr.state != PROBE_RTT) return;
  // The rate measured now is that of the small window.
  markLimited(bbr, inFlight);
  if (!(bbr.flags & SMALL)) {
    if (inFlight > leastWindow(tcb)) return;
    bbr.stamp = now + PROBE_RTT_TIME;
    bbr.flags |= <u8>SMALL;
    bbr.roundEnd = bbr.delivered;
    return;
  }
  if (bbr.flags & ROUND_START) bbr.flags |= <u8>ROUND_DONE;
  if (!(bbr.flags & ROUND_DONE) || i32(now - bbr.stamp) < 0) return;
  bbr.minRttAt = now;
  tcb.cwnd = max<u32>(tcb.cwnd, bbr.priorCwnd);
  if (bbr.fullRounds >= FULL_ROUNDS) enterProbeBw(bbr);
  else bbr.state = <u8>STARTUP;
}

/** BBRSetPacingRate (section 4.2.1): while the pipe fills it only rises. */
function setRate(tcb: Tcb, bbr: Bbr): void {
  const rate = times(bandwidth(bbr), pacingGain(bbr));
  if (rate == 0) return;
  if (bbr.fullRounds >= FULL_ROUNDS || rate > bbr.pacingRate) setPacingRate(tcb, bbr, rate);
}

function pacingGain(bbr: Bbr): u32 {
  switch (u32(bbr.state)) {
    case STARTUP:
      return HIGH_GAIN;
    case DRAIN:
      return DRAIN_GAIN;
    case PROBE_BW:
      return phaseGain(bbr.phase);
    default:
      return UNIT;
  }
}

/** Whether a loss was being repaired already. */
function isRecovering(tcb: Tcb, cold: TcbCold): bool {
  return (tcb.flags & F_RECOVERY) != 0 || (cold.repair & R_LOSS) != 0;
}

/** BBRSetCwnd (section 4.2.3). */
function setWindow(tcb: Tcb, cold: TcbCold, bbr: Bbr, acked: u32): void {
  const target = windowTarget(tcb, bbr);
  if (tcb.flags & F_RECOVERY) {
    cold.ssthresh = target;
    bbr.priorCwnd = min<u32>(bbr.priorCwnd, target);
    return;
  }
  let cwnd = tcb.cwnd;
  if ((bbr.flags & (TIMED_OUT | ROUND_START)) == (TIMED_OUT | ROUND_START)) {
    bbr.flags &= ~(<u8>TIMED_OUT);
    cwnd = max<u32>(cwnd, bbr.priorCwnd);
  }
  if (bbr.fullRounds >= FULL_ROUNDS) cwnd = min<u32>(cwnd + acked, target);
  else if (cwnd < target) cwnd += acked;
  tcb.cwnd = bbr.state == PROBE_RTT ? leastWindow(tcb) : max<u32>(cwnd, leastWindow(tcb));
}

function windowTarget(tcb: Tcb, bbr: Bbr): u32 {
  if (bbr.state == PROBE_RTT) return leastWindow(tcb);
  const filling: bool = bbr.state == STARTUP || bbr.state == DRAIN;
  return max<u32>(inflightOf(tcb, bbr, filling ? HIGH_GAIN : CWND_GAIN), leastWindow(tcb));
}

function leastWindow(tcb: Tcb): u32 {
  return LEAST_SEGMENTS * tcb.mss;
}

/** BBRInflight (section 4.2.3.2): the path's content times a gain, and what batches hold back. */
function inflightOf(tcb: Tcb, bbr: Bbr, gain: u32): u32 {
  const rate = bandwidth(bbr);
  if (rate == 0 || bbr.minRtt == UNKNOWN) return tcb.cwnd;
  const product = (u64(rate) * u64(bbr.minRtt)) / 1_000_000;
  const scaled = (product * u64(gain)) / u64(UNIT) + u64(3 * sendQuantum(tcb, bbr.pacingRate));
  return u32(min<u64>(scaled, 1 << 30));
}

function times(rate: u32, gain: u32): u32 {
  return u32(min<u64>((u64(rate) * u64(gain)) / u64(UNIT), u64(u32.MAX_VALUE)));
}
