/**
 * Copying a few bytes without the cost of a call into the engine, which is some 50 ns and, on shared
 * memory, slow per byte as well. Long ranges go the usual way.
 */
import type { Ix } from "./ix.ts";

/** Up to here a loop over bytes is faster. */
const FEW = 48;
/** Up to here a loop over words is, and it never is by much beyond. */
const SHORT = 2048;

/** Copies `length` bytes of the linear memory; fast when both addresses are equal modulo 4. */
export function copyWithin(ix: Ix, to: number, from: number, length: number): void {
  const { bytes } = ix;
  const end = from + length;
  if (length > SHORT || ((to ^ from) & 3) !== 0) {
    bytes.copyWithin(to, from, end);
    return;
  }
  for (; (from & 3) !== 0 && from < end; from++) bytes[to++] = bytes[from];
  const { words } = ix;
  const last = (end - 3) >>> 0;
  for (; from < last; from += 4, to += 4) words[to >>> 2] = words[from >>> 2];
  for (; from < end; from++) bytes[to++] = bytes[from];
}

/** Copies `length` bytes from `source`, at `from`, to the linear memory. */
export function copyIn(ix: Ix, to: number, source: Uint8Array, from: number, length: number): void {
  if (length <= FEW) {
    const { bytes } = ix;
    for (let i = 0; i < length; i++) bytes[to + i] = source[from + i];
  } else {
    ix.bytes.set(length === source.length ? source : source.subarray(from, from + length), to);
  }
}

/** Copies `length` bytes of the linear memory to `target`, at `to`. */
export function copyOut(
  ix: Ix,
  target: Uint8Array,
  to: number,
  from: number,
  length: number,
): void {
  if (length <= FEW) {
    const { bytes } = ix;
    for (let i = 0; i < length; i++) target[to + i] = bytes[from + i];
  } else {
    target.set(ix.bytes.subarray(from, from + length), to);
  }
}
