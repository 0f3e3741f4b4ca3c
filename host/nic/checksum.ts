/**
 * The checksum offloads of the NIC (RFC 1071, 768, 9293, 8200). Sums are taken over 16-bit words as
 * they lie in memory: the one's complement sum does not depend on byte order (RFC 1071 section 2
 * (B)), so neither does a comparison with 0xffff.
 */
import type { MemoryView } from "./memory-view.ts";

/** A frame has at least its addresses and its EtherType. */
export const MIN_FRAME = 14;

const PROTOCOL_UDP = 17;
/** Where UDP has its checksum, from its header's start. */
const UDP_CHECKSUM = 6;

/**
 * One's complement sum of `length` bytes, folded to 16 bits; the first two bytes are the first
 * word, wherever they lie.
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

/**
 * True when a received TCP or UDP checksum is right, or rightly absent (UDP over IPv4, RFC 768).
 */
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

/** Whether a checksum request speaks of bytes that a frame of this length has, behind its MACs. */
export function requestFits(request: number, length: number): boolean {
  const start = request & 0xffff;
  return start >= MIN_FRAME && start + (request >>> 16) + 2 <= length;
}

/**
 * Fills in the checksum that was left to the NIC in the frame at `at`: sums from where the request
 * says to the frame's end, the field included, which holds the pseudo header's sum, and stores the
 * complement. `requestFits` must be true. What would be 0 becomes 0xffff where the field is UDP's (RFC 768), and
 * nowhere else: to TCP both mean the same, but not to all who look at it (RFC 1624).
 *
 * @param request start of the sum as an offset from the frame's start; in the high half, the
 *   field's offset from there
 */
export function fulfil(view: MemoryView, at: number, length: number, request: number): void {
  const start = request & 0xffff;
  const field = at + start + (request >>> 16);
  const computed = ~sum(view, at + start, length - start) & 0xffff;
  const complement = computed === 0 && request >>> 16 === UDP_CHECKSUM ? 0xffff : computed;
  view.bytes[field] = complement;
  view.bytes[field + 1] = complement >>> 8;
}
