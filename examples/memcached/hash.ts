/**
 * Hash of a key as it lies in memory: MurmurHash3 for 32 bits (Appleby; public domain), from a secret seed,
 * and cut to 30 bits, which engines keep in a register.
 */
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

export const HASH_BITS = 30;

export function hashKey(bytes: Uint8Array, key: number, length: number, seed: number): number {
  let h = seed;
  const words = key + (length & ~3);
  let at = key;
  for (; at < words; at += 4) {
    const k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    h ^= scramble(k);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let i = (length & 3) - 1; i >= 0; i--) rest = (rest << 8) | bytes[at + i];
  h ^= scramble(rest) ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) & (2 ** HASH_BITS - 1);
}

function scramble(k: number): number {
  const mixed = Math.imul(k, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}
