/**
 * SipHash (Aumasson and Bernstein, 2012), a keyed hash of short messages, word by word. Who takes words in
 * with `sipAbsorb` and ends with 3 has SipHash-1-3, with `sipAbsorbTwice` and 4 it is SipHash-2-4. The last
 * word has the message's length in its top byte.
 */
let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

/** Begins a hash with the two halves of its key. */
export function sipBegin(k0: u64, k1: u64): void {
  v0 = k0 ^ ((u64(0x736f6d65) << 32) | 0x70736575);
  v1 = k1 ^ ((u64(0x646f7261) << 32) | 0x6e646f6d);
  v2 = k0 ^ ((u64(0x6c796765) << 32) | 0x6e657261);
  v3 = k1 ^ ((u64(0x74656462) << 32) | 0x79746573);
}

/** Takes a word in with one round. */
export function sipAbsorb(word: u64): void {
  v3 ^= word;
  sipRound();
  v0 ^= word;
}

/** Takes a word in with two rounds. */
export function sipAbsorbTwice(word: u64): void {
  v3 ^= word;
  sipRound();
  sipRound();
  v0 ^= word;
}

/** The hash, after that many rounds more. */
export function sipEnd(rounds: u32): u64 {
  v2 ^= 0xff;
  for (let i: u32 = 0; i < rounds; i++) sipRound();
  return v0 ^ v1 ^ v2 ^ v3;
}

function sipRound(): void {
  v0 += v1;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v0 = rotl<u64>(v0, 32);
  v2 += v3;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
}
