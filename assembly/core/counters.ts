/**
 * Counters and gauges in the core's control block. This core is their only writer; whoever reads them
 * from outside may see a value an iteration old.
 */
import { coreBlock } from "./config";

/** Adds one to a `CNT_*` counter. */
export function count(counter: u32): void {
  const cell = coreBlock + counter;
  store<u64>(cell, load<u64>(cell) + 1);
}

/** Adds `amount` to a `CNT_*` counter. */
export function countBy(counter: u32, amount: u32): void {
  const cell = coreBlock + counter;
  store<u64>(cell, load<u64>(cell) + u64(amount));
}

/** Moves a `GAUGE_*` by a signed amount. */
export function gauge(offset: u32, change: i32): void {
  const cell = coreBlock + offset;
  store<i32>(cell, load<i32>(cell) + change);
}
