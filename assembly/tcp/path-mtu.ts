/**
 * TCP on paths that take less than the link (RFC 1191 section 6.4, RFC 8201 section 5.4): a message that
 * can be about a segment in flight (RFC 5927 section 7) lowers the largest segment of its connection, and
 * what was too large goes again at once in smaller pieces. Nothing was lost to congestion, so the window
 * stays as it is.
 */
import { CNT_DROP_ICMP_QUOTE } from "../abi";
import { count } from "../core/counters";
import { lowerPathMtu } from "../net/path-mtu";
import { now } from "../time/clock";
import { reservedBytes } from "./accecn";
import { sendSyn } from "./emit-syn";
import { isInFlight, quoted } from "./errors";
import { output } from "./output";
import { markAllLost } from "./scoreboard";
import { CAN_SEND, FIN_OUTSTANDING, SYN_SENT } from "./states";
import {
  coldOf,
  F_RECOVERY,
  F_RESENDING,
  F_SCOREBOARD,
  R_LOSS,
  R_PROBE,
  R_PROBE_AGAIN,
  R_REORDERING_TIMER,
  R_SACK,
  Tcb,
} from "./tcb";
import { pathMss, remoteHigh, remoteLow } from "./tuple";

/**
 * A segment of ours was larger than its path takes; its addresses are in hand (tuple.ts).
 *
 * @param ports local port low half, remote port high half, network order
 * @param seq sequence number quoted, host order
 * @param size of the largest packet that would have passed
 */
export function tcpTooBig(ports: u32, seq: u32, size: u32): void {
  const tcb = quoted(ports);
  if (tcb == null || !isInFlight(tcb, seq)) {
    count(CNT_DROP_ICMP_QUOTE);
    return;
  }
  const before = pathMss();
  lowerPathMtu(remoteHigh, remoteLow, size);
  if (tcb.state == SYN_SENT) {
    if (tcb.txHead != 0 && pathMss() < before) repeatBare(tcb);
    return;
  }
  const mss = pathMss() - tcb.optionBytes - reservedBytes(tcb);
  if (mss < tcb.mss) lowerMss(tcb, mss);
}

/** A SYN with data did not get through: goes again at once without (RFC 7413). */
function repeatBare(tcb: Tcb): void {
  coldOf(tcb).synSentAt = now;
  sendSyn(tcb);
}

/**
 * Takes a new largest segment, and sends what is in flight again, cut to it: with SACK all of it counts
 * as lost but what has arrived, without it everything goes from sndUna on, as after a timeout.
 */
function lowerMss(tcb: Tcb, mss: u32): void {
  tcb.mss = <u16>mss;
  if (!(tcb.state & (CAN_SEND | FIN_OUTSTANDING)) || tcb.txHead == 0) return;
  const cold = coldOf(tcb);
  if (tcb.flags & F_RECOVERY) cold.cwndCredit = 0;
  if (cold.repair & R_SACK) {
    if (!(tcb.flags & F_SCOREBOARD)) cold.highestArrived = tcb.sndUna;
    tcb.flags = (tcb.flags | F_SCOREBOARD) & ~F_RECOVERY;
    cold.repair = (cold.repair | R_LOSS) & ~(R_PROBE | R_PROBE_AGAIN | R_REORDERING_TIMER);
    cold.recover = cold.sndMax;
    markAllLost(tcb, cold);
  } else {
    tcb.sndNxt = tcb.sndUna;
    tcb.txNext = tcb.txHead;
    tcb.flags = (tcb.flags | F_RESENDING) & ~F_RECOVERY;
    cold.dupAcks = 0;
  }
  output(tcb);
}
