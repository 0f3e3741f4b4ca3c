/**
 * What ICMP said of paths that take less than the link (RFC 1191, RFC 8201): per destination the largest
 * packet, believed for ten minutes. A small table, in which a destination has one place: whoever comes
 * later takes it over, and learns again what it needs.
 */
import { CNT_PATH_MTU } from "../abi";
import { mtu } from "../core/config";
import { count } from "../core/counters";
import { nowWide } from "../time/clock";
import { IPV6_MTU_MIN, isMapped } from "../wire/ipv6";
import { NET_PATH_MTUS, netState } from "./net-state";

@final
@unmanaged
class PathMtu {
  high: u64;
  low: u64;
  /** When it was learned, µs; 0: free. */
  learned: u64;
  mtu: u32;
  unused: u32;
}

const ENTRIES: u32 = 64;
const ENTRY_SIZE: u32 = 32;
/** RFC 1191 section 6.3 and RFC 8201 section 5.3: 10 minutes. */
const LIFETIME: u64 = 600_000_000;
/** Nobody makes us send smaller IPv4 packets than this, as in Linux (RFC 5927 section 7.2 on why). */
export const IPV4_PATH_MTU_MIN: u32 = 552;

let table: u32 = 0;

/** Binds this instance to the core's table. */
export function bindPathMtu(): void {
  table = netState(NET_PATH_MTUS);
}

/** The largest packet that a destination is known to get, at most the link's own MTU. */
export function pathMtuTo(high: u64, low: u64): u32 {
  const entry = entryOf(high, low);
  if (entry.low != low || entry.high != high || entry.learned == 0) return mtu;
  if (nowWide - entry.learned >= LIFETIME) {
    entry.learned = 0;
    return mtu;
  }
  return min<u32>(entry.mtu, mtu);
}

/**
 * Takes in that the path to a destination carries packets of `size` bytes at most. The caller has made
 * sure that the news is about a packet of ours.
 *
 * @returns what is now sent at most, or 0 when this was nothing new
 */
export function lowerPathMtu(high: u64, low: u64, size: u32): u32 {
  const floor = isMapped(high, low) ? IPV4_PATH_MTU_MIN : IPV6_MTU_MIN;
  const lowered = max<u32>(size, floor);
  if (lowered >= pathMtuTo(high, low)) return 0;
  const entry = entryOf(high, low);
  entry.high = high;
  entry.low = low;
  entry.mtu = lowered;
  entry.learned = max<u64>(nowWide, 1);
  count(CNT_PATH_MTU);
  return lowered;
}

/**
 * The next lower MTU of links that were, for routers that tell none (RFC 1191 section 7.1).
 *
 * @param size of the packet that did not fit
 */
export function nextPlateau(size: u32): u32 {
  if (size > 1492) return 1492;
  if (size > 1006) return 1006;
  return IPV4_PATH_MTU_MIN;
}

function entryOf(high: u64, low: u64): PathMtu {
  const mixed = u32(high) ^ u32(high >> 32) ^ u32(low) ^ u32(low >> 32);
  const place = (mixed * 0x9e3779b1) >> 26;
  return changetype<PathMtu>(table + (place & (ENTRIES - 1)) * ENTRY_SIZE);
}
