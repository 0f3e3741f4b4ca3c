/**
 * UDP on the way in (RFC 768, RFC 1122 section 4.1). A datagram is handed to the application where it
 * lies: its frame belongs to the application until `udp_recv_done`. While it does, the buffer record
 * says so itself, which is what tokens are checked against:
 *
 *   flags  UDP_HELD          next, seq  links of the port's list, next and previous
 *   info   the port's record
 *
 * The sender's endpoint is written to the start of the frame, in front of the packet's payload. A datagram
 * that came in fragments lies in a slot instead, to which the same applies.
 */
import {
  CNT_DROP_UDP_BACKLOG,
  CNT_DROP_UDP_CHECKSUM,
  CNT_DROP_UDP_MALFORMED,
  CNT_DROP_UDP_NO_PORT,
  CNT_DROP_UDP_PEER,
  CNT_UDP_IN,
  CORE_FRAME_END,
  CORE_FRAME_FIRST,
  ENDPOINT_PORT,
  EV_UDP_RECV,
  FRAME_SIZE,
} from "../abi";
import { coreBlock, framesBase, framesEnd } from "../core/config";
import { count } from "../core/counters";
import { STATE_UDP } from "../core/state";
import { Buffer, bufferAt, frameOf, release, releaseHeld } from "../mem/buffers";
import { isSlot, Slot, slotEndpoint, slotOfToken } from "../mem/slots";
import { extendEvent, pushEvent } from "../user/events";
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { UNREACHABLE_PORT } from "../wire/icmp";
import { UNREACHABLE6_PORT } from "../wire/icmpv6";
import { ipv4Destination, ipv4Source, ipv4Version, isIpv4Multicast } from "../wire/ipv4";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6SourceHigh,
  ipv6SourceLow,
  mappedLow,
} from "../wire/ipv6";
import {
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  UDP_HEADER_SIZE,
  UDP_PROTOCOL,
} from "../wire/udp";
import { groupIndex, GROUPS } from "./groups";
import { sendUnreachable, sendUnreachable6 } from "./icmp-errors";
import { findUdpPort, prepareUdpPorts, UdpPort, udpPortAt } from "./udp-ports";

/** Buffer flag of a frame that the application holds as a datagram; no other owner uses this bit. */
export const UDP_HELD: u16 = 0x8000;

/** Frames that the application may hold by datagrams: through one port, and in all. */
let heldPerPort: u32 = 0;
let heldMax: u32 = 0;
/** Datagrams that the application holds in all; in the core's control block. */
@final
@unmanaged
class Datagrams {
  held: u32;
}

let datagrams = changetype<Datagrams>(0);

/** Binds this instance to the core. */
export function bindUdp(): void {
  const frames = load<u32>(coreBlock + CORE_FRAME_END) - load<u32>(coreBlock + CORE_FRAME_FIRST);
  heldPerPort = max<u32>(frames >> 2, 1);
  heldMax = max<u32>(frames >> 1, 1);
  datagrams = changetype<Datagrams>(coreBlock + STATE_UDP);
}

/**
 * A datagram over either IP; takes the buffer over. Pushes at most one event, for which there must be
 * room.
 *
 * @param ip, header where the IP header and the UDP header begin
 * @param length bytes from there on, by the IP header
 * @param verified true when the NIC has found the checksum right
 * @param shared true when the packet was not for this host alone
 */
export function udpInput(
  buffer: Buffer,
  ip: u32,
  header: u32,
  length: u32,
  verified: bool,
  shared: bool,
): void {
  // Bytes beyond the UDP length are not part of the datagram.
  const bytes = length >= UDP_HEADER_SIZE ? udpLength(header) : 0;
  if (bytes < UDP_HEADER_SIZE || bytes > length || udpDestinationPort(header) == 0) {
    refuse(buffer, CNT_DROP_UDP_MALFORMED);
  } else if (!verified && !isChecksumRight(ip, header, bytes)) {
    refuse(buffer, CNT_DROP_UDP_CHECKSUM);
  } else {
    receive(buffer, ip, header, bytes, shared);
  }
}

/** A datagram that is in order: to the port's application, if it wants it and holds not too many. */
function receive(buffer: Buffer, ip: u32, header: u32, bytes: u32, shared: bool): void {
  const ipv4 = ipv4Version(ip) == 4;
  const high = ipv4 ? 0 : ipv6SourceHigh(ip);
  const low = ipv4 ? mappedLow(ipv4Source(ip)) : ipv6SourceLow(ip);
  const remotePort = udpSourcePort(header);
  const port = findUdpPort(udpDestinationPort(header));
  if (port == null || (shared && !wants(port, ip, ipv4))) {
    if (!shared && ipv4) sendUnreachable(ip, UNREACHABLE_PORT);
    else if (!shared) sendUnreachable6(ip, UNREACHABLE6_PORT);
    refuse(buffer, CNT_DROP_UDP_NO_PORT);
    return;
  }
  const peer = port.peerPort;
  if (peer != 0 && (peer != remotePort || port.peerLow != low || port.peerHigh != high)) {
    refuse(buffer, CNT_DROP_UDP_PEER);
    return;
  }
  if (port.heldCount >= heldPerPort || datagrams.held >= heldMax) {
    refuse(buffer, CNT_DROP_UDP_BACKLOG);
    return;
  }
  count(CNT_UDP_IN);
  const endpoint = isSlot(buffer) ? slotEndpoint(changetype<Slot>(buffer)) : frameOf(buffer);
  store<u64>(endpoint, high);
  store<u64>(endpoint, low, 8);
  store<u32>(endpoint, remotePort, ENDPOINT_PORT);
  giveToApp(port, buffer);
  const payload = header + UDP_HEADER_SIZE;
  const event = pushEvent(
    EV_UDP_RECV,
    port.handle,
    port.cookie,
    0,
    payload,
    bytes - UDP_HEADER_SIZE,
  );
  extendEvent(event, endpoint, endpoint);
}

/** Whether a packet for many is for this port: a broadcast is, a group must have been joined. */
function wants(port: UdpPort, ip: u32, ipv4: bool): bool {
  const destination = ipv4Destination(ip);
  if (ipv4 && !isIpv4Multicast(destination)) return true;
  const index = ipv4
    ? groupIndex(0, mappedLow(destination))
    : groupIndex(ipv6DestinationHigh(ip), ipv6DestinationLow(ip));
  return index != GROUPS && ((port.groups >> index) & 1) != 0;
}

function refuse(buffer: Buffer, counter: u32): void {
  count(counter);
  release(buffer);
}

/** Takes back a datagram by the token of its event; false when that names none the port's owner holds. */
export function takeBackDatagram(port: UdpPort, token: u32): bool {
  const buffer = bufferOfToken(token);
  if (buffer == null) return false;
  if (buffer.flags != UDP_HELD || buffer.info != changetype<u32>(port)) return false;
  takeFromApp(port, buffer);
  return true;
}

/** The frame, or the slot, whose endpoint record is at `token`. */
function bufferOfToken(token: u32): Buffer | null {
  if (token < framesBase || token >= framesEnd) return slotOfToken(token);
  return (token - framesBase) & (FRAME_SIZE - 1) ? null : bufferAt(token);
}

/** Takes back every datagram of a port. */
export function takeBackAll(port: UdpPort): void {
  while (port.held != 0) takeFromApp(port, changetype<Buffer>(port.held));
}

/** True when the checksum is right, or when the sender made none, which only IPv4 allows. */
function isChecksumRight(ip: u32, header: u32, bytes: u32): bool {
  const ipv4 = ipv4Version(ip) == 4;
  if (udpChecksum(header) == 0) return ipv4;
  const pseudoSum = ipv4
    ? pseudoHeaderSum(ipv4Source(ip), ipv4Destination(ip), UDP_PROTOCOL, bytes)
    : pseudoHeaderSum6(
        ipv6SourceHigh(ip),
        ipv6SourceLow(ip),
        ipv6DestinationHigh(ip),
        ipv6DestinationLow(ip),
        UDP_PROTOCOL,
        bytes,
      );
  return foldChecksum(sumBytes(header, bytes, pseudoSum)) == 0;
}

function giveToApp(port: UdpPort, buffer: Buffer): void {
  const first = port.held;
  buffer.flags = UDP_HELD;
  buffer.info = changetype<u32>(port);
  buffer.next = first;
  buffer.seq = 0;
  if (first != 0) changetype<Buffer>(first).seq = changetype<u32>(buffer);
  port.held = changetype<u32>(buffer);
  port.heldCount++;
  datagrams.held++;
}

function takeFromApp(port: UdpPort, buffer: Buffer): void {
  const next = buffer.next;
  const previous = buffer.seq;
  if (next != 0) changetype<Buffer>(next).seq = previous;
  if (previous != 0) changetype<Buffer>(previous).next = next;
  else port.held = next;
  port.heldCount--;
  datagrams.held--;
  buffer.flags = 0;
  buffer.info = 0;
  release(buffer);
}

/** Takes back, as far as the lists are whole, what a lost thread's application held, and forgets the ports. */
export function abandonUdp(): void {
  let index: u32 = 0;
  for (let port = udpPortAt(index); port != null; port = udpPortAt(++index)) releaseHeld(port.held);
  prepareUdpPorts();
  datagrams.held = 0;
}
