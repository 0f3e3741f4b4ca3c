/**
 * Time is a number of microseconds modulo 2^32, handed in by `poll`. Instants are compared by their
 * distance, which is right while they lie less than 2^31 µs (35 minutes) apart.
 */

/** The instant of the current poll, µs modulo 2^32. */
export let now: u32 = 0;
/** The same instant unreduced, µs. */
export let nowWide: u64 = 0;
/** The same instant in milliseconds, modulo 2^32. */
export let nowMillis: u32 = 0;

export function setNow(micros: f64): void {
  nowWide = u64(micros);
  now = u32(nowWide);
  nowMillis = u32(nowWide / 1000);
}

/** The current poll in seconds. */
export function seconds(): u32 {
  return u32(nowWide / 1_000_000);
}

/** True when instant `a` lies before `b`. */
export function isBefore(a: u32, b: u32): bool {
  return i32(a - b) < 0;
}

/** True when instant `at` has come at the current poll. */
export function isDue(at: u32): bool {
  return i32(now - at) >= 0;
}
