/**
 * CUBIC (RFC 9438): after a loss the window goes to 0.7 of what it was and then, by the clock and not
 * by the round trip, back along a cubic curve: fast, flat around where the loss was, and fast again. It
 * is never slower than Reno would be. Slow start is HyStart++'s.
 */
import { now } from "../time/clock";
import { controlState } from "./control-state";
import { cubicK, cubicWindow } from "./cubic-curve";
import {
  beginHyStart,
  cautiousSlowStart,
  HyStart,
  isFirstSlowStart,
  resumeHyStart,
} from "./hystart";
import { keepPrior, restorePrior } from "./newreno";
import { Tcb, TcbCold } from "./tcb";

/** An epoch that lasts longer than this, µs, begins anew, before its clock runs over. */
const EPOCH_MAX: u32 = 1 << 30;

@final
@unmanaged
export class Cubic extends HyStart {
  /** Where the curve is flat, bytes; 0 after a timeout: wherever the window then is. */
  wMax: u32;
  /** What Reno's window would be; `cwndCredit` counts the bytes towards its next segment. */
  wEst: u32;

  // Words of others. Between `onLoss` and the end of recovery there is no epoch.
  /** In an epoch: when the curve is at wMax, µs after the epoch's start. */
  get k(): u32 {
    return this.prrDelivered;
  }

  set k(time: u32) {
    this.prrDelivered = time;
  }

  get epochStart(): u32 {
    return this.recoverFlight;
  }

  set epochStart(time: u32) {
    this.recoverFlight = time;
  }

  /** wMax before the last reduction, with which HyStart's rounds end. */
  get priorWMax(): u32 {
    return this.lastRoundMin;
  }

  set priorWMax(window: u32) {
    this.lastRoundMin = window;
  }
}

function cubicOf(cold: TcbCold): Cubic {
  return changetype<Cubic>(controlState(cold));
}

export function cubicInit(tcb: Tcb, cold: TcbCold): void {
  beginHyStart(tcb, cubicOf(cold));
}

/** Growth on an ACK of `acked` bytes. */
export function cubicGrow(tcb: Tcb, cold: TcbCold, acked: u32): void {
  const state = cubicOf(cold);
  if (tcb.cwnd < cold.ssthresh) {
    cautiousSlowStart(tcb, cold, state, acked);
    return;
  }
  if (!state.inEpoch || now - state.epochStart > EPOCH_MAX) beginEpoch(tcb, cold, state);
  growEstimate(tcb, cold, state, acked);
  const cwnd = tcb.cwnd;
  const mss: u32 = tcb.mss;
  const elapsed = now - state.epochStart;
  if (cubicWindow(elapsed, state.k, state.wMax, mss) < state.wEst) {
    // Reno-friendly region (section 4.3).
    tcb.cwnd = max<u32>(cwnd, state.wEst);
    return;
  }
  // Concave and convex region (sections 4.4 and 4.5): towards where the curve is a round trip later.
  const ahead = cubicWindow(elapsed + (cold.srtt8 >> 3), state.k, state.wMax, mss);
  const target = min<u32>(max<u32>(ahead, cwnd), cwnd + (cwnd >> 1));
  tcb.cwnd = cwnd + u32((u64(target - cwnd) * u64(acked)) / u64(cwnd));
}

/** Congestion avoidance begins (section 4.2). */
function beginEpoch(tcb: Tcb, cold: TcbCold, state: Cubic): void {
  const cwnd = tcb.cwnd;
  state.inEpoch = 1;
  state.epochStart = now;
  state.wEst = cwnd;
  cold.cwndCredit = 0;
  if (cwnd < state.wMax) {
    state.k = cubicK(state.wMax - cwnd, tcb.mss);
  } else {
    state.k = 0;
    state.wMax = cwnd;
  }
}

/**
 * W_est (section 4.3): 3 (1 - 0.7) / (1 + 0.7) = 9/17 of a segment for each window acknowledged, which
 * with the factor 0.7 shares as Reno does, until it has reached the window before the reduction; a
 * whole segment from there on.
 */
function growEstimate(tcb: Tcb, cold: TcbCold, state: Cubic, acked: u32): void {
  const weighed = state.wEst < state.priorCwnd ? u32((u64(acked) * 9) / 17) : acked;
  const cwnd = tcb.cwnd;
  const credit = cold.cwndCredit + weighed;
  if (credit < cwnd) {
    cold.cwndCredit = credit;
    return;
  }
  const windows = credit / cwnd;
  cold.cwndCredit = credit - windows * cwnd;
  state.wEst += windows * tcb.mss;
}

/** Multiplicative decrease and fast convergence (sections 4.6 and 4.7). */
export function cubicReduce(tcb: Tcb, cold: TcbCold, flight: u32): void {
  const state = cubicOf(cold);
  const cwnd = tcb.cwnd;
  keepPrior(tcb, cold);
  state.priorWMax = state.wMax;
  // A flow that did not get back to where it was before leaves room to new ones.
  state.wMax = cwnd < state.wMax ? u32((u64(cwnd) * 17) / 20) : cwnd;
  state.inEpoch = 0;
  cold.ssthresh = max<u32>(u32((u64(flight) * 7) / 10), u32(tcb.mss) << 1);
}

/** After the timeout, which `cubicReduce` was told of, the curve begins where slow start ends (4.8). */
export function cubicTimeout(cold: TcbCold): void {
  const state = cubicOf(cold);
  state.wMax = 0;
  state.inEpoch = 0;
}

/** The reduction was a mistake (section 4.9). */
export function cubicUndo(tcb: Tcb, cold: TcbCold): void {
  const state = cubicOf(cold);
  state.inEpoch = 0;
  // A timeout that others preceded has reduced nothing.
  if (isFirstSlowStart(cold)) return;
  restorePrior(tcb, cold);
  state.wMax = state.priorWMax;
  if (isFirstSlowStart(cold)) resumeHyStart(state);
}

/** A pause: the clock of the curve does not run while nothing is sent (section 5.8). */
export function cubicPause(cold: TcbCold): void {
  cubicOf(cold).inEpoch = 0;
}
