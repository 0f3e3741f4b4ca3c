/**
 * HyStart++ (RFC 9406): the first slow start ends when round trips get longer, before the queue that
 * makes them so overflows. A rise leads to Conservative Slow Start (CSS), which grows by a quarter as
 * fast; when it lasts five rounds the threshold is where the window is, when it passes it was none.
 */
import { WindowState } from "./control-state";
import { slowStart, UNLIMITED } from "./newreno";
import { roundTrip } from "./rtt";
import { seqAfterEq } from "./seq";
import { Tcb, TcbCold } from "./tcb";

// Section 4.3; times in µs. Growth is not limited to L segments an ACK, see `slowStart`.
const MIN_RTT_THRESH: u32 = 4000;
const MAX_RTT_THRESH: u32 = 16_000;
const MIN_RTT_DIVISOR_SHIFT: u32 = 3;
const SAMPLES: u32 = 8;
const CSS_GROWTH_SHIFT: u32 = 2;
const CSS_ROUNDS: u32 = 5;

const INFINITY: u32 = 0xffffffff;

@unmanaged
export class HyStart extends WindowState {
  /** The round ends when this sequence number is acknowledged. */
  windowEnd: u32;
  /** Shortest round trips, µs; INFINITY without a sample. The first is 0 once the first slow start is over. */
  lastRoundMin: u32;
  thisRoundMin: u32;
  /** What made CSS begin; INFINITY outside of it. */
  baselineMin: u32;
  /** Samples of this round, and rounds of CSS. */
  samples: u8;
  cssRounds: u8;
  /** Of the control that builds on this: 1 while its `epoch` runs. */
  inEpoch: u8;
}

/** Before the first round. */
export function beginHyStart(tcb: Tcb, state: HyStart): void {
  state.windowEnd = tcb.sndNxt;
  state.lastRoundMin = INFINITY;
  state.thisRoundMin = INFINITY;
  state.baselineMin = INFINITY;
  state.samples = 0;
}

/** Whether there is no threshold yet: only then do rounds count. */
export function isFirstSlowStart(cold: TcbCold): bool {
  return cold.ssthresh >= UNLIMITED;
}

/** The first slow start goes on, without what the control has overwritten: this round is compared with none. */
export function resumeHyStart(state: HyStart): void {
  state.lastRoundMin = INFINITY;
}

/** Slow start on an ACK of `acked` bytes; watches the round trips until there is a threshold. */
export function cautiousSlowStart(tcb: Tcb, cold: TcbCold, state: HyStart, acked: u32): void {
  if (!isFirstSlowStart(cold)) {
    slowStart(tcb, cold, acked);
    return;
  }
  if (roundTrip != 0) {
    state.thisRoundMin = min<u32>(state.thisRoundMin, roundTrip);
    if (state.samples < 255) state.samples++;
  }
  slowStart(tcb, cold, state.baselineMin == INFINITY ? acked : acked >> CSS_GROWTH_SHIFT);
  if (state.samples >= SAMPLES) judgeRound(state);
  if (seqAfterEq(tcb.sndUna, state.windowEnd)) endRound(tcb, cold, state);
}

/** Enough samples of this round: have round trips become longer, or short again? */
function judgeRound(state: HyStart): void {
  const shortest = state.thisRoundMin;
  if (state.baselineMin != INFINITY) {
    // The rise was none that lasted.
    if (shortest < state.baselineMin) state.baselineMin = INFINITY;
    return;
  }
  const last = state.lastRoundMin;
  if (last == INFINITY) return;
  const margin = max<u32>(MIN_RTT_THRESH, min<u32>(last >> MIN_RTT_DIVISOR_SHIFT, MAX_RTT_THRESH));
  if (shortest < last + margin) return;
  state.baselineMin = shortest;
  state.cssRounds = 0;
}

function endRound(tcb: Tcb, cold: TcbCold, state: HyStart): void {
  state.windowEnd = tcb.sndNxt;
  state.lastRoundMin = state.thisRoundMin;
  state.thisRoundMin = INFINITY;
  state.samples = 0;
  if (state.baselineMin == INFINITY) return;
  // A round in whose middle CSS began counts too.
  state.cssRounds++;
  if (state.cssRounds < CSS_ROUNDS) return;
  cold.ssthresh = tcb.cwnd;
  state.priorCwnd = tcb.cwnd;
  state.lastRoundMin = 0;
}
