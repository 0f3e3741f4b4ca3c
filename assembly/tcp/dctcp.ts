/**
 * DCTCP (RFC 8257): the window shrinks by as much as the share of marked bytes says, not by half. It
 * grows, and answers losses, as Reno does. For networks whose switches mark at a low threshold.
 */
import { controlState, WindowState } from "./control-state";
import { isEchoed } from "./ecn";
import { keepPrior } from "./newreno";
import { seqAfter } from "./seq";
import { Tcb, TcbCold } from "./tcb";

/** Alpha is in 1024ths. */
const ONE: u32 = 1024;
/** g = 1/16 (section 4.2). */
const GAIN_SHIFT: u32 = 4;

@final
@unmanaged
export class Dctcp extends WindowState {
  /** The share of marked bytes, a moving average by flights, in 1024ths. */
  alpha: u32;
  /** Where the flight that is being observed ends, and its bytes. */
  windowEnd: u32;
  acked: u32;
  marked: u32;
}

function dctcpOf(cold: TcbCold): Dctcp {
  return changetype<Dctcp>(controlState(cold));
}

/** Section 3.3: alpha begins at 1, so that the first mark is answered as by Reno. */
export function dctcpInit(tcb: Tcb, cold: TcbCold): void {
  const state = dctcpOf(cold);
  state.alpha = ONE;
  state.windowEnd = tcb.sndNxt;
}

/** Counts what an ACK says of marks; once a flight, alpha follows (section 3.3, steps 1 to 8). */
export function dctcpObserve(tcb: Tcb, cold: TcbCold, acked: u32): void {
  const state = dctcpOf(cold);
  state.acked += acked;
  if (isEchoed) state.marked += acked;
  if (!seqAfter(tcb.sndUna, state.windowEnd)) return;
  const share = u32((u64(min<u32>(state.marked, state.acked)) * ONE) / u64(state.acked));
  // Without a last mark the average would never come down to nothing.
  const forgotten = max<u32>(state.alpha >> GAIN_SHIFT, state.alpha != 0 ? 1 : 0);
  state.alpha = min<u32>(state.alpha - forgotten + (share >> GAIN_SHIFT), ONE);
  state.windowEnd = tcb.sndNxt;
  state.acked = 0;
  state.marked = 0;
}

/** Bytes that accurate ECN says were marked, of those that `dctcpObserve` counts. */
export function dctcpMark(cold: TcbCold, bytes: u32): void {
  dctcpOf(cold).marked += bytes;
}

/** The flight had marks: cwnd (1 - alpha / 2) (section 3.3, step 9). */
export function dctcpReduce(tcb: Tcb, cold: TcbCold): void {
  const cwnd = tcb.cwnd;
  keepPrior(tcb, cold);
  const less = u32((u64(cwnd) * u64(dctcpOf(cold).alpha)) / (2 * ONE));
  cold.ssthresh = max<u32>(cwnd - less, u32(tcb.mss) << 1);
}
