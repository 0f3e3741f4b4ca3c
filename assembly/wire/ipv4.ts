/**
 * IPv4 header (RFC 791 section 3.1), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |version|  IHL  |      TOS      |         total length          |   0
 *   |        identification         |0|D|M|     fragment offset     |   4
 *   |      TTL      |   protocol    |        header checksum        |   8
 *   |                        source address                         |  12
 *   |                     destination address                       |  16
 *   |                  options (IHL * 4 - 20 bytes)                 |  20
 *
 * Addresses are u32 as they lie in memory (network order read little-endian). Accessors take the
 * address of the header; the gate has checked that it is whole.
 */
import { foldChecksum, pseudoHeaderSum, sumBytes } from "./checksum";

export const IPV4_HEADER_SIZE: u32 = 20;
/** Offset of the header checksum. */
export const IPV4_CHECKSUM: u32 = 10;

export const IPV4_BROADCAST: u32 = 0xffffffff;
/** Third word of an IPv4-mapped address (RFC 4291 section 2.5.5.2) as it lies in memory. */
export const MAPPED_PREFIX: u32 = 0xffff0000;

/** Version 4 and a header of five words. */
const VERSION_IHL: u32 = 0x45;
/** Don't Fragment, and the bits that mark a fragment, as they lie in memory. */
const DONT_FRAGMENT: u32 = 0x0040;
const FRAGMENT_MASK: u32 = 0xff3f;
const MORE_FRAGMENTS: u32 = 0x2000;

export function ipv4Version(header: u32): u32 {
  return load<u8>(header) >> 4;
}

/** Header length in bytes, as IHL says; may be any multiple of 4 up to 60. */
export function ipv4HeaderLength(header: u32): u32 {
  return (load<u8>(header) & 15) << 2;
}

/** Bytes of header and payload. */
export function ipv4TotalLength(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 2));
}

/** True for every piece of a fragmented datagram, the first and the last included. */
export function isIpv4Fragment(header: u32): bool {
  return (load<u16>(header, 6) & FRAGMENT_MASK) != 0;
}

/** Bytes into the whole at which a fragment belongs; a multiple of 8. */
export function ipv4FragmentOffset(header: u32): u32 {
  return (bswap<u16>(load<u16>(header, 6)) & 0x1fff) << 3;
}

/** True for every fragment but the last. */
export function ipv4MoreFragments(header: u32): bool {
  return (bswap<u16>(load<u16>(header, 6)) & MORE_FRAGMENTS) != 0;
}

/** As it lies in memory. */
export function ipv4Identification(header: u32): u32 {
  return load<u16>(header, 4);
}

export function ipv4Ttl(header: u32): u32 {
  return load<u8>(header, 8);
}

export function ipv4Protocol(header: u32): u32 {
  return load<u8>(header, 9);
}

export function ipv4Source(header: u32): u32 {
  return load<u32>(header, 12);
}

export function ipv4Destination(header: u32): u32 {
  return load<u32>(header, 16);
}

/** The ECN field (RFC 3168 section 5). */
export const ECT_0: u32 = 2;
export const CE: u32 = 3;

export function ipv4Ecn(header: u32): u32 {
  return load<u8>(header, 1) & 3;
}

/** Marks a header that says Not-ECT as ECT(0), and puts its checksum right (RFC 1624 section 3). */
export function markEct(header: u32): void {
  store<u8>(header, u32(load<u8>(header, 1)) | ECT_0, 1);
  const complement = u32(~load<u16>(header, IPV4_CHECKSUM) & 0xffff);
  store<u16>(header, foldChecksum(complement + (ECT_0 << 8)), IPV4_CHECKSUM);
}

/** First byte of an address. */
export function ipv4FirstOctet(address: u32): u32 {
  return address & 0xff;
}

/**
 * True for an address that one host can have: not in 0/8 or 127/8, not multicast, reserved or
 * broadcast (RFC 1122 section 3.2.1.3). A subnet's broadcast address does not show here.
 */
export function isIpv4Unicast(address: u32): bool {
  const octet = ipv4FirstOctet(address);
  return octet - 1 < 223 && octet != 127;
}

/** True for 224.0.0.0/4. */
export function isIpv4Multicast(address: u32): bool {
  return ipv4FirstOctet(address) >> 4 == 14;
}

/** Network mask of a prefix of 0 to 32 bits, as it lies in memory. */
export function ipv4Mask(prefix: u32): u32 {
  return prefix == 0 ? 0 : bswap<u32>(u32.MAX_VALUE << (32 - prefix));
}

/**
 * Writes a header of 20 bytes with its checksum. DF is set: nothing on the way may fragment it, so
 * the identification says nothing (RFC 6864 section 4.1).
 *
 * @param l4Length bytes behind the header
 */
export function emitIpv4(
  header: u32,
  source: u32,
  destination: u32,
  protocol: u32,
  l4Length: u32,
  ttl: u32,
  identification: u32,
): void {
  const length: u32 = bswap<u16>(<u16>(l4Length + IPV4_HEADER_SIZE));
  const id: u32 = bswap<u16>(<u16>identification);
  // The addresses and the protocol are words of the pseudo header too; the rest is added to it.
  const sum =
    pseudoHeaderSum(source, destination, protocol, 0) +
    (VERSION_IHL + length + id + DONT_FRAGMENT + ttl);
  store<u32>(header, VERSION_IHL | (length << 16));
  store<u32>(header, id | (DONT_FRAGMENT << 16), 4);
  store<u32>(header, ttl | (protocol << 8) | (foldChecksum(sum) << 16), 8);
  store<u32>(header, source, 12);
  store<u32>(header, destination, 16);
}

/**
 * Makes a fragment's header of one that `emitIpv4` wrote: length, place and checksum.
 *
 * @param length bytes behind the header
 * @param offset bytes into the whole, a multiple of 8
 * @param identification what the fragments of one datagram have in common, 16 bits
 */
export function markIpv4Fragment(
  header: u32,
  length: u32,
  offset: u32,
  more: bool,
  identification: u32,
): void {
  store<u16>(header, bswap<u16>(<u16>(length + ipv4HeaderLength(header))), 2);
  store<u16>(header, bswap<u16>(<u16>identification), 4);
  store<u16>(header, bswap<u16>(<u16>((offset >> 3) | (more ? MORE_FRAGMENTS : 0))), 6);
  sealIpv4(header);
}

/** Makes the header of a whole datagram of the header of one of its fragments. */
export function unmarkIpv4Fragment(header: u32, length: u32): void {
  store<u16>(header, bswap<u16>(<u16>(length + ipv4HeaderLength(header))), 2);
  store<u16>(header, 0, 6);
  sealIpv4(header);
}

/** Puts one option of 4 bytes behind a header of 20 bytes whose total length counts it already. */
export function addIpv4Option(header: u32, option: u32): void {
  store<u8>(header, VERSION_IHL + 1);
  store<u32>(header, option, IPV4_HEADER_SIZE);
  sealIpv4(header);
}

function sealIpv4(header: u32): void {
  store<u16>(header, 0, IPV4_CHECKSUM);
  store<u16>(header, foldChecksum(sumBytes(header, ipv4HeaderLength(header), 0)), IPV4_CHECKSUM);
}
