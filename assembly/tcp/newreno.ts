/**
 * The window of RFC 5681: slow start, congestion avoidance by a segment a round trip, half of the
 * flight after a loss. Everything is in bytes. Other controls build on its parts.
 */
import { windowState } from "./control-state";
import { Tcb, TcbCold } from "./tcb";

/** The threshold before the first loss: none. */
export const UNLIMITED: u32 = 0x7fffffff;
/** Above this the window never grows; keeps all sums within 32 bits. */
export const CWND_MAX: u32 = 1 << 30;

/** Growth on an ACK of `acked` bytes (section 3.1). */
export function renoGrow(tcb: Tcb, cold: TcbCold, acked: u32): void {
  if (tcb.cwnd < cold.ssthresh) slowStart(tcb, cold, acked);
  else avoidCongestion(tcb, cold, acked);
}

/**
 * All acknowledged bytes count in slow start (RFC 3465 without its limit L), because a receiver that
 * works in batches sends one ACK for many segments.
 */
export function slowStart(tcb: Tcb, cold: TcbCold, acked: u32): void {
  const cwnd = tcb.cwnd;
  tcb.cwnd = min<u32>(cwnd + min<u32>(acked, cwnd), cold.ssthresh);
  if (tcb.cwnd == cold.ssthresh) cold.cwndCredit = 0;
}

/** A segment for every window of bytes that was acknowledged (RFC 3465 section 2.1). */
export function avoidCongestion(tcb: Tcb, cold: TcbCold, acked: u32): void {
  const cwnd = tcb.cwnd;
  const credit = cold.cwndCredit + acked;
  if (credit >= cwnd) {
    cold.cwndCredit = credit - cwnd;
    tcb.cwnd = cwnd + tcb.mss;
  } else {
    cold.cwndCredit = credit;
  }
}

/** Half of what is in flight, at least two segments (equation 4). */
export function renoReduce(tcb: Tcb, cold: TcbCold, flight: u32): void {
  keepPrior(tcb, cold);
  cold.ssthresh = max<u32>(flight >> 1, u32(tcb.mss) << 1);
}

/** Remembers the window before a reduction. */
export function keepPrior(tcb: Tcb, cold: TcbCold): void {
  const state = windowState(cold);
  state.priorCwnd = tcb.cwnd;
  state.priorSsthresh = cold.ssthresh;
}

/** Takes the last reduction back: nothing was lost (RFC 5682 section 4, RFC 4015 section 3.1). */
export function restorePrior(tcb: Tcb, cold: TcbCold): void {
  const state = windowState(cold);
  tcb.cwnd = max<u32>(tcb.cwnd, state.priorCwnd);
  cold.ssthresh = max<u32>(cold.ssthresh, state.priorSsthresh);
}
