/**
 * Unpredictable numbers from the host's secret: initial sequence numbers (RFC 6528), the origin of
 * timestamps and the start of the search for a source port (RFC 6056). The keyed hash is SipHash-1-3 over 16 bytes.
 */
import { CFG_SECRET, CONFIG_BASE } from "../abi";
import { nowWide } from "../time/clock";

/** M + F(local, remote, ports, secret); M ticks every 4 µs. */
export function initialSequence(localIp: u32, remoteIp: u32, ports: u32): u32 {
  return u32(nowWide >> 2) + u32(keyedHash(localIp, remoteIp, ports, 0));
}

/** Where to begin looking for a source port towards a destination. */
export function portOffset(localIp: u32, remoteIp: u32, remotePort: u32): u32 {
  return u32(keyedHash(localIp, remoteIp, remotePort, 1) >> 32);
}

/**
 * What the timestamps towards a host begin at. Connections between the same two hosts share it, so that
 * a new one's timestamps lie beyond those of an old one (RFC 7323 section 7.1, RFC 6191).
 */
export function timestampOffset(localIp: u32, remoteIp: u32): u32 {
  return u32(keyedHash(localIp, remoteIp, 0, 2));
}

/** A number that only this dataplane can foresee. */
export function unpredictable(index: u32): u32 {
  return u32(keyedHash(index, 0, 0, 3) >> 32);
}

/** A word that stands for an IPv6 address, and that nobody else can make another address have. */
export function addressHash(high: u64, low: u64): u32 {
  const first = keyedHash(u32(high), u32(high >> 32), 0, 4);
  return u32(keyedHash(u32(low), u32(low >> 32), u32(first), 4) >> 32);
}

/** What a SYN cookie is hidden behind; `minute` 0 for the part that does not age. */
export function cookieHash(localIp: u32, remoteIp: u32, ports: u32, minute: u32): u32 {
  return u32(keyedHash(localIp, remoteIp, ports, 5 | (minute << 8)) >> 32);
}

function keyedHash(a: u32, b: u32, c: u32, purpose: u32): u64 {
  const k0 = load<u64>(CONFIG_BASE + CFG_SECRET);
  const k1 = load<u64>(CONFIG_BASE + CFG_SECRET, 8);
  v0 = k0 ^ ((u64(0x736f6d65) << 32) | 0x70736575);
  v1 = k1 ^ ((u64(0x646f7261) << 32) | 0x6e646f6d);
  v2 = k0 ^ ((u64(0x6c796765) << 32) | 0x6e657261);
  v3 = k1 ^ ((u64(0x74656462) << 32) | 0x79746573);
  absorb(u64(a) | (u64(b) << 32));
  absorb(u64(c) | (u64(purpose) << 32));
  // The length of the message, 16, in the top byte of the last block.
  absorb(u64(16) << 56);
  v2 ^= 0xff;
  sipRound();
  sipRound();
  sipRound();
  return v0 ^ v1 ^ v2 ^ v3;
}

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

function absorb(word: u64): void {
  v3 ^= word;
  sipRound();
  v0 ^= word;
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
