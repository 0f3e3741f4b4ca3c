/**
 * ICMPv6 header (RFC 4443 section 2.1), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |     type      |     code      |           checksum            |   0
 *   |     echo: identifier          |        sequence number        |   4
 *   |     too big: MTU · parameter problem: pointer · else unused   |
 *   |     echo: data; errors: the packet in question, as much as fits the least MTU    |   8
 *
 * Types below 128 are errors. The checksum covers the pseudo header too.
 */

export const ICMPV6_PROTOCOL: u32 = 58;
export const ICMPV6_HEADER_SIZE: u32 = 8;
/** Offset of the checksum. */
export const ICMPV6_CHECKSUM: u32 = 2;

export const ICMPV6_UNREACHABLE: u32 = 1;
export const ICMPV6_TOO_BIG: u32 = 2;
export const ICMPV6_TIME_EXCEEDED: u32 = 3;
export const ICMPV6_PARAMETER_PROBLEM: u32 = 4;
export const ICMPV6_ECHO_REQUEST: u32 = 128;
export const ICMPV6_ECHO_REPLY: u32 = 129;
export const MLD_QUERY: u32 = 130;
export const MLD1_REPORT: u32 = 131;
export const MLD_DONE: u32 = 132;
export const ROUTER_SOLICITATION: u32 = 133;
export const ROUTER_ADVERTISEMENT: u32 = 134;
export const NEIGHBOUR_SOLICITATION: u32 = 135;
export const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
export const REDIRECT: u32 = 137;
export const MLD2_REPORT: u32 = 143;

/** Code of "unreachable" for a port. */
export const UNREACHABLE6_PORT: u32 = 4;
/** Code of "time exceeded" for fragments that did not all come in time, as in ICMP. */
export const REASSEMBLY_TIME: u32 = 1;

/** Sender of whatever concerns the link alone: no router lets it through (RFC 4861 section 3.1). */
export const LINK_HOP_LIMIT: u32 = 255;

/** True for the types of errors. */
export function isIcmpv6Error(type: u32): bool {
  return type < 128;
}

/** Second word, host order: the MTU of "too big". */
export function icmpv6Mtu(message: u32): u32 {
  return bswap<u32>(load<u32>(message, 4));
}

/** Writes type and code with a zero checksum, and the second word as it shall lie in memory. */
export function emitIcmpv6(message: u32, type: u32, code: u32, word: u32): void {
  store<u32>(message, type | (code << 8));
  store<u32>(message, word, 4);
}
