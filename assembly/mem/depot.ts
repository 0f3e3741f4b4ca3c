/**
 * Depots: what the cores have to spare of frames, records and TCBs, so that stock follows the load. One
 * for each kind, a stack of chunks that any core pushes to and pops from without a lock: a word with the
 * first chunk's address and a count of operations, which makes every state of it different (ABA).
 *
 *   depot | first chunk, operations | ─→ chunk ─→ chunk
 *
 * A chunk is a list of free things, made by whoever gives it; a word of its first one, `link` bytes from
 * its start, leads to the next chunk. Cores give and take between polls' parts, a chunk at a time, never
 * on the way of a packet.
 */
import { CACHE_LINE, CFG_CORES, CFG_DEPOTS } from "../abi";
import { config } from "../core/config";

export const DEPOT_FRAMES: u32 = 0;
export const DEPOT_RECORDS: u32 = 1;
export const DEPOT_TCBS: u32 = 2;

/** Things in a chunk. */
export const CHUNK: u32 = 64;

const OPERATION: u64 = 1 << 32;

/** True when there are other cores to share with. */
export function hasDepots(): bool {
  return config(CFG_CORES) > 1;
}

/** Gives a chunk away. */
export function giveChunk(depot: u32, chunk: u32, link: u32): void {
  const cell = cellOf(depot);
  while (true) {
    const seen = atomic.load<u64>(cell);
    store<u32>(chunk + link, u32(seen));
    const next = ((seen + OPERATION) & ~u64(0xffffffff)) | u64(chunk);
    if (atomic.cmpxchg<u64>(cell, seen, next) == seen) return;
  }
}

/** Takes a chunk; 0 when there is none. */
export function takeChunk(depot: u32, link: u32): u32 {
  const cell = cellOf(depot);
  while (true) {
    const seen = atomic.load<u64>(cell);
    const chunk = u32(seen);
    if (chunk == 0) return 0;
    // Another core may have taken it meanwhile; then this is any number, and the exchange fails.
    const next = ((seen + OPERATION) & ~u64(0xffffffff)) | u64(load<u32>(chunk + link));
    if (atomic.cmpxchg<u64>(cell, seen, next) == seen) return chunk;
  }
}

function cellOf(depot: u32): u32 {
  return config(CFG_DEPOTS) + depot * CACHE_LINE;
}
