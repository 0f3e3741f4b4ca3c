/**
 * The gate: every received frame passes here, once, and every length in it is checked here and nowhere
 * else, in this file and in the two of the IP versions. ARP, ICMP and UDP are handled to the end; a valid TCP segment to this host becomes a `Packet`
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
import { Packet } from "../core/packet";
import { Buffer } from "../mem/buffers";
import {
  BROADCAST_HEAD,
  BROADCAST_TAIL,
  ethernetDestinationHead,
  ethernetDestinationTail,
  ETHERNET_HEADER_SIZE,
  etherType,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  isGroupMac,
} from "../wire/ethernet";
import {
  ipv4Destination,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Ttl,
  IPV4_HEADER_SIZE,
  isIpv4Fragment,
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
import { arpInput } from "./arp";
import { isIpv6Enabled } from "./interface";
import { drop } from "./ip-input";
import { ipv4Input, isSource } from "./ipv4-input";
import { ipv6Input } from "./ipv6-input";

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
  } else {
    packet.hash = load<u32>(address - METADATA_SIZE, RX_META_HASH);
    packet.ip = ip;
    packet.l4 = l4;
    packet.source = ipv4Source(ip);
    packet.destination = localIp;
  }
  const headerLength = tcpHeaderLength(l4);
  packet.buffer = buffer;
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
 * segment it sets what the fast path knows beforehand: addresses, hash, ip, l4 and l4Length of the record.
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
  const toGroup = isGroupMac(head);
  if (!toGroup && (head != macHead || tail != macTail)) {
    return drop(buffer, CNT_DROP_ETHERNET_ADDRESS);
  }
  const toAll = head == BROADCAST_HEAD && tail == BROADCAST_TAIL;
  const available = length - ETHERNET_HEADER_SIZE;
  switch (etherType(frame)) {
    case ETHERTYPE_IPV4:
      return ipv4Input(buffer, frame, available, flags, toGroup, packet);
    case ETHERTYPE_IPV6:
      if (!isIpv6Enabled()) return drop(buffer, CNT_DROP_ETHERTYPE);
      return ipv6Input(buffer, frame, available, flags, toGroup && !toAll, packet);
    case ETHERTYPE_ARP:
      if (toGroup && !toAll) return drop(buffer, CNT_DROP_ETHERNET_ADDRESS);
      arpInput(buffer, frame, length);
      return false;
    default:
      return drop(buffer, CNT_DROP_ETHERTYPE);
  }
}
