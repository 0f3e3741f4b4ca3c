/**
 * What the network says of a connection's packets: ICMP errors (RFC 5461, RFC 5927) and a next hop
 * that does not answer.
 */
import { RC_REFUSED, RC_UNREACHABLE } from "../abi";
import { findConnection, isOurs } from "../flow/groups";
import { toeplitzIpv4 } from "../net/toeplitz";
import { kill } from "./end";
import { seqAfterEq, seqBefore } from "./seq";
import { coldOf, SYN_SENT, Tcb } from "./tcb";

const UNREACHABLE: u32 = 3;
const CODE_PROTOCOL: u32 = 2;
const CODE_PORT: u32 = 3;
const CODE_TOO_BIG: u32 = 4;

/**
 * An ICMP error about a segment of ours. In SYN-SENT it ends the attempt (RFC 1122 section 4.2.3.9,
 * as every stack does); later it is only remembered as the reason of a timeout.
 *
 * @param ports local port low half, remote port high half, network order
 * @param seq sequence number quoted, host order
 */
export function tcpIcmpError(
  local: u32,
  remote: u32,
  ports: u32,
  seq: u32,
  type: u32,
  code: u32,
): void {
  // A packet too large for its path says nothing against the connection.
  if (type == UNREACHABLE && code == CODE_TOO_BIG) return;
  const tcb = ours(local, remote, ports);
  if (tcb == null) return;
  const cold = coldOf(tcb);
  // Blind attackers do not know what is in flight (RFC 5927 section 4.1).
  if (seqBefore(seq, tcb.sndUna) || seqAfterEq(seq, cold.sndMax)) return;
  const hard = type == UNREACHABLE && (code == CODE_PROTOCOL || code == CODE_PORT);
  const reason = hard ? RC_REFUSED : RC_UNREACHABLE;
  if (tcb.state == SYN_SENT && type == UNREACHABLE) kill(tcb, reason);
  else cold.softError = <i8>reason;
}

/** The next hop did not answer ARP; `ports` as in `tcpIcmpError`. */
export function tcpHostUnreachable(local: u32, remote: u32, ports: u32): void {
  const tcb = ours(local, remote, ports);
  if (tcb == null) return;
  if (tcb.state == SYN_SENT) kill(tcb, RC_UNREACHABLE);
  else coldOf(tcb).softError = <i8>RC_UNREACHABLE;
}

function ours(local: u32, remote: u32, ports: u32): Tcb | null {
  const received = rotl<u32>(ports, 16);
  const hash = toeplitzIpv4(remote, local, received);
  // While its group moves, what ICMP says is let go.
  return isOurs(hash) ? findConnection(hash, received, remote, local) : null;
}
