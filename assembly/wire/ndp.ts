/**
 * Neighbour discovery messages and their options (RFC 4861 section 4), bytes and meaning only.
 *
 *   solicitation     | 135 | 0 | checksum |        0        | target (16) | options … |
 *   advertisement    | 136 | 0 | checksum | R S O … 0       | target (16) | options … |
 *   router sol.      | 133 | 0 | checksum |        0        | options … |
 *   router adv.      | 134 | 0 | checksum | hops M O … | router lifetime, s |
 *                    | reachable time, ms | retransmission, ms | options … |
 *
 * An option is a type, its length in units of 8 bytes, and content:
 *
 *   link-layer address   | 1 source, 2 target | 1 | MAC (6) |
 *   prefix               | 3 | 4 | prefix length | L A … | valid, s | preferred, s | 0 | prefix (16) |
 *   MTU                  | 5 | 1 |     0     | MTU (4) |
 */

export const SOLICITATION_SIZE: u32 = 24;
export const ROUTER_SOLICITATION_SIZE: u32 = 8;
export const ROUTER_ADVERTISEMENT_SIZE: u32 = 16;

export const OPTION_SOURCE_MAC: u32 = 1;
export const OPTION_TARGET_MAC: u32 = 2;
export const OPTION_PREFIX: u32 = 3;
export const OPTION_MTU: u32 = 5;
export const MAC_OPTION_SIZE: u32 = 8;
const PREFIX_OPTION_SIZE: u32 = 32;

/** Flags of an advertisement, as they lie in its second word. */
export const ADVERTISED_ROUTER: u32 = 0x80;
export const ADVERTISED_SOLICITED: u32 = 0x40;
export const ADVERTISED_OVERRIDE: u32 = 0x20;

/** Flags of a prefix option. */
export const PREFIX_ON_LINK: u32 = 0x80;
export const PREFIX_AUTONOMOUS: u32 = 0x40;

export function targetHigh(message: u32): u64 {
  return load<u64>(message, 8);
}

export function targetLow(message: u32): u64 {
  return load<u64>(message, 16);
}

/** `ADVERTISED_*` of a neighbour advertisement. */
export function advertisedFlags(message: u32): u32 {
  return load<u8>(message, 4);
}

/** Hop limit that a router advertises, 0 when it names none. */
export function advertisedHopLimit(message: u32): u32 {
  return load<u8>(message, 4);
}

/** Seconds for which the sender of a router advertisement is a default router; 0: it is none. */
export function routerLifetime(message: u32): u32 {
  return bswap<u16>(load<u16>(message, 6));
}

/** True when every option in the range has a length and fits (RFC 4861 section 4.6). */
export function areOptionsSound(at: u32, end: u32): bool {
  while (at < end) {
    if (end - at < 8) return false;
    const length = optionLength(at);
    if (length == 0 || length > end - at) return false;
    at += length;
  }
  return true;
}

/** The first option of a type from `at` on whose size is right, or 0. The options are sound. */
export function findOption(at: u32, end: u32, type: u32): u32 {
  const size = type == OPTION_PREFIX ? PREFIX_OPTION_SIZE : MAC_OPTION_SIZE;
  for (; at < end; at += optionLength(at)) {
    if (load<u8>(at) == type && optionLength(at) == size) return at;
  }
  return 0;
}

/** Bytes of an option. */
export function optionLength(option: u32): u32 {
  return u32(load<u8>(option, 1)) << 3;
}

export function optionMacHead(option: u32): u32 {
  return load<u32>(option, 2);
}

export function optionMacTail(option: u32): u32 {
  return load<u16>(option, 6);
}

/** Bits of the prefix. */
export function prefixBits(option: u32): u32 {
  return load<u8>(option, 2);
}

export function prefixFlags(option: u32): u32 {
  return load<u8>(option, 3);
}

/** Seconds, all ones for ever. */
export function prefixValid(option: u32): u32 {
  return bswap<u32>(load<u32>(option, 4));
}

/** Seconds, all ones for ever. */
export function prefixPreferred(option: u32): u32 {
  return bswap<u32>(load<u32>(option, 8));
}

export function prefixHigh(option: u32): u64 {
  return load<u64>(option, 16);
}

export function prefixLow(option: u32): u64 {
  return load<u64>(option, 24);
}

/** Value of an MTU option. */
export function optionMtu(option: u32): u32 {
  return bswap<u32>(load<u32>(option, 4));
}

/** Writes a link-layer address option, 8 bytes. */
export function emitMacOption(option: u32, type: u32, head: u32, tail: u32): void {
  store<u16>(option, type | (1 << 8));
  store<u32>(option, head, 2);
  store<u16>(option, tail, 6);
}
