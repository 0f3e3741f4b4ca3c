/**
 * ICMP (RFC 792, RFC 1122 section 3.2.2): answers echo requests, and passes on what others say about our
 * packets.
 */
import {
  CNT_DROP_ICMP_CHECKSUM,
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_TYPE,
  CNT_ICMP_IN,
} from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { foldChecksum, sumBytes } from "../wire/checksum";
import {
  icmpCode,
  icmpType,
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_SIZE,
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
} from "../wire/icmp";
import { answerEcho } from "./echo";
import { errorInput } from "./icmp-quotes";

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
      answerEcho(buffer, ip, message, length);
    } else if (isError(type) && !broadcast) {
      errorInput(message, length);
    } else {
      // A broadcast echo request is among these (RFC 1122 3.2.2.6 allows it), so are redirects.
      count(CNT_DROP_ICMP_TYPE);
    }
  }
  release(buffer);
}

function isError(type: u32): bool {
  return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}
