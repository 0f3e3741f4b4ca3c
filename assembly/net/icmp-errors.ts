/**
 * ICMP errors that we send, over either IP (RFC 1122 section 3.2.2, RFC 1812 section 4.3.2, RFC 4443
 * section 2.4): what is told to whom, how much of the packet is quoted, and how often.
 */
import { CNT_ICMP_LIMITED, CNT_ICMP_OUT, CNT_TX_NO_FRAME, RC_OK } from "../abi";
import { coreBlock } from "../core/config";
import { count } from "../core/counters";
import { STATE_ICMP } from "../core/state";
import { allocFrame, packetOf, release } from "../mem/buffers";
import { Slot, slotData } from "../mem/slots";
import { now } from "../time/clock";
import { foldChecksum, sumBytes } from "../wire/checksum";
import {
  emitIcmp,
  ICMP_HEADER_SIZE,
  ICMP_PROTOCOL,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
} from "../wire/icmp";
import {
  emitIcmpv6,
  ICMPV6_CHECKSUM,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_PROTOCOL,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  isIcmpv6Error,
  REASSEMBLY_TIME,
  REDIRECT,
} from "../wire/icmpv6";
import { ipv4Source, ipv4TotalLength, ipv4Version } from "../wire/ipv4";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6SourceHigh,
  ipv6SourceLow,
  IPV6_HEADER_SIZE,
  IPV6_MTU_MIN,
  isIpv6Multicast,
  isIpv6Unicast,
  mappedLow,
} from "../wire/ipv6";
import {
  findPath,
  l4Offset,
  pathHeader,
  pathPseudoSum,
  sendOnPath,
  setPathSource,
} from "./ip-output";

/** Longest ICMP error, IP header included (RFC 1812 section 4.3.2.3; RFC 4443 section 2.4 c). */
const MAX_ERROR: u32 = 576;
const MAX_ERROR_6: u32 = IPV6_MTU_MIN;
/** The rate limit's bucket: errors that may go out at once, and µs until the next may. */
const ERROR_BURST: u32 = 50;
const ERROR_INTERVAL: u32 = 1000;

/** The rate limit's bucket; in the core's control block. */
@final
@unmanaged
class ErrorLimit {
  tokens: u32;
  /** When the bucket was filled up last, µs. */
  tokensAt: u32;
}

let limit = changetype<ErrorLimit>(0);

/** Binds this instance to the core's rate limit. */
export function bindIcmpErrors(): void {
  limit = changetype<ErrorLimit>(coreBlock + STATE_ICMP);
}

/** Fills the rate limit's bucket. */
export function prepareIcmpErrors(): void {
  limit.tokens = ERROR_BURST;
  limit.tokensAt = now;
}

/**
 * Tells the sender of an IPv4 packet to this host that it could not be delivered. The caller has made
 * sure that the packet is no broadcast, no multicast and no ICMP message, which are never answered (RFC
 * 1122 section 3.2.2).
 *
 * @param code `UNREACHABLE_*`
 */
export function sendUnreachable(ip: u32, code: u32): void {
  sendError4(ip, ICMP_UNREACHABLE, code);
}

/** The same over IPv6. `code`: `UNREACHABLE6_*`. */
export function sendUnreachable6(ip: u32, code: u32): void {
  if (isIpv6Multicast(ipv6DestinationHigh(ip))) return;
  sendError6(ip, ICMPV6_UNREACHABLE, code, 0);
}

/**
 * Tells the sender of an IPv6 packet what in it is wrong (RFC 4443 section 3.4).
 *
 * @param at address of the byte that is wrong
 * @param always even when the packet was multicast
 */
export function sendProblem(ip: u32, code: u32, at: u32, always: bool): void {
  if (isIpv6Multicast(ipv6DestinationHigh(ip)) && !always) return;
  sendError6(ip, ICMPV6_PARAMETER_PROBLEM, code, bswap<u32>(at - ip));
}

/** Tells the sender that something of a datagram was missing, if its beginning was not. */
export function reassemblyExpired(slot: Slot): void {
  if (slot.headerLength == 0) return;
  const ip = slotData(slot) - slot.headerLength;
  if (ipv4Version(ip) == 4) sendError4(ip, ICMP_TIME_EXCEEDED, REASSEMBLY_TIME);
  else if (!isIpv6Multicast(ipv6DestinationHigh(ip))) {
    sendError6(ip, ICMPV6_TIME_EXCEEDED, REASSEMBLY_TIME, 0);
  }
}

function sendError4(ip: u32, type: u32, code: u32): void {
  if (!takeErrorToken()) return;
  if (findPath(0, mappedLow(ipv4Source(ip))) != RC_OK) return;
  const buffer = allocFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const quoted = min<u32>(ipv4TotalLength(ip), MAX_ERROR - pathHeader - ICMP_HEADER_SIZE);
  const frame = packetOf(buffer);
  const message = frame + l4Offset();
  const length = ICMP_HEADER_SIZE + quoted;
  emitIcmp(message, type, code, 0);
  store<u32>(message, 0, 4);
  memory.copy(message + ICMP_HEADER_SIZE, ip, quoted);
  emitIcmp(message, type, code, foldChecksum(sumBytes(message, length, 0)));
  if (sendOnPath(buffer, frame, ICMP_PROTOCOL, length, 0) == RC_OK) count(CNT_ICMP_OUT);
  release(buffer);
}

function sendError6(ip: u32, type: u32, code: u32, word: u32): void {
  const fromHigh = ipv6SourceHigh(ip);
  const fromLow = ipv6SourceLow(ip);
  if (!isIpv6Unicast(fromHigh, fromLow) || isErrorItself(ip) || !takeErrorToken()) return;
  if (findPath(fromHigh, fromLow) != RC_OK) return;
  const buffer = allocFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  if (!isIpv6Multicast(ipv6DestinationHigh(ip))) {
    setPathSource(ipv6DestinationHigh(ip), ipv6DestinationLow(ip));
  }
  const whole = IPV6_HEADER_SIZE + ipv6PayloadLength(ip);
  const quoted = min<u32>(whole, MAX_ERROR_6 - pathHeader - ICMP_HEADER_SIZE);
  const frame = packetOf(buffer);
  const message = frame + l4Offset();
  const length = ICMP_HEADER_SIZE + quoted;
  emitIcmpv6(message, type, code, word);
  memory.copy(message + ICMP_HEADER_SIZE, ip, quoted);
  const pseudo = pathPseudoSum(ICMPV6_PROTOCOL, length);
  store<u16>(message, foldChecksum(sumBytes(message, length, pseudo)), ICMPV6_CHECKSUM);
  if (sendOnPath(buffer, frame, ICMPV6_PROTOCOL, length, 0) == RC_OK) count(CNT_ICMP_OUT);
  release(buffer);
}

/** Errors and redirects never cause errors (RFC 4443 section 2.4 e). */
function isErrorItself(ip: u32): bool {
  if (ipv6NextHeader(ip) != ICMPV6_PROTOCOL) return false;
  const type: u32 = load<u8>(ip + IPV6_HEADER_SIZE);
  return isIcmpv6Error(type) || type == REDIRECT;
}

/** One message per ERROR_INTERVAL in the long run, ERROR_BURST at once (RFC 1812 section 4.3.2.8). */
function takeErrorToken(): bool {
  const earned = (now - limit.tokensAt) / ERROR_INTERVAL;
  if (earned != 0) {
    limit.tokens = min<u32>(limit.tokens + min<u32>(earned, ERROR_BURST), ERROR_BURST);
    limit.tokensAt += earned * ERROR_INTERVAL;
  }
  if (limit.tokens == 0) {
    count(CNT_ICMP_LIMITED);
    return false;
  }
  limit.tokens--;
  return true;
}
