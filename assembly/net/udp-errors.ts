/** What the network says of datagrams, for the application of a connected port (RFC 1122 section 4.1.3.3). */
import { CNT_DROP_ICMP_QUOTE, EV_UDP_ERROR } from "../abi";
import { count } from "../core/counters";
import { pushEvent } from "../user/events";
import { findUdpPort } from "./udp-ports";

/**
 * An ICMP error about a datagram from `localPort` to an address and port (host order). Only the peer of a
 * connected port is news; a port that is not connected has no one peer.
 *
 * @param reason `RC_*`
 * @param size for RC_MSGSIZE, what the path takes
 * @returns false when no datagram of ours can have been the cause
 */
export function udpError(
  high: u64,
  low: u64,
  localPort: u32,
  remotePort: u32,
  reason: i32,
  size: u32,
): bool {
  const port = findUdpPort(localPort);
  if (port == null) {
    count(CNT_DROP_ICMP_QUOTE);
    return false;
  }
  if (port.peerPort != 0) {
    if (port.peerPort != remotePort || port.peerLow != low || port.peerHigh != high) {
      count(CNT_DROP_ICMP_QUOTE);
      return false;
    }
    pushEvent(EV_UDP_ERROR, port.handle, port.cookie, reason, size, 0);
  }
  return true;
}
