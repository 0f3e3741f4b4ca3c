/**
 * IPv6 header (RFC 8200 section 3), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |version| traffic class |              flow label               |   0
 *   |        payload length         |  next header  |   hop limit   |   4
 *   |                     source address (16 bytes)                 |   8
 *   |                   destination address (16 bytes)              |  24
 *
 * An address is two u64 as they lie in memory: its first eight bytes (high) and its last eight (low).
 * Accessors take the address of the header; the gate has checked that it is whole.
 */
import { MAPPED_PREFIX } from "./ipv4";

export const IPV6_HEADER_SIZE: u32 = 40;
/** What every link carries (RFC 8200 section 5). */
export const IPV6_MTU_MIN: u32 = 1280;

/** Version 6, traffic class and flow label 0, as they lie in memory. */
const VERSION: u32 = 0x60;
/** fe80::/64 and ff02::, the first eight bytes as they lie in memory. */
const LINK_LOCAL_HIGH: u64 = 0x80fe;
const LINK_SCOPE_HIGH: u64 = 0x02ff;
/** The first bytes of ff02::1:ff00:0/104's low half: 00 00 00 01 ff, and the mask for them. */
const SOLICITED_LOW: u64 = 0xff01000000;
const SOLICITED_MASK: u64 = 0xffffffffff;

/** ff02::1 and ff02::2: the low half as it lies in memory. The high half is `LINK_GROUP`. */
export const ALL_NODES: u64 = u64(1) << 56;
export const ALL_ROUTERS: u64 = u64(2) << 56;
/** ff02::16, whom MLDv2 reports go to (RFC 3810 section 5.2.14). */
export const ALL_MLD_ROUTERS: u64 = u64(0x16) << 56;
export const LINK_GROUP: u64 = LINK_SCOPE_HIGH;

export function ipv6Version(header: u32): u32 {
  return load<u8>(header) >> 4;
}

/** Bytes behind the header, extension headers included. */
export function ipv6PayloadLength(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 4));
}

export function ipv6NextHeader(header: u32): u32 {
  return load<u8>(header, 6);
}

export function ipv6HopLimit(header: u32): u32 {
  return load<u8>(header, 7);
}

/** The ECN bits of the traffic class (RFC 3168 section 5). */
export function ipv6Ecn(header: u32): u32 {
  return (load<u8>(header, 1) >> 4) & 3;
}

/** Marks a packet as ECN-capable, ECT(0). */
export function markEct6(header: u32): void {
  store<u8>(header, load<u8>(header, 1) | 0x20, 1);
}

export function ipv6SourceHigh(header: u32): u64 {
  return load<u64>(header, 8);
}

export function ipv6SourceLow(header: u32): u64 {
  return load<u64>(header, 16);
}

export function ipv6DestinationHigh(header: u32): u64 {
  return load<u64>(header, 24);
}

export function ipv6DestinationLow(header: u32): u64 {
  return load<u64>(header, 32);
}

/** True for ::ffff:a.b.c.d, which stands for an IPv4 address and never goes over the wire. */
export function isMapped(high: u64, low: u64): bool {
  return high == 0 && u32(low) == MAPPED_PREFIX;
}

/** The low half of the IPv4-mapped address. */
export function mappedLow(ipv4: u32): u64 {
  return u64(MAPPED_PREFIX) | (u64(ipv4) << 32);
}

/** The IPv4 address in a mapped one. */
export function mappedIpv4(low: u64): u32 {
  return u32(low >> 32);
}

/** True for ff00::/8. */
export function isIpv6Multicast(high: u64): bool {
  return (high & 0xff) == 0xff;
}

/** Scope of a multicast address (RFC 4291 section 2.7): 1 interface, 2 link, 5 site, 14 global. */
export function ipv6MulticastScope(high: u64): u32 {
  return (u32(high) >> 8) & 15;
}

/** True for fe80::/10. */
export function isLinkLocal(high: u64): bool {
  return (high & 0xc0ff) == 0x80fe;
}

/**
 * True for an address that one host can have and send from: not unspecified, loopback, multicast or
 * IPv4-mapped (RFC 4291 sections 2.5.2, 2.5.3 and 2.7).
 */
export function isIpv6Unicast(high: u64, low: u64): bool {
  if (high == 0) return low != 0 && low != u64(1) << 56 && u32(low) != MAPPED_PREFIX;
  return !isIpv6Multicast(high);
}

/** The first half of fe80::/64. */
export function linkLocalHigh(): u64 {
  return LINK_LOCAL_HIGH;
}

/** The second half of the solicited-node address of `low` (RFC 4291 section 2.7.1). */
export function solicitedLow(low: u64): u64 {
  return SOLICITED_LOW | (low & ~SOLICITED_MASK);
}

/** Interface identifier made of a MAC address (RFC 4291 appendix A, modified EUI-64). */
export function eui64(macHead: u32, macTail: u32): u64 {
  return (
    u64((macHead & 0xffffff) ^ 2) |
    (u64(0xfeff) << 24) |
    (u64(macHead >> 24) << 40) |
    (u64(macTail) << 48)
  );
}

/** Whether two addresses agree in their first `prefix` bits, 0 to 128. */
export function samePrefix(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64, prefix: u32): bool {
  if (prefix <= 64) return ((aHigh ^ bHigh) & halfMask(prefix)) == 0;
  return aHigh == bHigh && ((aLow ^ bLow) & halfMask(prefix - 64)) == 0;
}

/** How many of their first bits two addresses share, 0 to 128. */
export function commonPrefix(aHigh: u64, aLow: u64, bHigh: u64, bLow: u64): u32 {
  const high = bswap<u64>(aHigh ^ bHigh);
  if (high != 0) return u32(clz<u64>(high));
  const low = bswap<u64>(aLow ^ bLow);
  return 64 + (low == 0 ? 64 : u32(clz<u64>(low)));
}

/** Mask of the first `bits` bits of eight bytes as it lies in memory; all of them from 64 on. */
export function halfMask(bits: u32): u64 {
  if (bits == 0) return 0;
  return bits >= 64 ? u64.MAX_VALUE : bswap<u64>(u64.MAX_VALUE << (64 - bits));
}

/**
 * Writes a header with traffic class and flow label 0.
 *
 * @param payloadLength bytes behind the header, extension headers included
 */
export function emitIpv6(
  header: u32,
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  nextHeader: u32,
  payloadLength: u32,
  hopLimit: u32,
): void {
  store<u32>(header, VERSION);
  const length: u32 = bswap<u16>(<u16>payloadLength);
  store<u32>(header, length | (nextHeader << 16) | (hopLimit << 24), 4);
  store<u64>(header, sourceHigh, 8);
  store<u64>(header, sourceLow, 16);
  store<u64>(header, destinationHigh, 24);
  store<u64>(header, destinationLow, 32);
}
