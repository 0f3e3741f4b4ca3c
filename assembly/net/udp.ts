/**
 * UDP on the way in (RFC 768, RFC 1122 section 4.1). A datagram is handed to the application where it
 * lies: its frame belongs to the application until `udp_recv_done`. While it does, the buffer record
 * says so itself, which is what tokens are checked against:
 *
 *   flags  UDP_HELD          next, seq  links of the port's list, next and previous
 *   info   the port's record
 *
 * The sender's endpoint is written to the start of the frame, in front of the packet's payload.
 */
import {
  CNT_DROP_UDP_BACKLOG,
  CNT_DROP_UDP_CHECKSUM,
  CNT_DROP_UDP_MALFORMED,
  CNT_DROP_UDP_NO_PORT,
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
import { extendEvent, pushEvent } from "../user/events";
import { foldChecksum, pseudoHeaderSum, sumBytes } from "../wire/checksum";
import { UNREACHABLE_PORT } from "../wire/icmp";
import { ipv4Destination, ipv4Source, MAPPED_PREFIX } from "../wire/ipv4";
import {
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  UDP_HEADER_SIZE,
  UDP_PROTOCOL,
} from "../wire/udp";
import { sendUnreachable } from "./icmp";
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
 * A datagram; takes the buffer over. Pushes at most one event, for which there must be room.
 *
 * @param ip, header where the IP header and the UDP header begin
 * @param length bytes from there on, by the IP header
 * @param verified true when the NIC has found the checksum right
 * @param broadcast true when the packet was not for this host alone
 */
export function udpInput(
  buffer: Buffer,
  ip: u32,
  header: u32,
  length: u32,
  verified: bool,
  broadcast: bool,
): void {
  // Bytes beyond the UDP length are not part of the datagram.
  const bytes = length >= UDP_HEADER_SIZE ? udpLength(header) : 0;
  if (bytes < UDP_HEADER_SIZE || bytes > length || udpDestinationPort(header) == 0) {
    count(CNT_DROP_UDP_MALFORMED);
    release(buffer);
    return;
  }
  if (!verified && !isChecksumRight(ip, header, bytes)) {
    count(CNT_DROP_UDP_CHECKSUM);
    release(buffer);
    return;
  }
  const port = findUdpPort(udpDestinationPort(header));
  if (port == null) {
    count(CNT_DROP_UDP_NO_PORT);
    if (!broadcast) sendUnreachable(ip, UNREACHABLE_PORT);
    release(buffer);
    return;
  }
  if (port.heldCount >= heldPerPort || datagrams.held >= heldMax) {
    count(CNT_DROP_UDP_BACKLOG);
    release(buffer);
    return;
  }
  count(CNT_UDP_IN);
  const frame = frameOf(buffer);
  const source = ipv4Source(ip);
  const sourcePort = udpSourcePort(header);
  writeEndpoint(frame, source, sourcePort);
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
  extendEvent(event, frame, frame);
}

/** Takes back a datagram by the token of its event; false when that names none the port's owner holds. */
export function takeBackDatagram(port: UdpPort, token: u32): bool {
  if (token < framesBase || token >= framesEnd) return false;
  if ((token - framesBase) & (FRAME_SIZE - 1)) return false;
  const buffer = bufferAt(token);
  if (buffer.flags != UDP_HELD || buffer.info != changetype<u32>(port)) return false;
  takeFromApp(port, buffer);
  return true;
}

/** Takes back every datagram of a port. */
export function takeBackAll(port: UdpPort): void {
  while (port.held != 0) takeFromApp(port, changetype<Buffer>(port.held));
}

/** True when the checksum is right, or when the sender made none. */
function isChecksumRight(ip: u32, header: u32, bytes: u32): bool {
  if (udpChecksum(header) == 0) return true;
  const pseudoSum = pseudoHeaderSum(ipv4Source(ip), ipv4Destination(ip), UDP_PROTOCOL, bytes);
  return foldChecksum(sumBytes(header, bytes, pseudoSum)) == 0;
}

/** An ENDPOINT_SIZE record of an IPv4-mapped address and a port. */
function writeEndpoint(at: u32, address: u32, port: u32): void {
  store<u64>(at, 0);
  store<u32>(at, MAPPED_PREFIX, 8);
  store<u32>(at, address, 12);
  store<u32>(at, port, ENDPOINT_PORT);
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
