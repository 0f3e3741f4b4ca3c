/** The recovery arithmetic of RFC 6582 (NewReno). Everything is in bytes. */
import { onLoss, onRecoveryEnd, onTimeout } from "./congestion";
import { coldOf, F_RECOVERY, R_PARTIAL, Tcb } from "./tcb";

/** Third duplicate ACK: reduce, remember how far was sent (RFC 6582 section 3.2 step 2). */
export function enterRecovery(tcb: Tcb): void {
  const cold = coldOf(tcb);
  const flight = cold.sndMax - tcb.sndUna;
  // What limited transmit sent does not count.
  onLoss(tcb, flight > cold.limitedBytes ? flight - cold.limitedBytes : 0);
  cold.recover = cold.sndMax;
  tcb.cwnd = cold.ssthresh + 3 * u32(tcb.mss);
  tcb.flags |= F_RECOVERY;
  cold.repair &= ~R_PARTIAL;
}

/** Each duplicate is a segment that left the network (RFC 6582 section 3.2 step 3). */
export function inflate(tcb: Tcb): void {
  tcb.cwnd += tcb.mss;
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
  onRecoveryEnd(tcb);
  tcb.flags &= ~F_RECOVERY;
  coldOf(tcb).dupAcks = 0;
}

/** Timeout: one segment, slow start. */
export function collapseWindow(tcb: Tcb): void {
  const cold = coldOf(tcb);
  onTimeout(tcb, cold.sndMax - tcb.sndUna);
  // Duplicates of what was sent before the timeout start no fast retransmit (RFC 6582 section 4).
  cold.recover = cold.sndMax;
  tcb.flags &= ~F_RECOVERY;
  cold.dupAcks = 0;
}
