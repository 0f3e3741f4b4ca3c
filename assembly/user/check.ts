/**
 * The gate for addresses that an application hands in: nothing behind it looks at a range again.
 * Ranges are checked without overflow, so no length can wrap around the address space.
 */
import { slotsBase, slotsEnd } from "../mem/slots";
import { framesBase, framesEnd, windowBase, windowEnd } from "../core/config";

/** True when [address, address + length) lies in the application's window. */
export function inWindow(address: u32, length: u32): bool {
  return address >= windowBase && address <= windowEnd && length <= windowEnd - address;
}

/** True when the application may read the range: its window, the packet frames, or the slots. */
export function isReadable(address: u32, length: u32): bool {
  return inWindow(address, length) || inFrames(address, length) || inSlots(address, length);
}

function inSlots(address: u32, length: u32): bool {
  return address >= slotsBase && address <= slotsEnd && length <= slotsEnd - address;
}

function inFrames(address: u32, length: u32): bool {
  return address >= framesBase && address <= framesEnd && length <= framesEnd - address;
}
