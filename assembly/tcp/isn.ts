/**
 * Unpredictable numbers from the host's secret: initial sequence numbers (RFC 6528), the origin of
 * timestamps and the start of the search for a source port (RFC 6056). The keyed hash is SipHash-1-3 over 16 bytes.
 */
import { CFG_SECRET, CONFIG_BASE } from "../abi";
import { nowWide } from "../time/clock";
import { sipAbsorb, sipBegin, sipEnd } from "./siphash";

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
  sipBegin(k0, k1);
  sipAbsorb(u64(a) | (u64(b) << 32));
  sipAbsorb(u64(c) | (u64(purpose) << 32));
  // The length of the message, 16, in the top byte of the last block.
  sipAbsorb(u64(16) << 56);
  return sipEnd(3);
}
