/** The Toeplitz hash of RSS, bit by bit, with the key that Microsoft publishes for verification. */
import { concat, hex, readU16, u16 } from "./bytes.ts";
import { ipBytes } from "./packet/addresses.ts";

export const RSS_KEY = hex(`
  6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa`);

export function toeplitz(input: Uint8Array, key: Uint8Array = RSS_KEY): number {
  let hash = 0;
  for (let bit = 0; bit < input.length * 8; bit++) {
    if ((input[bit >> 3] >> (7 - (bit & 7))) & 1) hash ^= keyWindow(key, bit);
  }
  return hash >>> 0;
}

/** The hash of a TCP or UDP packet: addresses and ports as they stand in it. */
export function hashTuple(
  source: string,
  destination: string,
  sourcePort: number,
  destinationPort: number,
): number {
  return toeplitz(
    concat(ipBytes(source), ipBytes(destination), u16(sourcePort), u16(destinationPort)),
  );
}

/** The hash of any other IP packet: addresses only. */
export function hashAddresses(source: string, destination: string): number {
  return toeplitz(concat(ipBytes(source), ipBytes(destination)));
}

/** What a NIC would compute for a frame; undefined for what is not IP. */
export function rssHash(frame: Uint8Array): number | undefined {
  if (frame.length >= 54 && readU16(frame, 12) === 0x86dd) return rssHash6(frame);
  if (frame.length < 34 || readU16(frame, 12) !== 0x0800) return undefined;
  const transport = 14 + (frame[14] & 15) * 4;
  const fragment = (readU16(frame, 20) & 0x3fff) !== 0;
  const ported = (frame[23] === 6 || frame[23] === 17) && !fragment;
  const addresses = frame.subarray(26, 34);
  if (!ported || transport + 4 > frame.length) return toeplitz(addresses);
  return toeplitz(concat(addresses, frame.subarray(transport, transport + 4)));
}

/** A NIC does not look behind extension headers. */
function rssHash6(frame: Uint8Array): number {
  const ported = (frame[20] === 6 || frame[20] === 17) && frame.length >= 58;
  return toeplitz(frame.subarray(22, ported ? 58 : 54));
}

/** 32 bits of the key from bit `at` on. */
function keyWindow(key: Uint8Array, at: number): number {
  let window = 0;
  for (let bit = at; bit < at + 32; bit++) {
    window = (window << 1) | ((key[bit >> 3] >> (7 - (bit & 7))) & 1);
  }
  return window;
}
