/**
 * The window curve of CUBIC (RFC 9438 section 4.2) in integers: bytes, µs, and C = 0.4 segments/s³.
 * Nothing here has state, and no loop depends on its argument.
 */

/** Further away from K than this the curve is cut off; C × (134 s)³ is beyond any window. */
const DISTANCE_MAX: u32 = 1 << 27;

/** Floor of the cube root, bit by bit (Warren, Hacker's Delight, section 11-2). */
export function cubeRoot(value: u64): u64 {
  let rest = value;
  let root: u64 = 0;
  for (let shift = 63; shift >= 0; shift -= 3) {
    root <<= 1;
    const step = 3 * root * (root + 1) + 1;
    if (rest >> shift >= step) {
      rest -= step << shift;
      root++;
    }
  }
  return root;
}

/**
 * K, µs: how long the window takes to grow by `below` bytes, up to W_max (figure 2).
 *
 * @param below W_max less the window at the epoch's start, below 2^30
 */
export function cubicK(below: u32, mss: u32): u32 {
  // ms³; moved up by a multiple of three bits, so that the root has 21 bits of precision.
  const cube = (u64(below) * 2_500_000_000) / u64(mss);
  if (cube == 0) return 0;
  const shift = u64(clz<u64>(cube) / 3);
  return u32((cubeRoot(cube << (shift * 3)) * 1000) >> shift);
}

/**
 * W_cubic(t) in bytes (figure 1).
 *
 * @param elapsed t, µs since the epoch's start
 * @param k µs
 * @param wMax bytes
 */
export function cubicWindow(elapsed: u32, k: u32, wMax: u32, mss: u32): u32 {
  const convex: bool = elapsed >= k;
  const distance = u64(min<u32>(convex ? elapsed - k : k - elapsed, DISTANCE_MAX));
  const cube = (((distance * distance) / 1_000_000) * distance) / 1_000_000;
  const offset = (cube * u64(mss) * 4) / 10_000_000;
  if (convex) return u32(min<u64>(u64(wMax) + offset, 0x7fffffff));
  return offset < u64(wMax) ? u32(u64(wMax) - offset) : 0;
}
