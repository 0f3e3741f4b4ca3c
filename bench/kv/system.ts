/** What the kv experiment asks of the systems that it compares. */
import type { Latency } from "./histogram.ts";
import type { LoadName } from "./workload.ts";

export interface KvParams {
  readonly load: LoadName;
  readonly conns: number;
  /** Requests in flight per connection, at most. */
  readonly depth: number;
  /** Offered loads, as parts of the rate at which the system is saturated. */
  readonly fractions: readonly number[];
  /** Length of the measurement of each, s. */
  readonly seconds: number;
  readonly seed: number;
}

/** One offered load, and what came of it. */
export interface KvPoint extends Latency {
  /** Requests a second: offered (0: as many as the connections take), and answered. */
  readonly offered: number;
  readonly achieved: number;
}

export interface KvSystem {
  readonly name: string;
  /** What it is, for the help. */
  readonly description: string;
  /** Why it cannot be measured here, or null. */
  absence(): Promise<string | null>;
  /** The point of saturation, and those of all fractions of it. */
  measure(params: KvParams): Promise<KvPoint[]>;
}

/** Before saturation is measured, and before each load, s: compilers need the first. */
export const WARMUP = 1.5;
export const SETTLE = 0.2;
/** Longest that answers may take after the end of a measurement, s; those that take longer count as this. */
export const DRAIN = 0.5;

/** How long a measurement takes, s. */
export function duration({ fractions, seconds }: KvParams): number {
  return WARMUP + (fractions.length + 1) * (seconds + SETTLE + DRAIN) + 10;
}
