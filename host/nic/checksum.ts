/**
 * The checksum offloads of the NIC (RFC 1071, 768, 9293, 8200). Sums are taken over 16-bit words as
 * they lie in memory: the one's complement sum does not depend on byte order (RFC 1071 section 2 (B)),
 * so neither does a comparison with 0xffff.
 */
import type { MemoryView } from "./memory-view.ts";

const PROTOCOL_UDP = 17;

/**
 * One's complement sum of `length` bytes, folded to 16 bits; the first two bytes are the first word,
 * wherever they lie.
 */
export function sum(view: MemoryView, at: number, length: number): number {
  const { bytes, words } = view;
  if ((at & 1) !== 0) return sumOdd(bytes, at, length);
  let low = 0;
  let high = 0;
  const end = at + length;
  if ((at & 2) !== 0 && length >= 2) {
    low = bytes[at] | (bytes[at + 1] << 8);
    at += 2;
  }
  let word = at >>> 2;
  const last = word + ((end - at) >>> 2);
  // 2^16 halves fit 32 bits, and no frame has more.
  while (word < last) {
    const both = words[word++];
    low += both & 0xffff;
    high += both >>> 16;
  }
  at += (end - at) & ~3;
  if (end - at >= 2) {
    low += bytes[at] | (bytes[at + 1] << 8);
    at += 2;
  }
  if (at < end) low += bytes[at];
  return fold(low + high);
}

/** The same from an odd address, where no frame of the kernel begins. */
function sumOdd(bytes: Uint8Array, at: number, length: number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total += bytes[at + i] << ((i & 1) * 8);
  return fold(total);
}

/** Adds the carries back in until 16 bits remain. */
export function fold(total: number): number {
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** True when a received TCP or UDP checksum is right, or rightly absent (UDP over IPv4, RFC 768). */
export function transportChecksumOk(
  view: MemoryView,
  addresses: number,
  addressBytes: number,
  protocol: number,
  start: number,
  length: number,
): boolean {
  const { bytes } = view;
  if (protocol === PROTOCOL_UDP && bytes[start + 6] === 0 && bytes[start + 7] === 0) {
    return addressBytes === 4;
  }
  const pseudo =
    sum(view, addresses, addressBytes * 2) +
    (protocol << 8) +
    (((length & 0xff) << 8) | (length >>> 8));
  return fold(pseudo + sum(view, start, length)) === 0xffff;
}

/**
 * Completes a checksum: sums from `start` to `end`, the field at `field` included, which holds the
 * pseudo header's sum; stores the complement there. A UDP checksum that comes out as 0 becomes
 * 0xffff (RFC 768); TCP's can stay so, both mean the same.
 */
export function completeChecksum(
  view: MemoryView,
  start: number,
  field: number,
  end: number,
): void {
  const complement = ~sum(view, start, end - start) & 0xffff || 0xffff;
  view.bytes[field] = complement;
  view.bytes[field + 1] = complement >>> 8;
}
