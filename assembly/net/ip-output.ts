/**
 * A packet's way out, over either IP (RFC 1122 section 3.3.1, RFC 8200): `findPath` looks up where it
 * goes, from which address, and how large it may be; the other functions act on the path found last. A
 * packet is built in place, its layers at fixed distances:
 *
 *   frame − 16: metadata   frame: Ethernet   + 14: IP   + 14 + pathHeader: layer 4
 */
import {
  CNT_DROP_NO_ROUTE,
  OFFLOAD_TX_CHECKSUM,
  RC_AGAIN,
  RC_MSGSIZE,
  RC_NOMEM,
  RC_OK,
  RC_UNREACHABLE,
} from "../abi";
import { localIp, mtu, offloads, ttl } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { emitIpv4, IPV4_HEADER_SIZE, isIpv4Multicast } from "../wire/ipv4";
import {
  emitIpv6,
  IPV6_HEADER_SIZE,
  isIpv6Multicast,
  isMapped,
  mappedIpv4,
  mappedLow,
} from "../wire/ipv6";
import { UDP_PROTOCOL } from "../wire/udp";
import { requestChecksumAt } from "./ipv4-output";
import { chooseSource, sourceHigh, sourceLow } from "./interface";
import { Neighbour, neighbourOf, sendPacket } from "./neighbours";
import { pathMtuTo } from "./path-mtu";
import { hopLimit, linkMtu6 } from "./routers";
import { findNextHop6, nextHop, nextHopHigh, nextHopLow } from "./routes";

/** Of the path found last: the next hop, … */
export let pathNeighbour: Neighbour = changetype<Neighbour>(0);
/** … the largest IP packet that gets through, … */
export let pathMtu: u32 = 0;
/** … and the bytes of its IP header. */
export let pathHeader: u32 = 0;

let toHigh: u64 = 0;
let toLow: u64 = 0;
let fromHigh: u64 = 0;
let fromLow: u64 = 0;
let hops: u32 = 0;

/**
 * Finds the path to an address. Returns RC_OK, RC_UNREACHABLE without a route or an address to send from
 * (counted), or RC_NOMEM when the neighbour table is full.
 */
export function findPath(high: u64, low: u64): i32 {
  toHigh = high;
  toLow = low;
  const found = isMapped(high, low) ? findIpv4(mappedIpv4(low)) : findIpv6();
  if (!found) {
    count(CNT_DROP_NO_ROUTE);
    return RC_UNREACHABLE;
  }
  const neighbour = neighbourOf(nextHigh, nextLow);
  if (neighbour == null) return RC_NOMEM;
  pathNeighbour = neighbour;
  return RC_OK;
}

let nextHigh: u64 = 0;
let nextLow: u64 = 0;

function findIpv4(destination: u32): bool {
  const group = isIpv4Multicast(destination);
  const hop = group ? destination : nextHop(destination);
  if (hop == 0) return false;
  nextHigh = 0;
  nextLow = mappedLow(hop);
  fromHigh = 0;
  fromLow = mappedLow(localIp);
  pathHeader = IPV4_HEADER_SIZE;
  // RFC 1112 section 6.1: multicast stays on the link unless it is asked to go further.
  hops = group ? 1 : ttl;
  pathMtu = group ? mtu : pathMtuTo(toHigh, toLow);
  return true;
}

function findIpv6(): bool {
  if (!chooseSource(toHigh, toLow) || !findNextHop6(toHigh, toLow)) return false;
  nextHigh = nextHopHigh;
  nextLow = nextHopLow;
  fromHigh = sourceHigh;
  fromLow = sourceLow;
  pathHeader = IPV6_HEADER_SIZE;
  const group = isIpv6Multicast(toHigh);
  hops = group ? 1 : hopLimit();
  pathMtu = min<u32>(linkMtu6(), group ? mtu : pathMtuTo(toHigh, toLow));
  return true;
}

/** Sends from that address of ours, as an answer to a packet that was sent to it. */
export function setPathSource(high: u64, low: u64): void {
  fromHigh = high;
  fromLow = low;
}

/** Where layer 4 begins in a frame. */
export function l4Offset(): u32 {
  return ETHERNET_HEADER_SIZE + pathHeader;
}

/** Sum of the pseudo header over the path. */
export function pathPseudoSum(protocol: u32, l4Length: u32): u32 {
  if (pathHeader == IPV4_HEADER_SIZE) {
    return pseudoHeaderSum(mappedIpv4(fromLow), mappedIpv4(toLow), protocol, l4Length);
  }
  return pseudoHeaderSum6(fromHigh, fromLow, toHigh, toLow, protocol, l4Length);
}

/** Writes the IP header of a packet over the path. `payloadLength`: bytes behind the header. */
export function emitIp(ip: u32, protocol: u32, payloadLength: u32): void {
  if (pathHeader == IPV4_HEADER_SIZE) {
    emitIpv4(ip, mappedIpv4(fromLow), mappedIpv4(toLow), protocol, payloadLength, hops, 0);
  } else {
    emitIpv6(ip, fromHigh, fromLow, toHigh, toLow, protocol, payloadLength, hops);
  }
}

/**
 * Completes the TCP or UDP checksum of a frame that holds the whole packet, by the NIC if it does
 * that, else here. The checksum field must be zero.
 *
 * @param field offset of the checksum in the layer-4 header
 * @returns options of the descriptor
 */
export function completeChecksum(frame: u32, protocol: u32, l4Length: u32, field: u32): u32 {
  const pseudoSum = pathPseudoSum(protocol, l4Length);
  if (offloads & OFFLOAD_TX_CHECKSUM) return offerChecksum(frame, field, pseudoSum);
  const l4 = frame + l4Offset();
  storeChecksum(l4, protocol, field, sumBytes(l4, l4Length, pseudoSum));
  return 0;
}

/** Asks the NIC for the checksum of a frame; returns options of the descriptor. */
export function offerChecksum(frame: u32, field: u32, pseudoSum: u32): u32 {
  return requestChecksumAt(frame, l4Offset(), field, pseudoSum);
}

/** Stores the checksum that belongs to a sum over pseudo header, header and payload. */
export function storeChecksum(l4: u32, protocol: u32, field: u32, sum: u32): void {
  let checksum = foldChecksum(sum);
  // RFC 768: zero says "no checksum", so one that comes out as zero is sent as all ones.
  if (checksum == 0 && protocol == UDP_PROTOCOL) checksum = 0xffff;
  store<u16>(l4 + field, checksum);
}

/**
 * Sends a packet whose layer 4 is complete at `frame + l4Offset()`, in the buffer's own frame. The
 * caller keeps its hold of the buffer.
 *
 * @param options `DESC_*`, as `completeChecksum` returned them
 * @returns RC_OK when it went out or waits for its neighbour; RC_MSGSIZE when it exceeds the path's
 *   MTU; RC_AGAIN when the TX ring or the neighbour's queue is full, which is counted
 */
export function sendOnPath(
  buffer: Buffer,
  frame: u32,
  protocol: u32,
  l4Length: u32,
  options: u32,
): i32 {
  if (pathHeader + l4Length > pathMtu) return RC_MSGSIZE;
  emitIp(frame + ETHERNET_HEADER_SIZE, protocol, l4Length);
  const length = l4Offset() + l4Length;
  return sendPacket(pathNeighbour, buffer, frame, length, options) ? RC_OK : RC_AGAIN;
}
