/**
 * What the network says of a connection's packets: ICMP errors (RFC 5461, RFC 5927) and a next hop
 * that does not answer.
 */
import { CNT_DROP_ICMP_QUOTE, RC_REFUSED, RC_UNREACHABLE } from "../abi";
import { count } from "../core/counters";
import { isOurs } from "../flow/groups";
import { kill } from "./end";
import { seqBefore } from "./seq";
import { FAST_OPENED, SYN_RECEIVED, SYN_SENT } from "./states";
import { coldOf, F_OWNED, R_HALF_OPEN, Tcb } from "./tcb";
import { findTuple, tupleHash } from "./tuple";

/**
 * An ICMP error about a segment of ours, whose addresses are in hand (tuple.ts). While a handshake is under
 * way it ends the attempt (RFC 1122 section 4.2.3.9, as every stack does); later it is only remembered as the reason of a timeout.
 *
 * @param ports local port low half, remote port high half, network order
 * @param seq sequence number quoted, host order
 * @param unreachable false when the packet was too long on its way, or faulty
 * @param hard true when nobody there speaks TCP, or wants to
 */
export function tcpIcmpError(ports: u32, seq: u32, unreachable: bool, hard: bool): void {
  const tcb = quoted(ports);
  if (tcb == null || !isInFlight(tcb, seq)) {
    count(CNT_DROP_ICMP_QUOTE);
    return;
  }
  const reason = hard ? RC_REFUSED : RC_UNREACHABLE;
  // Fast Open: once it is accepted it is treated as established.
  const opening =
    tcb.state & (SYN_SENT | SYN_RECEIVED) || (tcb.state == FAST_OPENED && !(tcb.flags & F_OWNED));
  if (opening && unreachable) kill(tcb, reason);
  else coldOf(tcb).softError = <i8>reason;
}

/** The next hop did not answer; addresses and `ports` as in `tcpIcmpError`. */
export function tcpHostUnreachable(ports: u32): void {
  const tcb = quoted(ports);
  if (tcb == null) return;
  if (tcb.state == SYN_SENT) kill(tcb, RC_UNREACHABLE);
  else coldOf(tcb).softError = <i8>RC_UNREACHABLE;
}

/** Blind attackers do not know what is in flight (RFC 5927 section 4.1). */
export function isInFlight(tcb: Tcb, seq: u32): bool {
  const cold = coldOf(tcb);
  const first = cold.repair & R_HALF_OPEN ? tcb.sndUna - 1 : tcb.sndUna;
  return !seqBefore(seq, first) && seqBefore(seq, cold.sndMax);
}

/** The connection of a quoted segment of ours. */
export function quoted(ports: u32): Tcb | null {
  const received = rotl<u32>(ports, 16);
  const hash = tupleHash(received);
  // While its group moves, what ICMP says is let go.
  return isOurs(hash) ? findTuple(hash, received) : null;
}
