/**
 * IPv4 on the way in, off the fast path (RFC 791, RFC 1122 section 3.2.1): every check on the header,
 * fragments, and who of the upper layers is meant. What is dropped is counted under the name of its fault.
 */
import {
  CNT_DROP_FRAGMENT_SIZE,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_CHECKSUM,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_IP_TTL,
  CNT_DROP_TCP_CHECKSUM,
  CNT_DROP_TCP_MALFORMED,
  METADATA_SIZE,
  RX_META_CHECKSUM_OK,
  RX_META_HAS_HASH,
  RX_META_HASH,
  RX_META_LOOPBACK,
} from "../abi";
import { localIp } from "../core/config";
import { Packet } from "../core/packet";
import { Buffer, packetOf, release } from "../mem/buffers";
import { asBuffer, slotData } from "../mem/slots";
import { foldChecksum, pseudoHeaderSum, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV4 } from "../wire/ethernet";
import { IGMP_PROTOCOL } from "../wire/group";
import { ICMP_PROTOCOL, UNREACHABLE_PROTOCOL } from "../wire/icmp";
import {
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Ttl,
  ipv4Version,
  IPV4_HEADER_SIZE,
  isIpv4Fragment,
  isIpv4Multicast,
  isIpv4Unicast,
  unmarkIpv4Fragment,
} from "../wire/ipv4";
import { mappedLow } from "../wire/ipv6";
import { TCP_PROTOCOL } from "../wire/tcp";
import { UDP_PROTOCOL } from "../wire/udp";
import { addFragment } from "./fragments";
import { isMember } from "./groups";
import { icmpInput } from "./icmp";
import { sendUnreachable } from "./icmp-errors";
import { igmpInput } from "./igmp";
import { drop, isTcpSound, moveToFrame } from "./ip-input";
import { isBroadcast } from "./routes";
import { toeplitzIpv4 } from "./toeplitz";
import { udpInput } from "./udp";

/**
 * An IPv4 packet; takes the buffer over unless it is a segment.
 *
 * @param available bytes of the frame from the IP header on
 * @param flags trusted metadata
 * @param toAll true when the frame was sent to all stations or to a group of them
 * @returns true for a TCP segment: addresses, `ip`, `l4`, `l4Length` and `hash` of the record are set
 */
export function ipv4Input(
  buffer: Buffer,
  frame: u32,
  available: u32,
  flags: u32,
  toAll: bool,
  packet: Packet,
): bool {
  const ip = frame + ETHERNET_HEADER_SIZE;
  if (available < IPV4_HEADER_SIZE) return drop(buffer, CNT_DROP_IP_HEADER);
  const headerLength = ipv4HeaderLength(ip);
  const total = ipv4TotalLength(ip);
  // What lies behind the total length is Ethernet's padding.
  if (
    ipv4Version(ip) != 4 ||
    headerLength < IPV4_HEADER_SIZE ||
    headerLength > total ||
    total > available
  ) {
    return drop(buffer, CNT_DROP_IP_HEADER);
  }
  const verified = (flags & RX_META_CHECKSUM_OK) != 0;
  if (!verified && foldChecksum(sumBytes(ip, headerLength, 0)) != 0) {
    return drop(buffer, CNT_DROP_IP_CHECKSUM);
  }
  if (ipv4Ttl(ip) == 0) return drop(buffer, CNT_DROP_IP_TTL);
  if (!isForUs(ip, toAll, flags)) return drop(buffer, CNT_DROP_IP_ADDRESS);
  if (isIpv4Fragment(ip)) return gather(buffer, frame, headerLength, total, packet);
  return dispatch(buffer, frame, ip, headerLength, total - headerLength, flags, packet);
}

/** True for an address that another host can send from, or this one to itself. */
export function isSource(source: u32, flags: u32): bool {
  if (source == localIp) return (flags & RX_META_LOOPBACK) != 0;
  return isIpv4Unicast(source) && !isBroadcast(source);
}

/** RFC 1122 section 3.3.6: what all stations were sent must be addressed to all hosts, or a group. */
function isForUs(ip: u32, toAll: bool, flags: u32): bool {
  const destination = ipv4Destination(ip);
  const source = ipv4Source(ip);
  // RFC 3376 section 4.2.13: a member may report before it has an address.
  if (!isSource(source, flags) && !(source == 0 && ipv4Protocol(ip) == IGMP_PROTOCOL)) return false;
  if (isIpv4Multicast(destination)) return toAll && isMember(0, mappedLow(destination));
  return isBroadcast(destination) || (destination == localIp && !toAll);
}

/** Hands a whole packet to its upper layer. */
function dispatch(
  buffer: Buffer,
  frame: u32,
  ip: u32,
  headerLength: u32,
  l4Length: u32,
  flags: u32,
  packet: Packet,
): bool {
  const l4 = ip + headerLength;
  const shared = ipv4Destination(ip) != localIp;
  switch (ipv4Protocol(ip)) {
    case TCP_PROTOCOL:
      // RFC 9293 section 3.9.2.3, MUST-57.
      if (shared) return drop(buffer, CNT_DROP_IP_ADDRESS);
      return receiveTcp(buffer, frame, ip, l4, l4Length, flags, packet);
    case UDP_PROTOCOL:
      udpInput(buffer, ip, l4, l4Length, (flags & RX_META_CHECKSUM_OK) != 0, shared);
      return false;
    case ICMP_PROTOCOL:
      icmpInput(buffer, ip, l4, l4Length, shared);
      return false;
    case IGMP_PROTOCOL:
      igmpInput(buffer, ip, l4, l4Length);
      return false;
    default:
      if (!shared) sendUnreachable(ip, UNREACHABLE_PROTOCOL);
      return drop(buffer, CNT_DROP_IP_PROTOCOL);
  }
}

/** Adds a fragment to its datagram, and takes that on when it is whole. */
function gather(buffer: Buffer, frame: u32, headerLength: u32, total: u32, packet: Packet): bool {
  const ip = frame + ETHERNET_HEADER_SIZE;
  const slot = addFragment(
    0,
    mappedLow(ipv4Source(ip)),
    0,
    mappedLow(ipv4Destination(ip)),
    ipv4Identification(ip),
    ipv4Protocol(ip),
    ip,
    headerLength,
    ip + headerLength,
    total - headerLength,
    ipv4FragmentOffset(ip),
    ipv4MoreFragments(ip),
    65535 - headerLength,
  );
  if (slot == null) {
    release(buffer);
    return false;
  }
  const whole = slotData(slot) - slot.headerLength;
  unmarkIpv4Fragment(whole, slot.total);
  if (ipv4Protocol(whole) != TCP_PROTOCOL) {
    release(buffer);
    return dispatch(asBuffer(slot), frame, whole, slot.headerLength, slot.total, 0, packet);
  }
  const bytes = slot.headerLength + slot.total;
  if (!moveToFrame(buffer, slot, bytes, ETHERTYPE_IPV4))
    return drop(buffer, CNT_DROP_FRAGMENT_SIZE);
  const at = packetOf(buffer);
  const moved = at + ETHERNET_HEADER_SIZE;
  const header = ipv4HeaderLength(moved);
  return dispatch(buffer, at, moved, header, bytes - header, 0, packet);
}

function receiveTcp(
  buffer: Buffer,
  frame: u32,
  ip: u32,
  l4: u32,
  l4Length: u32,
  flags: u32,
  packet: Packet,
): bool {
  if (!isTcpSound(l4, l4Length)) return drop(buffer, CNT_DROP_TCP_MALFORMED);
  const source = ipv4Source(ip);
  if (!(flags & RX_META_CHECKSUM_OK)) {
    const pseudoSum = pseudoHeaderSum(source, localIp, TCP_PROTOCOL, l4Length);
    if (foldChecksum(sumBytes(l4, l4Length, pseudoSum)) != 0) {
      return drop(buffer, CNT_DROP_TCP_CHECKSUM);
    }
  }
  packet.ip = ip;
  packet.l4 = l4;
  packet.l4Length = l4Length;
  packet.source = source;
  packet.destination = localIp;
  packet.hash =
    flags & RX_META_HAS_HASH
      ? load<u32>(frame - METADATA_SIZE, RX_META_HASH)
      : toeplitzIpv4(source, localIp, load<u32>(l4));
  return true;
}
