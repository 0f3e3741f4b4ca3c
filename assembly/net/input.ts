/**
 * The gate: every received frame passes here, once, and every length in it is checked here and nowhere
 * else. ARP, ICMP and UDP are handled to the end; a valid TCP segment to this host becomes a `Packet`
 * record for the core. What is dropped is counted under the name of its fault.
 *
 * The fast path is the frame that nearly all are: TCP over IPv4 without options, from a NIC that has
 * checked it. It is a line of loads and compares; whatever fails one of them takes the careful path,
 * which finds out what it is.
 */
import {
  CNT_DROP_ETHERNET_ADDRESS,
  CNT_DROP_ETHERNET_SHORT,
  CNT_DROP_ETHERTYPE,
  CNT_DROP_IP_ADDRESS,
  CNT_DROP_IP_CHECKSUM,
  CNT_DROP_IP_FRAGMENT,
  CNT_DROP_IP_HEADER,
  CNT_DROP_IP_PROTOCOL,
  CNT_DROP_IP_TTL,
  CNT_DROP_TCP_CHECKSUM,
  CNT_DROP_TCP_MALFORMED,
  METADATA_SIZE,
  OFFLOAD_RX_CHECKSUM,
  OFFLOAD_RX_HASH,
  RX_META_CHECKSUM_OK,
  RX_META_FLAGS,
  RX_META_HAS_HASH,
  RX_META_HASH,
  RX_META_LOOPBACK,
} from "../abi";
import { localIp, macHead, macTail, offloads } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { Buffer, release } from "../mem/buffers";
import { foldChecksum, pseudoHeaderSum, sumBytes } from "../wire/checksum";
import {
  BROADCAST_HEAD,
  BROADCAST_TAIL,
  ethernetDestinationHead,
  ethernetDestinationTail,
  ETHERNET_HEADER_SIZE,
  etherType,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
} from "../wire/ethernet";
import { ICMP_PROTOCOL, UNREACHABLE_PROTOCOL } from "../wire/icmp";
import {
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Ttl,
  ipv4Version,
  IPV4_HEADER_SIZE,
  isIpv4Fragment,
  isIpv4Unicast,
} from "../wire/ipv4";
import {
  TCP_HEADER_SIZE,
  TCP_PROTOCOL,
  tcpAck,
  tcpFlags,
  tcpHeaderLength,
  tcpSeq,
  tcpWindow,
} from "../wire/tcp";
import { UDP_PROTOCOL } from "../wire/udp";
import { arpInput } from "./arp";
import { icmpInput, sendUnreachable } from "./icmp";
import { isBroadcast } from "./routes";
import { toeplitzIpv4 } from "./toeplitz";
import { udpInput } from "./udp";

/** Bits of the metadata flags that this NIC's word is taken for: none that it was not asked for. */
let trustedFlags: u32 = 0;

/** Ethertype IPv4, version 4 and IHL 5 as they lie at offset 12 of a frame, and the mask for them. */
const IPV4_PLAIN: u32 = 0x450008;
const IPV4_PLAIN_MASK: u32 = 0xffffff;

/** Binds this core's instance. */
export function bindInput(): void {
  trustedFlags = RX_META_LOOPBACK;
  if (offloads & OFFLOAD_RX_CHECKSUM) trustedFlags |= RX_META_CHECKSUM_OK;
  if (offloads & OFFLOAD_RX_HASH) trustedFlags |= RX_META_HAS_HASH;
}

/**
 * Takes a received frame in.
 *
 * @param address, length of the frame, which lies within the buffer's own
 * @param packet filled when the result is true
 * @returns true for a TCP segment: the caller owns the buffer. Otherwise the frame was handled or
 *   dropped and its buffer released or passed on; at most one event was pushed.
 */
export function receiveFrame(buffer: Buffer, address: u32, length: u32, packet: Packet): bool {
  const flags = load<u32>(address - METADATA_SIZE, RX_META_FLAGS) & trustedFlags;
  const ip = address + ETHERNET_HEADER_SIZE;
  let l4 = ip + IPV4_HEADER_SIZE;
  let l4Length = ipv4TotalLength(ip) - IPV4_HEADER_SIZE;
  let hash = load<u32>(address - METADATA_SIZE, RX_META_HASH);
  if (
    length < ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE + TCP_HEADER_SIZE ||
    (flags & ~RX_META_LOOPBACK) != (RX_META_CHECKSUM_OK | RX_META_HAS_HASH) ||
    ethernetDestinationHead(address) != macHead ||
    ethernetDestinationTail(address) != macTail ||
    (load<u32>(address, 12) & IPV4_PLAIN_MASK) != IPV4_PLAIN ||
    ipv4Protocol(ip) != TCP_PROTOCOL ||
    isIpv4Fragment(ip) ||
    ipv4Ttl(ip) == 0 ||
    ipv4Destination(ip) != localIp ||
    !isSource(ipv4Source(ip), flags) ||
    // Wraps to a huge number where the total length is less than the header's.
    l4Length > length - (ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE) ||
    tcpHeaderLength(l4) < TCP_HEADER_SIZE ||
    tcpHeaderLength(l4) > l4Length
  ) {
    if (!receiveCarefully(buffer, address, length, flags, packet)) return false;
    l4 = packet.l4;
    l4Length = packet.l4Length;
    hash = packet.hash;
  }
  const headerLength = tcpHeaderLength(l4);
  packet.buffer = buffer;
  packet.hash = hash;
  packet.ip = ip;
  packet.l4 = l4;
  packet.source = ipv4Source(ip);
  packet.destination = localIp;
  packet.ports = load<u32>(l4);
  packet.seq = tcpSeq(l4);
  packet.ack = tcpAck(l4);
  packet.window = tcpWindow(l4);
  packet.flags = tcpFlags(l4);
  packet.payload = l4 + headerLength;
  packet.length = l4Length - headerLength;
  packet.options = headerLength - TCP_HEADER_SIZE;
  packet.l4Length = l4Length;
  packet.protocol = TCP_PROTOCOL;
  return true;
}

/**
 * The gate for every other frame, and for those in which something is wrong. When it finds a valid
 * segment it sets what the fast path knows beforehand: hash, l4 and l4Length of the record.
 */
function receiveCarefully(
  buffer: Buffer,
  frame: u32,
  length: u32,
  flags: u32,
  packet: Packet,
): bool {
  if (length < ETHERNET_HEADER_SIZE) return drop(buffer, CNT_DROP_ETHERNET_SHORT);
  const head = ethernetDestinationHead(frame);
  const tail = ethernetDestinationTail(frame);
  const toAll = head == BROADCAST_HEAD && tail == BROADCAST_TAIL;
  if (!toAll && (head != macHead || tail != macTail)) {
    return drop(buffer, CNT_DROP_ETHERNET_ADDRESS);
  }
  switch (etherType(frame)) {
    case ETHERTYPE_IPV4:
      return receiveIpv4(buffer, frame, length - ETHERNET_HEADER_SIZE, flags, toAll, packet);
    case ETHERTYPE_ARP:
      arpInput(buffer, frame, length);
      return false;
    default:
      return drop(buffer, CNT_DROP_ETHERTYPE);
  }
}

/**
 * @param available bytes of the frame from the IP header on
 * @param flags trusted metadata
 * @param toAll true when the frame was sent to all stations
 */
function receiveIpv4(
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

  const destination = ipv4Destination(ip);
  const broadcast = isBroadcast(destination);
  // RFC 1122 section 3.3.6: what all stations were sent must be addressed to all hosts.
  if ((destination != localIp || toAll) && !broadcast) return drop(buffer, CNT_DROP_IP_ADDRESS);
  if (!isSource(ipv4Source(ip), flags)) return drop(buffer, CNT_DROP_IP_ADDRESS);
  if (isIpv4Fragment(ip)) return drop(buffer, CNT_DROP_IP_FRAGMENT);

  const l4 = ip + headerLength;
  const l4Length = total - headerLength;
  switch (ipv4Protocol(ip)) {
    case TCP_PROTOCOL:
      // RFC 9293 section 3.9.2.3, MUST-57.
      if (broadcast) return drop(buffer, CNT_DROP_IP_ADDRESS);
      return receiveTcp(buffer, frame, l4, l4Length, flags, packet);
    case UDP_PROTOCOL:
      udpInput(buffer, ip, l4, l4Length, verified, broadcast);
      return false;
    case ICMP_PROTOCOL:
      icmpInput(buffer, ip, l4, l4Length, broadcast);
      return false;
    default:
      if (!broadcast) sendUnreachable(ip, UNREACHABLE_PROTOCOL);
      return drop(buffer, CNT_DROP_IP_PROTOCOL);
  }
}

function receiveTcp(
  buffer: Buffer,
  frame: u32,
  l4: u32,
  l4Length: u32,
  flags: u32,
  packet: Packet,
): bool {
  if (l4Length < TCP_HEADER_SIZE) return drop(buffer, CNT_DROP_TCP_MALFORMED);
  const headerLength = tcpHeaderLength(l4);
  if (headerLength < TCP_HEADER_SIZE || headerLength > l4Length) {
    return drop(buffer, CNT_DROP_TCP_MALFORMED);
  }
  const ip = frame + ETHERNET_HEADER_SIZE;
  const source = ipv4Source(ip);
  if (!(flags & RX_META_CHECKSUM_OK)) {
    const pseudoSum = pseudoHeaderSum(source, localIp, TCP_PROTOCOL, l4Length);
    if (foldChecksum(sumBytes(l4, l4Length, pseudoSum)) != 0) {
      return drop(buffer, CNT_DROP_TCP_CHECKSUM);
    }
  }
  packet.l4 = l4;
  packet.l4Length = l4Length;
  packet.hash =
    flags & RX_META_HAS_HASH
      ? load<u32>(frame - METADATA_SIZE, RX_META_HASH)
      : toeplitzIpv4(source, localIp, load<u32>(l4));
  return true;
}

/** True for an address that another host can send from, or this one to itself. */
function isSource(source: u32, flags: u32): bool {
  if (source == localIp) return (flags & RX_META_LOOPBACK) != 0;
  return isIpv4Unicast(source) && !isBroadcast(source);
}

function drop(buffer: Buffer, counter: u32): bool {
  count(counter);
  release(buffer);
  return false;
}
