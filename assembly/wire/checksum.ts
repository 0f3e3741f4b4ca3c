/**
 * The Internet checksum (RFC 1071). A sum is a u32 holding a one's-complement total of 16-bit words
 * that may still carry; words are taken as they lie in memory, little-endian, which gives the same
 * result with its bytes swapped (section 2 B): stored back little-endian it is right on the wire, and
 * nothing is ever swapped. Sums of parts add up with `+`: all functions return less than 2^18, so
 * thousands of them fit.
 */

/** From this length on the vector loop is quicker than the scalar one. */
const VECTOR_MIN: u32 = 96;

/**
 * Adds the bytes of a range to `initial`. Address and length may be of any parity; the last byte of
 * an odd length counts as followed by zero.
 *
 * @param length at most 65535 bytes
 * @param initial a sum; the result is smaller than 2^18 whatever it was
 */
export function sumBytes(address: u32, length: u32, initial: u32): u32 {
  let total: u64 = initial;
  const end = address + length;
  if (length >= VECTOR_MIN) {
    const vectors = length >> 5;
    total += sumVectors(address, vectors);
    address += vectors << 5;
  }
  while (end - address >= 8) {
    total += u64(load<u32>(address)) + u64(load<u32>(address, 4));
    address += 8;
  }
  const rest = end - address;
  if (rest & 4) {
    total += u64(load<u32>(address));
    address += 4;
  }
  if (rest & 2) {
    total += u64(load<u16>(address));
    address += 2;
  }
  if (rest & 1) total += u64(load<u8>(address));
  // 2^16 is 1 modulo 65535, so halves of any width may be added to each other.
  const words = (total & 0xffffffff) + (total >> 32);
  return u32(words & 0xffff) + u32(words >> 16);
}

/**
 * The sum of a range whose first byte is an odd byte of the whole: its bytes weigh the other way
 * round (RFC 1071 section 2 B). For payloads made of several parts.
 */
export function sumAtOddOffset(sum: u32): u32 {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ((sum & 0xff) << 8) | (sum >> 8);
}

/** The checksum field's value for a sum: folded and complemented, in memory order. */
export function foldChecksum(sum: u32): u32 {
  return foldSum(sum) ^ 0xffff;
}

/** A sum folded to 16 bits without complement: what a NIC wants to find when it shall do the rest. */
export function foldSum(sum: u32): u32 {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum + (sum >> 16)) & 0xffff;
}

/**
 * Sum of the pseudo header of TCP and UDP over IPv4 (RFC 9293 section 3.1).
 *
 * @param source, destination as they lie in memory
 * @param l4Length bytes of header and payload
 */
export function pseudoHeaderSum(source: u32, destination: u32, protocol: u32, l4Length: u32): u32 {
  return (
    (source & 0xffff) +
    (source >> 16) +
    (destination & 0xffff) +
    (destination >> 16) +
    (protocol << 8) +
    bswap<u16>(<u16>l4Length)
  );
}

/**
 * Sum of the pseudo header of TCP, UDP and ICMPv6 over IPv6 (RFC 8200 section 8.1). Addresses are two
 * u64 each, as they lie in memory.
 *
 * @param protocol of the upper layer, whatever extension headers came before it
 * @param l4Length bytes of header and payload, at most 65535
 */
export function pseudoHeaderSum6(
  sourceHigh: u64,
  sourceLow: u64,
  destinationHigh: u64,
  destinationLow: u64,
  protocol: u32,
  l4Length: u32,
): u32 {
  const sum =
    sumWords(sourceHigh) +
    sumWords(sourceLow) +
    sumWords(destinationHigh) +
    sumWords(destinationLow) +
    (protocol << 8) +
    bswap<u16>(<u16>l4Length);
  return (sum & 0xffff) + (sum >> 16);
}

/** The four 16-bit words of eight bytes. */
function sumWords(bytes: u64): u32 {
  const low = u32(bytes);
  const high = u32(bytes >> 32);
  return (low & 0xffff) + (low >> 16) + (high & 0xffff) + (high >> 16);
}

/**
 * Sum of `count` blocks of 32 bytes. The multiply-add of SIMD is signed, so words are moved into the
 * signed range by flipping their top bit, and 2^15 for each is put back at the end.
 */
function sumVectors(address: u32, count: u32): u64 {
  const bias = i16x8.splat(i16.MIN_VALUE);
  const ones = i16x8.splat(1);
  let even = i32x4.splat(0);
  let odd = i32x4.splat(0);
  const end = address + (count << 5);
  while (address < end) {
    even = i32x4.add(even, i32x4.dot_i16x8_s(v128.xor(v128.load(address), bias), ones));
    odd = i32x4.add(odd, i32x4.dot_i16x8_s(v128.xor(v128.load(address, 16), bias), ones));
    address += 32;
  }
  const sums = i32x4.add(even, odd);
  const signed =
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3);
  return u64(u32(signed) + (count << 19));
}
