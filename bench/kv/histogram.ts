/**
 * Latencies in cells that every load generator counts in the same way, and what HdrHistogram makes of them. A
 * cell is a value's seven bits below its first: 1 % wide. Values are nanoseconds.
 */
import { build } from "hdr-histogram-js";

const STEP_BITS = 7;
const STEPS = 1 << STEP_BITS;
/** Cells for values below 2^31. */
export const CELLS = (31 - STEP_BITS + 1) * STEPS;
const LONGEST = 2 ** 31 - 1;

/** The cell of a value. */
export function cellOf(nanoseconds: number): number {
  const value = Math.min(Math.max(nanoseconds, 0), LONGEST) | 0;
  if (value < 2 * STEPS) return value;
  const scale = 31 - Math.clz32(value) - STEP_BITS;
  return scale * STEPS + (value >>> scale);
}

/** The middle of a cell. */
function valueOf(cell: number): number {
  if (cell < 2 * STEPS) return cell;
  const scale = Math.floor(cell / STEPS) - 1;
  return (cell - scale * STEPS + 0.5) * 2 ** scale;
}

export interface Latency {
  readonly avg_us: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
}

export function latencyOf(cells: ArrayLike<number>): Latency {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 2 ** 32 });
  for (let cell = 0; cell < cells.length; cell++) {
    if (cells[cell] > 0) histogram.recordValueWithCount(Math.round(valueOf(cell)), cells[cell]);
  }
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000;
  return { avg_us: histogram.mean / 1000, p50_us: at(50), p99_us: at(99), p999_us: at(99.9) };
}
