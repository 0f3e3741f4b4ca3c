/** Percentiles of round-trip times that an application has left in a ring of shared memory. */
import { build } from "hdr-histogram-js";

/** Median and 99th percentile, µs, of the first `count` nanosecond values in the ring. */
export function percentiles(
  samples: SharedArrayBuffer,
  count: number,
): { p50_us: number; p99_us: number } {
  const ring = new Uint32Array(samples);
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 2 ** 32 });
  for (let i = 0; i < Math.min(count, ring.length); i++) histogram.recordValue(ring[i]);
  return {
    p50_us: histogram.getValueAtPercentile(50) / 1000,
    p99_us: histogram.getValueAtPercentile(99) / 1000,
  };
}
