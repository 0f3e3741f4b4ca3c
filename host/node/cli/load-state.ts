/**
 * What the load generator has done, in shared memory: a block of doubles for each of its cores, which
 * that core alone writes, and the round-trip times it has seen, counted in buckets.
 */
import type { LoadSnapshot } from "./snapshot.ts";

export const LOAD_MESSAGES = 0;
export const LOAD_OPENED = 1;
export const LOAD_FAILED = 2;
export const LOAD_OPEN = 3;
/** How long the message that is longest on its way has been, µs, at the last look. */
export const LOAD_OLDEST = 4;
const BUCKETS_FROM = 8;
/** Buckets double every so many: the error of a percentile is at most 9 %. */
const PER_OCTAVE = 8;
/** Up to 2^24 µs. */
const BUCKETS = 24 * PER_OCTAVE;
const BLOCK = BUCKETS_FROM + BUCKETS;

export function createLoadState(cores: number): SharedArrayBuffer {
  return new SharedArrayBuffer(cores * BLOCK * 8);
}

/** One core's block. */
export function loadBlock(state: SharedArrayBuffer, core: number): Float64Array {
  return new Float64Array(state, core * BLOCK * 8, BLOCK);
}

/** Index in a block of the bucket for a round trip of `micros` µs. */
export function bucketOf(micros: number): number {
  const bucket = Math.ceil(Math.log2(Math.max(micros, 1)) * PER_OCTAVE);
  return BUCKETS_FROM + Math.min(bucket, BUCKETS - 1);
}

export function readLoad(state: SharedArrayBuffer): LoadSnapshot {
  const cores = state.byteLength / (BLOCK * 8);
  const total = new Float64Array(BLOCK);
  let oldest = 0;
  for (let core = 0; core < cores; core++) {
    const block = loadBlock(state, core);
    block.forEach((value, i) => (total[i] += value));
    oldest = Math.max(oldest, block[LOAD_OLDEST]);
  }
  const roundTrips: [number, number][] = [];
  for (let i = 0; i < BUCKETS; i++) {
    const count = total[BUCKETS_FROM + i];
    if (count > 0) roundTrips.push([2 ** (i / PER_OCTAVE), count]);
  }
  return {
    messages: total[LOAD_MESSAGES],
    opened: total[LOAD_OPENED],
    failed: total[LOAD_FAILED],
    open: total[LOAD_OPEN],
    oldest,
    roundTrips,
  };
}
