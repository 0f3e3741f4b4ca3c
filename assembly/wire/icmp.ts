/**
 * ICMP header (RFC 792), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |     type      |     code      |           checksum            |   0
 *   |     echo: identifier          |        sequence number        |   4
 *   |     unreachable: unused       |     next-hop MTU (code 4)     |
 *   |     echo: data; errors: IP header and first bytes of the packet in question  |   8
 *
 * Accessors take the address of the header; the gate has checked that its 8 bytes are there.
 */

export const ICMP_PROTOCOL: u32 = 1;
export const ICMP_HEADER_SIZE: u32 = 8;
/** Offset of the checksum, which covers header and data. */
export const ICMP_CHECKSUM: u32 = 2;

export const ICMP_ECHO_REPLY: u32 = 0;
export const ICMP_UNREACHABLE: u32 = 3;
export const ICMP_ECHO_REQUEST: u32 = 8;
export const ICMP_TIME_EXCEEDED: u32 = 11;
export const ICMP_PARAMETER_PROBLEM: u32 = 12;

export const UNREACHABLE_PROTOCOL: u32 = 2;
export const UNREACHABLE_PORT: u32 = 3;
export const UNREACHABLE_FRAGMENTATION: u32 = 4;

export function icmpType(header: u32): u32 {
  return load<u8>(header);
}

export function icmpCode(header: u32): u32 {
  return load<u8>(header, 1);
}

/** MTU of the link that a packet did not fit; 0 from routers that tell none (RFC 1191 section 4). */
export function icmpNextHopMtu(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 6));
}

/** Writes type, code and checksum; whatever follows stays as it is. */
export function emitIcmp(header: u32, type: u32, code: u32, checksum: u32): void {
  store<u32>(header, type | (code << 8) | (checksum << 16));
}
