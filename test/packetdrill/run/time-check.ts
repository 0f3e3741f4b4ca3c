/** When events are due, and how far from it they may be (packetdrill's tolerances). */
import type { EventTime } from "../language/script.ts";
import type { Settings } from "./settings.ts";

/** Part of the time between two events that timing may be off, by dialect. */
const PERCENT = { google: 12.5, nplab: 5 } as const;

export interface Due {
  readonly from: number;
  readonly to: number;
}

/** The window of an event in script time; undefined when any time will do. */
export function dueOf(time: EventTime, now: number): Due | undefined {
  if (time.kind === "any") return undefined;
  const base = time.kind === "relative" ? now : 0;
  return { from: base + time.from, to: base + time.to };
}

/** µs that an event `distance` µs after the one before it may be early or late. */
export function toleranceOf(settings: Settings, distance: number): number {
  const percent = settings.tolerancePercent ?? PERCENT[settings.dialect];
  return Math.max(settings.toleranceMicros, (percent / 100) * Math.max(distance, 0));
}

/** What is wrong with the time `actual`, or undefined. */
export function timeMismatch(due: Due, actual: number, tolerance: number): string | undefined {
  if (actual >= due.from - tolerance && actual <= due.to + tolerance) return undefined;
  const seconds = (micros: number): string => (micros / 1_000_000).toFixed(6);
  const expected =
    due.from === due.to ? seconds(due.from) : `${seconds(due.from)}~${seconds(due.to)}`;
  return `timing: expected at ${expected} but happened at ${seconds(actual)}`;
}
