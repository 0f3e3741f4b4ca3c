/**
 * Handles: how the application names what the kernel keeps for it.
 *
 *   | kind (2) | generation (10) | index (HANDLE_INDEX_BITS) |
 *
 * The generation moves on with every use of an entry and is never 0, so a stale handle does not name
 * the entry's next user, 0 names nothing, and a handle of one kind is none of another.
 */
import { HANDLE_INDEX_BITS } from "../abi";

export const KIND_CONNECTION: u32 = 0;
export const KIND_LISTENER: u32 = 1;
export const KIND_UDP_PORT: u32 = 2;
export const KIND_TIMER: u32 = 3;

const KIND_SHIFT: u32 = 30;
const GENERATION: u32 = 1 << HANDLE_INDEX_BITS;
const GENERATION_MASK: u32 = 0x3ff00000;

/** The first handle of an entry. */
export function firstHandle(kind: u32, index: u32): u32 {
  return (kind << KIND_SHIFT) | GENERATION | index;
}

/** The handle of the same entry for its next use. */
export function nextHandle(handle: u32): u32 {
  let generation = (handle + GENERATION) & GENERATION_MASK;
  if (generation == 0) generation = GENERATION;
  return (handle & ~GENERATION_MASK) | generation;
}
