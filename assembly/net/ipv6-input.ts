/**
 * IPv6 on the way in (RFC 8200): every check on the header, the walk through its extension headers,
 * fragments, and who of the upper layers is meant. What is dropped is counted under the name of its fault.
 */
import {
  CNT_DROP_FRAGMENT_SIZE,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_EXTENSION,
  CNT_DROP_IP_FRAGMENT,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_TCP_CHECKSUM,
  CNT_DROP_TCP_MALFORMED,
  METADATA_SIZE,
  RX_META_CHECKSUM_OK,
  RX_META_HAS_HASH,
  RX_META_HASH,
  RX_META_LOOPBACK,
} from "../abi";
import { Packet } from "../core/packet";
import { Buffer, packetOf, release } from "../mem/buffers";
import { asBuffer, Slot, slotData } from "../mem/slots";
import { foldChecksum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6 } from "../wire/ethernet";
import {
  FRAGMENT_HEADER_SIZE,
  fragmentIdentification,
  fragmentOffset,
  hasMoreFragments,
  NO_NEXT_HEADER,
  PROBLEM_FIELD,
  PROBLEM_NEXT_HEADER,
  problemAlways,
  problemAt,
  problemCode,
  WALK_DONE,
  WALK_FRAGMENT,
  WALK_PROBLEM,
  walkAt,
  walkExtensions,
  walkNameAt,
  walkProtocol,
} from "../wire/extension";
import { ICMPV6_PROTOCOL } from "../wire/icmpv6";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6SourceHigh,
  ipv6SourceLow,
  ipv6Version,
  IPV6_HEADER_SIZE,
  isIpv6Multicast,
  isIpv6Unicast,
  LINK_GROUP,
} from "../wire/ipv6";
import { TCP_PROTOCOL } from "../wire/tcp";
import { UDP_PROTOCOL } from "../wire/udp";
import { digest, localDigest } from "./digest";
import { addFragment } from "./fragments";
import { isMember } from "./groups";
import { sendProblem } from "./icmp-errors";
import { icmpv6Input } from "./icmpv6";
import { isOwnAddress, isSolicited } from "./interface";
import { drop, isTcpSound, moveToFrame } from "./ip-input";
import { toeplitzIpv6 } from "./toeplitz";
import { udpInput } from "./udp";

/** Offset of the payload length, which a pointer may point at. */
const PAYLOAD_LENGTH: u32 = 4;
const NEXT_HEADER: u32 = 6;

/**
 * An IPv6 packet; takes the buffer over unless it is a segment.
 *
 * @param available bytes of the frame from the IP header on
 * @param flags trusted metadata
 * @param toGroup true when the frame was sent to a group of stations
 * @returns true for a TCP segment: `ip`, `l4`, `l4Length` and `hash` of the record are set
 */
export function ipv6Input(
  buffer: Buffer,
  frame: u32,
  available: u32,
  flags: u32,
  toGroup: bool,
  packet: Packet,
): bool {
  const ip = frame + ETHERNET_HEADER_SIZE;
  if (available < IPV6_HEADER_SIZE || ipv6Version(ip) != 6) {
    return drop(buffer, CNT_DROP_IP_HEADER);
  }
  const payload = ipv6PayloadLength(ip);
  // What lies behind the payload is Ethernet's padding.
  if (payload > available - IPV6_HEADER_SIZE) return drop(buffer, CNT_DROP_IP_HEADER);
  if (!isForUs(ip, toGroup, flags)) return drop(buffer, CNT_DROP_IP_ADDRESS);
  const end = ip + IPV6_HEADER_SIZE + payload;
  const first = ip + IPV6_HEADER_SIZE;
  const walked = walkExtensions(ipv6NextHeader(ip), ip + NEXT_HEADER, first, end, true);
  if (walked == WALK_FRAGMENT) return gather(buffer, ip, end, packet);
  if (walked != WALK_DONE) return refuse(buffer, ip, walked);
  return dispatch(buffer, frame, ip, end, walkAt == first ? flags : 0, true, packet);
}

/** Sent by a host, or by one without an address as yet; and to us or a group of ours. */
function isForUs(ip: u32, toGroup: bool, flags: u32): bool {
  const fromHigh = ipv6SourceHigh(ip);
  const fromLow = ipv6SourceLow(ip);
  const high = ipv6DestinationHigh(ip);
  const low = ipv6DestinationLow(ip);
  const anonymous = (fromHigh | fromLow) == 0;
  if (!anonymous && !isIpv6Unicast(fromHigh, fromLow)) return false;
  if (!(flags & RX_META_LOOPBACK) && isOwnAddress(fromHigh, fromLow)) return false;
  if (!isIpv6Multicast(high)) return !anonymous && isOwnAddress(high, low);
  if (!toGroup) return false;
  return isMember(high, low) || (high == LINK_GROUP && isSolicited(low));
}

/** Tells the sender what is wrong where it is to be told. */
function refuse(buffer: Buffer, ip: u32, walked: u32): bool {
  if (walked == WALK_PROBLEM) sendProblem(ip, problemCode, problemAt, problemAlways);
  return drop(buffer, CNT_DROP_IP_EXTENSION);
}

/**
 * Hands a whole packet to its upper layer, which the walk has found.
 *
 * @param whole false when it came in fragments; `frame` means nothing then but for a segment
 */
function dispatch(
  buffer: Buffer,
  frame: u32,
  ip: u32,
  end: u32,
  flags: u32,
  whole: bool,
  packet: Packet,
): bool {
  const l4 = walkAt;
  const l4Length = end - l4;
  const shared = isIpv6Multicast(ipv6DestinationHigh(ip));
  switch (walkProtocol) {
    case TCP_PROTOCOL:
      if (shared) return drop(buffer, CNT_DROP_IP_ADDRESS);
      return receiveTcp(buffer, frame, ip, l4, l4Length, flags, packet);
    case UDP_PROTOCOL:
      udpInput(buffer, ip, l4, l4Length, (flags & RX_META_CHECKSUM_OK) != 0, shared);
      return false;
    case ICMPV6_PROTOCOL:
      icmpv6Input(buffer, frame, ip, l4, l4Length, whole);
      return false;
    case NO_NEXT_HEADER:
      return drop(buffer, CNT_DROP_IP_PROTOCOL);
    default:
      sendProblem(ip, PROBLEM_NEXT_HEADER, walkNameAt, false);
      return drop(buffer, CNT_DROP_IP_PROTOCOL);
  }
}

/** Adds a fragment to its datagram, and takes that on when it is whole. */
function gather(buffer: Buffer, ip: u32, end: u32, packet: Packet): bool {
  const header = walkAt;
  const data = header + FRAGMENT_HEADER_SIZE;
  const offset = fragmentOffset(header);
  const more = hasMoreFragments(header);
  const length = end - data;
  if (more && (length & 7) != 0) {
    sendProblem(ip, PROBLEM_FIELD, ip + PAYLOAD_LENGTH, false);
    return drop(buffer, CNT_DROP_IP_FRAGMENT);
  }
  // The first fragment must have all headers (RFC 7112), so that they are judged as a whole.
  const next: u32 = load<u8>(header);
  if (offset == 0 && !isChainWhole(next, header, data, end)) {
    return drop(buffer, CNT_DROP_IP_FRAGMENT);
  }
  // What the walk looked at last names the fragment header; from now on it names what follows that.
  const unfragmentable = header - ip;
  walkExtensions(ipv6NextHeader(ip), ip + NEXT_HEADER, ip + IPV6_HEADER_SIZE, end, true);
  if (offset == 0) store<u8>(walkNameAt, next);
  const slot = addFragment(
    ipv6SourceHigh(ip),
    ipv6SourceLow(ip),
    ipv6DestinationHigh(ip),
    ipv6DestinationLow(ip),
    fragmentIdentification(header),
    0,
    ip,
    unfragmentable,
    data,
    length,
    offset,
    more,
    65535 + IPV6_HEADER_SIZE - unfragmentable,
  );
  if (slot == null) {
    release(buffer);
    return false;
  }
  return takeOn(buffer, slot, packet);
}

/** True when the upper layer's first bytes are in the packet. */
function isChainWhole(next: u32, nameAt: u32, at: u32, end: u32): bool {
  const walked = walkExtensions(next, nameAt, at, end, false);
  if (walked == WALK_PROBLEM) return true;
  return walked == WALK_DONE && end - walkAt >= 8;
}

/** A datagram is whole: its headers become those of one that came in one piece. */
function takeOn(buffer: Buffer, slot: Slot, packet: Packet): bool {
  let ip = slotData(slot) - slot.headerLength;
  const payload = slot.headerLength - IPV6_HEADER_SIZE + slot.total;
  store<u16>(ip, bswap<u16>(<u16>payload), PAYLOAD_LENGTH);
  let end = slotData(slot) + slot.total;
  let walked = walkWhole(ip, end);
  if (walked == WALK_DONE && walkProtocol == TCP_PROTOCOL) {
    const bytes = IPV6_HEADER_SIZE + payload;
    if (!moveToFrame(buffer, slot, bytes, ETHERTYPE_IPV6))
      return drop(buffer, CNT_DROP_FRAGMENT_SIZE);
    const frame = packetOf(buffer);
    ip = frame + ETHERNET_HEADER_SIZE;
    end = ip + bytes;
    walked = walkWhole(ip, end);
    return dispatch(buffer, frame, ip, end, 0, false, packet);
  }
  release(buffer);
  if (walked != WALK_DONE) return refuse(asBuffer(slot), ip, walked);
  return dispatch(asBuffer(slot), ip - ETHERNET_HEADER_SIZE, ip, end, 0, false, packet);
}

function walkWhole(ip: u32, end: u32): u32 {
  return walkExtensions(ipv6NextHeader(ip), ip + NEXT_HEADER, ip + IPV6_HEADER_SIZE, end, true);
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
  const fromHigh = ipv6SourceHigh(ip);
  const fromLow = ipv6SourceLow(ip);
  const toHigh = ipv6DestinationHigh(ip);
  const toLow = ipv6DestinationLow(ip);
  if (!(flags & RX_META_CHECKSUM_OK)) {
    const pseudo = pseudoHeaderSum6(fromHigh, fromLow, toHigh, toLow, TCP_PROTOCOL, l4Length);
    if (foldChecksum(sumBytes(l4, l4Length, pseudo)) != 0) {
      return drop(buffer, CNT_DROP_TCP_CHECKSUM);
    }
  }
  packet.ip = ip;
  packet.l4 = l4;
  packet.l4Length = l4Length;
  packet.source = digest(fromHigh, fromLow);
  packet.destination = localDigest(toHigh, toLow);
  packet.hash =
    flags & RX_META_HAS_HASH
      ? load<u32>(frame - METADATA_SIZE, RX_META_HASH)
      : toeplitzIpv6(fromHigh, fromLow, toHigh, toLow, load<u32>(l4));
  return true;
}
