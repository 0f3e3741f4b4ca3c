/**
 * ICMP errors that we receive, over either IP: which packet of ours one is about, and who is to know. An
 * error proves nothing but that its sender has seen, or guessed, 8 bytes of a packet; so it counts only
 * when the packet it quotes can be in flight: TCP checks the sequence number (RFC 5927 section 4.1), UDP
 * that the port is bound.
 */
import {
  CNT_DROP_ICMP_MALFORMED,
  CNT_DROP_ICMP_QUOTE,
  RC_MSGSIZE,
  RC_REFUSED,
  RC_UNREACHABLE,
} from "../abi";
import { localIp } from "../core/config";
import { count } from "../core/counters";
import { tcpIcmpError } from "../tcp/errors";
import { tcpTooBig } from "../tcp/path-mtu";
import { setTuple } from "../tcp/tuple";
import {
  icmpCode,
  icmpNextHopMtu,
  icmpType,
  ICMP_HEADER_SIZE,
  ICMP_UNREACHABLE,
  UNREACHABLE_FRAGMENTATION,
  UNREACHABLE_PORT,
  UNREACHABLE_PROTOCOL,
} from "../wire/icmp";
import { icmpv6Mtu, ICMPV6_TOO_BIG, ICMPV6_UNREACHABLE, UNREACHABLE6_PORT } from "../wire/icmpv6";
import {
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Version,
  IPV4_HEADER_SIZE,
} from "../wire/ipv4";
import {
  FRAGMENT,
  FRAGMENT_HEADER_SIZE,
  fragmentOffset,
  walkAt,
  walkExtensions,
  WALK_DONE,
  WALK_FRAGMENT,
  walkProtocol,
} from "../wire/extension";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6SourceHigh,
  ipv6SourceLow,
  ipv6Version,
  IPV6_HEADER_SIZE,
  mappedLow,
} from "../wire/ipv6";
import { TCP_PROTOCOL, tcpSeq } from "../wire/tcp";
import { udpDestinationPort, udpSourcePort, UDP_PROTOCOL } from "../wire/udp";
import { isOwnAddress } from "./interface";
import { lowerPathMtu, nextPlateau } from "./path-mtu";
import { udpError } from "./udp-errors";

/** Bytes of the transport header that every quotation has (RFC 792). */
const QUOTED_L4: u32 = 8;

/** An ICMP error; `length` bytes of message. */
export function errorInput(message: u32, length: u32): void {
  const ip = message + ICMP_HEADER_SIZE;
  const available = length - ICMP_HEADER_SIZE;
  if (available < IPV4_HEADER_SIZE + QUOTED_L4 || ipv4Version(ip) != 4) return refuse();
  const headerLength = ipv4HeaderLength(ip);
  if (headerLength < IPV4_HEADER_SIZE || headerLength + QUOTED_L4 > available) return refuse();
  // Only the first fragment says whose it is.
  if (ipv4Source(ip) != localIp || ipv4FragmentOffset(ip) != 0) return refuse();
  const type = icmpType(message);
  const code = icmpCode(message);
  const unreachable = type == ICMP_UNREACHABLE;
  const to = ipv4Destination(ip);
  const l4 = ip + headerLength;
  if (unreachable && code == UNREACHABLE_FRAGMENTATION) {
    const size = ipv4TotalLength(ip);
    // Routers from before RFC 1191 tell nothing.
    let told = icmpNextHopMtu(message);
    if (told == 0) told = nextPlateau(size);
    setTuple(0, mappedLow(localIp), 0, mappedLow(to));
    if (told < size) tooBig(ipv4Protocol(ip), 0, mappedLow(to), l4, told);
    else count(CNT_DROP_ICMP_QUOTE);
    return;
  }
  const hard = unreachable && (code == UNREACHABLE_PROTOCOL || code == UNREACHABLE_PORT);
  if (ipv4Protocol(ip) == TCP_PROTOCOL) {
    setTuple(0, mappedLow(localIp), 0, mappedLow(to));
    tcpIcmpError(load<u32>(l4), tcpSeq(l4), unreachable, hard);
  } else {
    report(ipv4Protocol(ip), 0, mappedLow(to), l4, hard);
  }
}

/** An ICMPv6 error; `length` bytes of message. */
export function errorInput6(message: u32, length: u32): void {
  const ip = message + ICMP_HEADER_SIZE;
  const end = message + length;
  if (length < ICMP_HEADER_SIZE + IPV6_HEADER_SIZE + QUOTED_L4 || ipv6Version(ip) != 6) {
    return refuse();
  }
  const first = ip + IPV6_HEADER_SIZE;
  let walked = walkExtensions(ipv6NextHeader(ip), ip + 6, first, end, true);
  const size = IPV6_HEADER_SIZE + ipv6PayloadLength(ip);
  if (walked == WALK_FRAGMENT && fragmentOffset(walkAt) == 0) {
    const next: u32 = load<u8>(walkAt);
    walked = walkExtensions(next, walkAt, walkAt + FRAGMENT_HEADER_SIZE, end, false);
  }
  if (walked != WALK_DONE || walkProtocol == FRAGMENT || end - walkAt < QUOTED_L4) return refuse();
  if (!isOwnAddress(ipv6SourceHigh(ip), ipv6SourceLow(ip))) return refuse();
  const protocol = walkProtocol;
  const l4 = walkAt;
  const high = ipv6DestinationHigh(ip);
  const low = ipv6DestinationLow(ip);
  const type = icmpType(message);
  setTuple(ipv6SourceHigh(ip), ipv6SourceLow(ip), high, low);
  if (type == ICMPV6_TOO_BIG) {
    const told = icmpv6Mtu(message);
    if (told < size) tooBig(protocol, high, low, l4, told);
    else count(CNT_DROP_ICMP_QUOTE);
    return;
  }
  const hard = type == ICMPV6_UNREACHABLE && icmpCode(message) == UNREACHABLE6_PORT;
  if (protocol == TCP_PROTOCOL) {
    tcpIcmpError(load<u32>(l4), tcpSeq(l4), type == ICMPV6_UNREACHABLE, hard);
  } else {
    report(protocol, high, low, l4, hard);
  }
}

/** A packet of ours between the two in hand was larger than its path takes (RFC 1191, RFC 8201). */
function tooBig(protocol: u32, high: u64, low: u64, l4: u32, size: u32): void {
  if (protocol == TCP_PROTOCOL) {
    tcpTooBig(load<u32>(l4), tcpSeq(l4), size);
  } else if (protocol == UDP_PROTOCOL) {
    const lowered = udpError(
      high,
      low,
      udpSourcePort(l4),
      udpDestinationPort(l4),
      RC_MSGSIZE,
      size,
    );
    if (lowered) lowerPathMtu(high, low, size);
  } else {
    count(CNT_DROP_ICMP_QUOTE);
  }
}

/** A datagram of ours did not arrive. */
function report(protocol: u32, high: u64, low: u64, l4: u32, hard: bool): void {
  if (protocol != UDP_PROTOCOL) {
    count(CNT_DROP_ICMP_QUOTE);
    return;
  }
  const reason = hard ? RC_REFUSED : RC_UNREACHABLE;
  udpError(high, low, udpSourcePort(l4), udpDestinationPort(l4), reason, 0);
}

function refuse(): void {
  count(CNT_DROP_ICMP_MALFORMED);
}
