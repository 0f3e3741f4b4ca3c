/**
 * Sequence numbers live on a circle of 2^32 (RFC 9293 section 3.4). They are compared by these
 * functions only; in [a, b) and friends the first number is `a`.
 */

/** a < b: a lies before b. */
export function seqBefore(a: u32, b: u32): bool {
  return i32(a - b) < 0;
}

/** a <= b. */
export function seqBeforeEq(a: u32, b: u32): bool {
  return i32(a - b) <= 0;
}

/** a > b: a lies after b. */
export function seqAfter(a: u32, b: u32): bool {
  return i32(a - b) > 0;
}

/** a >= b. */
export function seqAfterEq(a: u32, b: u32): bool {
  return i32(a - b) >= 0;
}

/** The later of two. */
export function seqMax(a: u32, b: u32): u32 {
  return i32(a - b) >= 0 ? a : b;
}

/** The earlier of two. */
export function seqMin(a: u32, b: u32): u32 {
  return i32(a - b) <= 0 ? a : b;
}
