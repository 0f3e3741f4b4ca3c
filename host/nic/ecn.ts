/**
 * What a congested router does to a packet that can say so (RFC 3168 section 5): the two ECN bits of an
 * IPv4 or IPv6 header become CE, and the IPv4 header's checksum follows (RFC 1624).
 */
import { MIN_FRAME } from "./checksum.ts";

const CE = 3;

/**
 * Marks the packet in the frame of `length` bytes at `at`, if its sender is ECN-capable. Returns
 * whether it now carries a mark that it did not carry before.
 */
export function markCe(bytes: Uint8Array, at: number, length: number): boolean {
  const etherType = (bytes[at + 12] << 8) | bytes[at + 13];
  const ip = at + MIN_FRAME;
  if (etherType === 0x0800 && length >= MIN_FRAME + 20) return markIpv4(bytes, ip);
  if (etherType === 0x86dd && length >= MIN_FRAME + 40) return markIpv6(bytes, ip);
  return false;
}

function markIpv4(bytes: Uint8Array, ip: number): boolean {
  const ecn = bytes[ip + 1] & 3;
  if (ecn === 0 || ecn === CE) return false;
  bytes[ip + 1] |= CE;
  // HC' = ~(~HC + ~m + m'): the word has grown by the difference.
  const checksum = (bytes[ip + 10] << 8) | bytes[ip + 11];
  let sum = (~checksum & 0xffff) + (CE - ecn);
  sum = (sum & 0xffff) + (sum >>> 16);
  bytes[ip + 10] = ~sum >>> 8;
  bytes[ip + 11] = ~sum;
  return true;
}

/** The traffic class lies across the first two bytes. */
function markIpv6(bytes: Uint8Array, ip: number): boolean {
  const ecn = (bytes[ip + 1] >>> 4) & 3;
  if (ecn === 0 || ecn === CE) return false;
  bytes[ip + 1] |= CE << 4;
  return true;
}
