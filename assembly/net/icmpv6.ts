/**
 * ICMPv6 (RFC 4443): answers echo requests, passes on what others say about our packets, and hands
 * neighbour discovery and multicast listener queries to those who know about them.
 */
import {
  CNT_DROP_GROUP_MALFORMED,
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_TYPE,
  CNT_GROUP_IN,
  CNT_ICMP_IN,
} from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { foldChecksum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { MLD2_QUERY_SIZE, MLD_SIZE, mldResponseTime } from "../wire/group";
import { icmpType } from "../wire/icmp";
import {
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HEADER_SIZE,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_PROTOCOL,
  ICMPV6_UNREACHABLE,
  MLD1_REPORT,
  MLD_QUERY,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  ROUTER_ADVERTISEMENT,
} from "../wire/icmpv6";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6HopLimit,
  ipv6SourceHigh,
  ipv6SourceLow,
  isIpv6Multicast,
  isLinkLocal,
} from "../wire/ipv6";
import { targetHigh, targetLow } from "../wire/ndp";
import { discoveryInput } from "./discovery";
import { answerEcho6 } from "./echo";
import { heardReport } from "./groups";
import { errorInput6 } from "./icmp-quotes";
import { learnForAll } from "./learned";
import { LINK_QUERY } from "./notices";

/**
 * An ICMPv6 message; takes the buffer over.
 *
 * @param frame, ip, message where the headers begin; `frame` means nothing for a message in fragments
 * @param length bytes of the message
 * @param whole false when it came in fragments, which discovery must not (RFC 6980)
 */
export function icmpv6Input(
  buffer: Buffer,
  frame: u32,
  ip: u32,
  message: u32,
  length: u32,
  whole: bool,
): void {
  if (length < ICMPV6_HEADER_SIZE) {
    count(CNT_DROP_ICMP_MALFORMED);
  } else if (!isChecksumRight(ip, message, length)) {
    count(CNT_DROP_ICMP_CHECKSUM);
  } else {
    count(CNT_ICMP_IN);
    dispatch(buffer, frame, ip, message, length, whole);
  }
  release(buffer);
}

function dispatch(
  buffer: Buffer,
  frame: u32,
  ip: u32,
  message: u32,
  length: u32,
  whole: bool,
): void {
  const type = icmpType(message);
  switch (type) {
    case ICMPV6_ECHO_REQUEST:
      answerEcho6(buffer, ip, message, length);
      return;
    case NEIGHBOUR_SOLICITATION:
    case NEIGHBOUR_ADVERTISEMENT:
    case ROUTER_ADVERTISEMENT:
      if (whole) {
        discoveryInput(frame, ip, message, length);
        return;
      }
      break;
    case MLD_QUERY:
    case MLD1_REPORT:
      listenerMessage(ip, message, length, type);
      return;
    default:
      if (type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM) {
        if (!isIpv6Multicast(ipv6DestinationHigh(ip))) errorInput6(message, length);
        return;
      }
  }
  count(CNT_DROP_ICMP_TYPE);
}

/** Queries and the reports of others (RFC 3810 section 5, RFC 2710 section 3): from the link alone. */
function listenerMessage(ip: u32, message: u32, length: u32, type: u32): void {
  const sound = length >= MLD_SIZE && ipv6HopLimit(ip) == 1 && isLinkLocal(ipv6SourceHigh(ip));
  if (!sound) {
    count(CNT_DROP_GROUP_MALFORMED);
    return;
  }
  count(CNT_GROUP_IN);
  if (type == MLD1_REPORT) {
    heardReport(targetHigh(message), targetLow(message));
    return;
  }
  const v2 = length >= MLD2_QUERY_SIZE;
  const within = mldResponseTime(message, v2);
  learnForAll(LINK_QUERY, targetHigh(message), targetLow(message), v2 ? 2 : 1, within, 0);
}

function isChecksumRight(ip: u32, message: u32, length: u32): bool {
  const pseudo = pseudoHeaderSum6(
    ipv6SourceHigh(ip),
    ipv6SourceLow(ip),
    ipv6DestinationHigh(ip),
    ipv6DestinationLow(ip),
    ICMPV6_PROTOCOL,
    length,
  );
  return foldChecksum(sumBytes(message, length, pseudo)) == 0;
}
