/** Echo replies, over either IP: a request goes back where it lies, in fragments if it came in some. */
import { CNT_ICMP_OUT, RC_OK } from "../abi";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { isSlot } from "../mem/slots";
import { foldChecksum, sumBytes } from "../wire/checksum";
import { emitIcmp, ICMP_CHECKSUM, ICMP_ECHO_REPLY, ICMP_PROTOCOL } from "../wire/icmp";
import { ICMPV6_ECHO_REPLY, ICMPV6_PROTOCOL } from "../wire/icmpv6";
import { ipv4Source } from "../wire/ipv4";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6SourceHigh,
  ipv6SourceLow,
  isIpv6Multicast,
  mappedLow,
} from "../wire/ipv6";
import { sendFragments } from "./fragment-output";
import {
  findPath,
  l4Offset,
  pathHeader,
  pathMtu,
  pathPseudoSum,
  sendOnPath,
  setPathSource,
} from "./ip-output";

/**
 * Turns an ICMP echo request into its reply and sends it. IP options are left behind.
 *
 * @param buffer the request's, which the caller keeps
 * @param ip, message where the IP header and the ICMP header begin
 */
export function answerEcho(buffer: Buffer, ip: u32, message: u32, length: u32): void {
  if (findPath(0, mappedLow(ipv4Source(ip))) != RC_OK) return;
  emitIcmp(message, ICMP_ECHO_REPLY, 0, 0);
  emitIcmp(message, ICMP_ECHO_REPLY, 0, foldChecksum(sumBytes(message, length, 0)));
  reply(buffer, message, length, ICMP_PROTOCOL);
}

/** The same over IPv6; a request to a group is answered from an address of our own. */
export function answerEcho6(buffer: Buffer, ip: u32, message: u32, length: u32): void {
  if (findPath(ipv6SourceHigh(ip), ipv6SourceLow(ip)) != RC_OK) return;
  const high = ipv6DestinationHigh(ip);
  if (!isIpv6Multicast(high)) setPathSource(high, ipv6DestinationLow(ip));
  emitIcmp(message, ICMPV6_ECHO_REPLY, 0, 0);
  const sum = sumBytes(message, length, pathPseudoSum(ICMPV6_PROTOCOL, length));
  store<u16>(message, foldChecksum(sum), ICMP_CHECKSUM);
  reply(buffer, message, length, ICMPV6_PROTOCOL);
}

function reply(buffer: Buffer, message: u32, length: u32, protocol: u32): void {
  const sent =
    isSlot(buffer) || pathHeader + length > pathMtu
      ? sendFragments(protocol, message, length, 0, length)
      : sendOnPath(buffer, message - l4Offset(), protocol, length, 0);
  if (sent == RC_OK) count(CNT_ICMP_OUT);
}
