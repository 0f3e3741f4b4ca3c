/**
 * Congestion control of RFC 5681 and the recovery arithmetic of RFC 6582 (NewReno). Everything is in
 * bytes.
 */
import { CFG_INITIAL_WINDOW } from "../abi";
import { config } from "../core/config";
import { coldOf, F_PARTIAL, F_RECOVERY, Tcb, TcbCold } from "./tcb";

const UNLIMITED: u32 = 0x7fffffff;
/** Above this the window never grows; keeps all sums within 32 bits. */
const CWND_MAX: u32 = 1 << 30;

export function initCongestion(tcb: Tcb): void {
  // RFC 6928; a SYN that had to be repeated starts with one segment (RFC 5681 section 3.1).
  const cold = coldOf(tcb);
  tcb.cwnd = cold.synCount > 1 ? tcb.mss : config(CFG_INITIAL_WINDOW) * tcb.mss;
  cold.ssthresh = UNLIMITED;
}

/**
 * Growth on a cumulative ACK outside recovery. All acknowledged bytes count in slow start, because a
 * receiver that works in batches sends one ACK for many segments. A window that the sender did not
 * use does not grow (RFC 7661 section 4.1).
 *
 * @param flight bytes in flight before the ACK
 */
export function growWindow(tcb: Tcb, acked: u32, flight: u32): void {
  const cwnd = tcb.cwnd;
  if (flight << 1 < cwnd || cwnd >= CWND_MAX) return;
  const cold = coldOf(tcb);
  if (cwnd < cold.ssthresh) {
    tcb.cwnd = min<u32>(cwnd + min<u32>(acked, cwnd), cold.ssthresh);
    return;
  }
  const credit = cold.cwndCredit + acked;
  if (credit >= cwnd) {
    cold.cwndCredit = credit - cwnd;
    tcb.cwnd = cwnd + tcb.mss;
  } else {
    cold.cwndCredit = credit;
  }
}

/**
 * Half of what is in flight, at least two segments (RFC 5681 equation 4).
 *
 * @param extra bytes of it that limited transmit sent, which do not count (section 3.2 step 2)
 */
function halfFlight(tcb: Tcb, cold: TcbCold, extra: u32): u32 {
  const flight = cold.sndMax - tcb.sndUna;
  return max<u32>((flight > extra ? flight - extra : 0) >> 1, u32(tcb.mss) << 1);
}

/** Third duplicate ACK: halve, remember how far was sent (RFC 6582 section 3.2 step 2). */
export function enterRecovery(tcb: Tcb): void {
  const cold = coldOf(tcb);
  cold.ssthresh = halfFlight(tcb, cold, cold.limitedBytes);
  cold.recover = cold.sndMax;
  tcb.cwnd = cold.ssthresh + 3 * u32(tcb.mss);
  tcb.flags = (tcb.flags | F_RECOVERY) & ~F_PARTIAL;
}

/** Partial ACK: deflate by what it acknowledged, add back a segment (step 3, partial). */
export function deflate(tcb: Tcb, acked: u32): void {
  const mss: u32 = tcb.mss;
  let cwnd = tcb.cwnd > acked ? tcb.cwnd - acked : 0;
  if (acked >= mss) cwnd += mss;
  tcb.cwnd = max<u32>(cwnd, mss);
}

/** Full ACK: deflate to ssthresh (step 3, option 2; the bounded batch keeps the burst short). */
export function leaveRecovery(tcb: Tcb): void {
  tcb.cwnd = coldOf(tcb).ssthresh;
  tcb.flags &= ~F_RECOVERY;
  tcb.dupAcks = 0;
}

/** Timeout: one segment, slow start (RFC 5681 section 3.1); repeated ones keep ssthresh. */
export function collapseWindow(tcb: Tcb): void {
  const cold = coldOf(tcb);
  if (cold.retries == 0) cold.ssthresh = halfFlight(tcb, cold, 0);
  tcb.cwnd = tcb.mss;
  cold.cwndCredit = 0;
  // Duplicates of what was sent before the timeout start no fast retransmit (RFC 6582 section 4).
  cold.recover = cold.sndMax;
  tcb.flags &= ~F_RECOVERY;
  tcb.dupAcks = 0;
}
