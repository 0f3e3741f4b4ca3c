/**
 * Where IP keeps what belongs to a core besides its tables: one region, NET_SIZE bytes at CORE_NET. Each
 * module declares the records that are its own and points to them when it is bound.
 */
import { CORE_NET, NET_SIZE } from "../abi";
import { coreBlock } from "../core/config";
import { Timer } from "../time/wheel";

// Offsets in the region.
export const NET_FRAGMENT_TIMER: u32 = 0;
export const NET_INTERFACE_TIMER: u32 = 16;
export const NET_GROUP_TIMER: u32 = 32;
export const NET_RANDOM: u32 = 64;
export const NET_INTERFACE: u32 = 128;
export const NET_GROUP_STATE: u32 = 192;
export const NET_ADDRESSES: u32 = 256;
export const NET_PREFIXES: u32 = 1024;
export const NET_ROUTERS: u32 = 1536;
export const NET_GROUPS: u32 = 2048;
export const NET_PATH_MTUS: u32 = 5632;

let region: u32 = 0;

/** Binds this instance to the core's region. */
export function bindNetState(): void {
  region = load<u32>(coreBlock + CORE_NET);
}

/** Empties the region. */
export function clearNetState(): void {
  memory.fill(region, 0, NET_SIZE);
}

/** Takes the region's timers for idle, when the wheel they were on is gone. */
export function clearNetTimers(): void {
  memory.fill(region, 0, NET_RANDOM);
}

/** Address of what lies at an offset. */
export function netState(offset: u32): u32 {
  return region + offset;
}

/** One of the region's timers, of the kind that the wheel shall know it by. */
export function netTimer(offset: u32, kind: u32): Timer {
  const timer = changetype<Timer>(region + offset);
  timer.kind = <u8>kind;
  return timer;
}
