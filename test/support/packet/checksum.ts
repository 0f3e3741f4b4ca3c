/** The Internet checksum (RFC 1071), computed the plain way: one 16-bit word after the other. */
import { concat, u16, u32 } from "../bytes.ts";
import { ipBytes, isIpv6Text } from "./addresses.ts";

/** Ones' complement sum of big-endian words, folded to 16 bits; an odd last byte is padded. */
export function onesSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function checksum(bytes: Uint8Array): number {
  return ~onesSum(bytes) & 0xffff;
}

/** What checksums cover before the segment (RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1). */
export function pseudoHeader(
  source: string,
  destination: string,
  protocol: number,
  length: number,
): Uint8Array {
  const addresses = concat(ipBytes(source), ipBytes(destination));
  if (isIpv6Text(source)) return concat(addresses, u32(length), u32(protocol));
  return concat(addresses, u16(protocol), u16(length));
}
