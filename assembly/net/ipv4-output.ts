/**
 * IPv4 on the way out (RFC 1122 section 3.3.1): header, route, neighbour. A packet is built in place,
 * with its layers at fixed distances:
 *
 *   frame − 16: metadata   frame: Ethernet   + 14: IPv4, no options   + 34: layer 4
 */
import {
  CNT_DROP_NO_ROUTE,
  DESC_METADATA,
  METADATA_SIZE,
  OFFLOAD_TX_CHECKSUM,
  RC_AGAIN,
  RC_MSGSIZE,
  RC_NOMEM,
  RC_OK,
  RC_UNREACHABLE,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../abi";
import { localIp, mtu, offloads, ttl } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { foldChecksum, foldSum, pseudoHeaderSum, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { emitIpv4, IPV4_HEADER_SIZE } from "../wire/ipv4";
import { UDP_PROTOCOL } from "../wire/udp";
import { neighbourFor, sendIpv4 } from "./neighbours";
import { nextHop } from "./routes";

/** Where layer 4 begins in a frame that is sent. */
export const L4_OFFSET: u32 = ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE;

/**
 * Writes the IPv4 header of a packet from `source` with the configured TTL.
 *
 * @param address where the header goes
 * @param source, destination as they lie in memory
 * @param l4Length bytes behind the header
 */
export function emitIpv4Header(
  address: u32,
  source: u32,
  destination: u32,
  protocol: u32,
  l4Length: u32,
  identification: u32,
): void {
  emitIpv4(address, source, destination, protocol, l4Length, ttl, identification);
}

/**
 * Asks the NIC for the TCP or UDP checksum of a frame: metadata in front of it, and the pseudo
 * header's sum in the checksum field.
 *
 * @param field offset of the checksum in the layer-4 header
 * @param pseudoSum from `pseudoHeaderSum`
 * @returns what the descriptor's options must carry
 */
export function requestChecksum(frame: u32, field: u32, pseudoSum: u32): u32 {
  const metadata = frame - METADATA_SIZE;
  store<u64>(metadata, u64(TX_META_CHECKSUM), TX_META_FLAGS);
  store<u16>(metadata, L4_OFFSET, TX_META_CSUM_START);
  store<u16>(metadata, field, TX_META_CSUM_OFFSET);
  store<u16>(frame + L4_OFFSET + field, foldSum(pseudoSum));
  return DESC_METADATA;
}

/**
 * Completes the TCP or UDP checksum of a frame that holds the whole packet, by the NIC if it does
 * that, else here. The checksum field must be zero.
 *
 * @returns options of the descriptor
 */
export function completeChecksum(
  frame: u32,
  destination: u32,
  protocol: u32,
  l4Length: u32,
  field: u32,
): u32 {
  const pseudoSum = pseudoHeaderSum(localIp, destination, protocol, l4Length);
  if (offloads & OFFLOAD_TX_CHECKSUM) return requestChecksum(frame, field, pseudoSum);
  storeChecksum(frame, protocol, field, sumBytes(frame + L4_OFFSET, l4Length, pseudoSum));
  return 0;
}

/** Stores the checksum that belongs to a sum over pseudo header, header and payload. */
export function storeChecksum(frame: u32, protocol: u32, field: u32, sum: u32): void {
  let checksum = foldChecksum(sum);
  // RFC 768: zero says "no checksum", so one that comes out as zero is sent as all ones.
  if (checksum == 0 && protocol == UDP_PROTOCOL) checksum = 0xffff;
  store<u16>(frame + L4_OFFSET + field, checksum);
}

/**
 * Sends a packet whose layer 4 is complete at `frame + L4_OFFSET`, in the buffer's own frame. The
 * caller keeps its hold of the buffer.
 *
 * @param options `DESC_*`, as `completeChecksum` returned them
 * @returns RC_OK when it went out or waits for its neighbour; RC_MSGSIZE when it exceeds the MTU;
 *   RC_UNREACHABLE without a route, RC_NOMEM when the neighbour table is full, RC_AGAIN when the TX ring
 *   or the neighbour's queue is, each of them counted
 */
export function sendDatagram(
  buffer: Buffer,
  frame: u32,
  destination: u32,
  protocol: u32,
  l4Length: u32,
  options: u32,
): i32 {
  if (IPV4_HEADER_SIZE + l4Length > mtu) return RC_MSGSIZE;
  const hop = nextHop(destination);
  if (hop == 0) {
    count(CNT_DROP_NO_ROUTE);
    return RC_UNREACHABLE;
  }
  const neighbour = neighbourFor(hop);
  if (neighbour == null) return RC_NOMEM;
  emitIpv4Header(frame + ETHERNET_HEADER_SIZE, localIp, destination, protocol, l4Length, 0);
  return sendIpv4(neighbour, buffer, frame, L4_OFFSET + l4Length, options) ? RC_OK : RC_AGAIN;
}
