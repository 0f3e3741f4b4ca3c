/**
 * Where time comes from. The kernel only knows the microseconds that it is handed; what they count
 * from is the same on all threads, so that instants may be passed between them.
 */

/** Returns the time in microseconds. */
export type Clock = () => number;

/**
 * Real time since the Unix epoch, on the engine's monotonic clock: it does not follow later changes
 * of the system's time. Threads started at different times agree to about a microsecond.
 */
export function realClock(): Clock {
  const origin = performance.timeOrigin * 1000;
  return () => origin + performance.now() * 1000;
}

/**
 * The instant, in the wide base of `now`, that a u32 modulo 2^32 stands for when it lies less than
 * 2^31 µs away from `now`.
 */
export function widen(instant: number, now: number): number {
  const whole = Math.floor(now);
  return whole + ((instant - (whole % 2 ** 32)) | 0);
}
