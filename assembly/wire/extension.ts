/**
 * IPv6 extension headers (RFC 8200 section 4): the walk from the fixed header to the upper layer. It
 * is bounded twice, in headers and in options, whatever a packet says of itself (RFC 8504 section 5.3).
 *
 *   hop-by-hop, destination options, routing:   | next | length / 8 − 1 | content …        |
 *   fragment:                                   | next | 0 | offset, 0, M | identification |
 *
 * An option is a type, a length and that many bytes; the type's upper two bits say what becomes of a
 * packet whose receiver does not know it.
 */

export const HOP_BY_HOP: u32 = 0;
export const ROUTING: u32 = 43;
export const FRAGMENT: u32 = 44;
export const NO_NEXT_HEADER: u32 = 59;
export const DESTINATION_OPTIONS: u32 = 60;

export const FRAGMENT_HEADER_SIZE: u32 = 8;

/** Results of `walkExtensions`: the upper layer is found … */
export const WALK_DONE: u32 = 0;
/** … or a fragment header stands in front of it; */
export const WALK_FRAGMENT: u32 = 1;
/** a header does not fit the packet; */
export const WALK_MALFORMED: u32 = 2;
/** there are more than a receiver must put up with, or an option asks to be dropped in silence; */
export const WALK_DISCARD: u32 = 3;
/** the sender is to be told what is wrong, by `problemCode` and `problemAt`. */
export const WALK_PROBLEM: u32 = 4;

/** Codes of ICMPv6's "parameter problem" (RFC 4443 section 3.4). */
export const PROBLEM_FIELD: u32 = 0;
export const PROBLEM_NEXT_HEADER: u32 = 1;
export const PROBLEM_OPTION: u32 = 2;

const MAX_HEADERS: u32 = 8;
const MAX_OPTIONS: u32 = 16;

const PAD_1: u32 = 0;
const PAD_N: u32 = 1;
const ROUTER_ALERT: u32 = 5;

/** Protocol of the upper layer, or FRAGMENT, and where it begins. */
export let walkProtocol: u32 = 0;
export let walkAt: u32 = 0;
/** Address of the byte that names `walkProtocol`. */
export let walkNameAt: u32 = 0;
export let problemCode: u32 = 0;
/** Address of the byte that is wrong. */
export let problemAt: u32 = 0;
/** True when even a multicast packet's sender is told (option types 10xxxxxx). */
export let problemAlways: bool = false;

/**
 * Walks extension headers until it meets the upper layer or a fragment header.
 *
 * @param protocol of the first header, which lies at `at`
 * @param nameAt address of the byte that says so
 * @param end of the packet
 * @param first true when nothing but the fixed header came before, where hop-by-hop options may be
 */
export function walkExtensions(protocol: u32, nameAt: u32, at: u32, end: u32, first: bool): u32 {
  for (let headers: u32 = 0; headers <= MAX_HEADERS; headers++) {
    walkProtocol = protocol;
    walkNameAt = nameAt;
    walkAt = at;
    if (protocol == FRAGMENT) {
      return end - at < FRAGMENT_HEADER_SIZE ? WALK_MALFORMED : WALK_FRAGMENT;
    }
    if (protocol != HOP_BY_HOP && protocol != DESTINATION_OPTIONS && protocol != ROUTING) {
      return WALK_DONE;
    }
    if (protocol == HOP_BY_HOP && !(first && headers == 0)) {
      return problem(PROBLEM_NEXT_HEADER, nameAt, false);
    }
    if (end - at < 8) return WALK_MALFORMED;
    const length = (u32(load<u8>(at, 1)) + 1) << 3;
    if (length > end - at) return WALK_MALFORMED;
    const result = protocol == ROUTING ? checkRouting(at) : checkOptions(at + 2, at + length);
    if (result != WALK_DONE) return result;
    protocol = load<u8>(at);
    nameAt = at;
    at += length;
  }
  return WALK_DISCARD;
}

/** Nobody routes through a host: unknown types are skipped once they have served (section 4.4). */
function checkRouting(at: u32): u32 {
  return load<u8>(at, 3) == 0 ? WALK_DONE : problem(PROBLEM_FIELD, at + 2, false);
}

function checkOptions(at: u32, end: u32): u32 {
  let options: u32 = 0;
  while (at < end) {
    const type: u32 = load<u8>(at);
    if (type == PAD_1) {
      at++;
      continue;
    }
    if (end - at < 2) return WALK_MALFORMED;
    const length = u32(load<u8>(at, 1)) + 2;
    if (length > end - at) return WALK_MALFORMED;
    if (type != PAD_N && type != ROUTER_ALERT) {
      if (++options > MAX_OPTIONS) return WALK_DISCARD;
      const action = type >> 6;
      if (action == 1) return WALK_DISCARD;
      if (action != 0) return problem(PROBLEM_OPTION, at, action == 2);
    }
    at += length;
  }
  return WALK_DONE;
}

function problem(code: u32, at: u32, always: bool): u32 {
  problemCode = code;
  problemAt = at;
  problemAlways = always;
  return WALK_PROBLEM;
}

/** Bytes into the whole at which a fragment belongs; a multiple of 8. */
export function fragmentOffset(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 2)) & 0xfff8;
}

/** True for every fragment but the last. */
export function hasMoreFragments(header: u32): bool {
  return (load<u8>(header, 3) & 1) != 0;
}

/** As it lies in memory. */
export function fragmentIdentification(header: u32): u32 {
  return load<u32>(header, 4);
}

/** Writes a fragment header. `offset` is in bytes; `identification` as it shall lie in memory. */
export function emitFragmentHeader(
  header: u32,
  nextHeader: u32,
  offset: u32,
  more: bool,
  identification: u32,
): void {
  const field: u32 = bswap<u16>(<u16>(offset | u32(more)));
  store<u32>(header, nextHeader | (field << 16));
  store<u32>(header, identification, 4);
}
