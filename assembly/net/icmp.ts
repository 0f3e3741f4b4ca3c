/**
 * ICMP (RFC 792, RFC 1122 section 3.2.2): answers echo requests, tells the sender of a datagram why
 * it was not delivered, and tells TCP what others say about its segments.
 */
import {
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_TYPE,
  CNT_ICMP_IN,
  CNT_ICMP_LIMITED,
  CNT_ICMP_OUT,
  CNT_TX_NO_FRAME,
  RC_OK,
} from "../abi";
import { coreBlock, localIp } from "../core/config";
import { count } from "../core/counters";
import { STATE_ICMP } from "../core/state";
import { allocFrame, Buffer, packetOf, release } from "../mem/buffers";
import { tcpIcmpError } from "../tcp/errors";
import { now } from "../time/clock";
import { foldChecksum, sumBytes } from "../wire/checksum";
import {
  emitIcmp,
  icmpCode,
  icmpType,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_SIZE,
  ICMP_PARAMETER_PROBLEM,
  ICMP_PROTOCOL,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
} from "../wire/icmp";
import {
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Version,
  IPV4_HEADER_SIZE,
  isIpv4Fragment,
} from "../wire/ipv4";
import { TCP_PROTOCOL, tcpSeq } from "../wire/tcp";
import { L4_OFFSET, sendDatagram } from "./ipv4-output";

/** Longest ICMP error, IP header included (RFC 1812 section 4.3.2.3). */
const MAX_ERROR: u32 = 576;
/** Bytes of the transport header that every quotation has (RFC 792). */
const QUOTED_L4: u32 = 8;
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
export function bindIcmp(): void {
  limit = changetype<ErrorLimit>(coreBlock + STATE_ICMP);
}

/** Fills the rate limit's bucket. */
export function prepareIcmp(): void {
  limit.tokens = ERROR_BURST;
  limit.tokensAt = now;
}

/**
 * An ICMP message; takes the buffer over.
 *
 * @param ip, message where the IP header and the ICMP header begin
 * @param length bytes of the message, by the IP header
 * @param broadcast true when the packet was not for this host alone
 */
export function icmpInput(
  buffer: Buffer,
  ip: u32,
  message: u32,
  length: u32,
  broadcast: bool,
): void {
  if (length < ICMP_HEADER_SIZE) {
    count(CNT_DROP_ICMP_MALFORMED);
  } else if (foldChecksum(sumBytes(message, length, 0)) != 0) {
    count(CNT_DROP_ICMP_CHECKSUM);
  } else {
    count(CNT_ICMP_IN);
    const type = icmpType(message);
    if (type == ICMP_ECHO_REQUEST && icmpCode(message) == 0 && !broadcast) {
      echo(buffer, message, length, ipv4Source(ip));
    } else if (isError(type) && !broadcast) {
      errorInput(message, length);
    } else {
      // A broadcast echo request is among these (RFC 1122 3.2.2.6 allows it), so are redirects.
      count(CNT_DROP_ICMP_TYPE);
    }
  }
  release(buffer);
}

/**
 * Tells the sender of a packet to this host that it could not be delivered. Quotes as much of it as
 * RFC 1812 section 4.3.2.3 allows. The caller has made sure that the packet is no broadcast, no
 * fragment and no ICMP message, which are never answered (RFC 1122 section 3.2.2).
 *
 * @param code `UNREACHABLE_*`
 */
export function sendUnreachable(ip: u32, code: u32): void {
  if (!takeErrorToken()) {
    count(CNT_ICMP_LIMITED);
    return;
  }
  const buffer = allocFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const quoted = min<u32>(ipv4TotalLength(ip), MAX_ERROR - IPV4_HEADER_SIZE - ICMP_HEADER_SIZE);
  const frame = packetOf(buffer);
  const message = frame + L4_OFFSET;
  const length = ICMP_HEADER_SIZE + quoted;
  emitIcmp(message, ICMP_UNREACHABLE, code, 0);
  store<u32>(message, 0, 4);
  memory.copy(message + ICMP_HEADER_SIZE, ip, quoted);
  emitIcmp(message, ICMP_UNREACHABLE, code, foldChecksum(sumBytes(message, length, 0)));
  if (sendDatagram(buffer, frame, ipv4Source(ip), ICMP_PROTOCOL, length, 0) == RC_OK) {
    count(CNT_ICMP_OUT);
  }
  release(buffer);
}

/** Turns a request into its reply where it lies; IP options, if any, are left behind. */
function echo(buffer: Buffer, message: u32, length: u32, source: u32): void {
  emitIcmp(message, ICMP_ECHO_REPLY, 0, 0);
  emitIcmp(message, ICMP_ECHO_REPLY, 0, foldChecksum(sumBytes(message, length, 0)));
  const frame = message - L4_OFFSET;
  if (sendDatagram(buffer, frame, source, ICMP_PROTOCOL, length, 0) == RC_OK) count(CNT_ICMP_OUT);
}

function isError(type: u32): bool {
  return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}

/** Finds out which packet of ours an error is about, and tells TCP (RFC 1122 section 4.2.3.9). */
function errorInput(message: u32, length: u32): void {
  const quoted = message + ICMP_HEADER_SIZE;
  const quotedLength = length - ICMP_HEADER_SIZE;
  if (!isQuotation(quoted, quotedLength)) {
    count(CNT_DROP_ICMP_MALFORMED);
    return;
  }
  if (ipv4Protocol(quoted) != TCP_PROTOCOL) return;
  const l4 = quoted + ipv4HeaderLength(quoted);
  tcpIcmpError(
    ipv4Source(quoted),
    ipv4Destination(quoted),
    load<u32>(l4),
    tcpSeq(l4),
    icmpType(message),
    icmpCode(message),
  );
}

/** True for the beginning of an IPv4 packet that this host sent, with its ports. */
function isQuotation(ip: u32, length: u32): bool {
  if (length < IPV4_HEADER_SIZE + QUOTED_L4 || ipv4Version(ip) != 4) return false;
  const headerLength = ipv4HeaderLength(ip);
  if (headerLength < IPV4_HEADER_SIZE || headerLength + QUOTED_L4 > length) return false;
  return ipv4Source(ip) == localIp && !isIpv4Fragment(ip);
}

/** One message per ERROR_INTERVAL in the long run, ERROR_BURST at once (RFC 1812 section 4.3.2.8). */
function takeErrorToken(): bool {
  const earned = (now - limit.tokensAt) / ERROR_INTERVAL;
  if (earned != 0) {
    limit.tokens = min<u32>(limit.tokens + min<u32>(earned, ERROR_BURST), ERROR_BURST);
    limit.tokensAt += earned * ERROR_INTERVAL;
  }
  if (limit.tokens == 0) return false;
  limit.tokens--;
  return true;
}
