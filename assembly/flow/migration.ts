/**
 * Moving flow groups between cores, as one step of each poll: groups leave (departure.ts) and arrive
 * (arrival.ts). A core with neither looks at a few words and goes on.
 */
import { arrivalWaits, arrive, bindArrival, isArriving, isSettled } from "./arrival";
import { bindDeparture, depart, departureWaits, isDeparting } from "./departure";
import { bindStock } from "./stock";

/** Binds this instance to the core. */
export function bindMigration(): void {
  bindDeparture();
  bindStock();
  bindArrival();
}

/** Does the next bounded part of whatever moves. Returns how much was done. */
export function migrate(): u32 {
  let done: u32 = 0;
  if (isArriving()) done += arrive();
  if (isDeparting()) done += depart(isSettled());
  return done;
}

/** True when the next poll must come soon although nothing announces it. */
export function migrationWaits(): bool {
  return departureWaits() || arrivalWaits();
}
