/**
 * The event array: what the kernel tells the application, one 32-byte descriptor each, rewritten by
 * every poll. It never overflows: whoever may push asks `eventRoom` first and waits otherwise.
 */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_D,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  CALL_SIZE,
  CNT_EVENTS,
  CORE_EVENTS,
  CORE_EVENT_CAPACITY,
  CORE_EVENT_COUNT,
} from "../abi";
import { coreBlock } from "../core/config";
import { countBy } from "../core/counters";

let base: u32 = 0;
let end: u32 = 0;
let next: u32 = 0;
let reserved: u32 = 0;

export function bindEvents(): void {
  base = load<u32>(coreBlock + CORE_EVENTS);
  end = base + load<u32>(coreBlock + CORE_EVENT_CAPACITY) * CALL_SIZE;
  next = base;
  reserved = 0;
}

/** Forgets the events of the last poll, which the application has seen. */
export function resetEvents(): void {
  next = base;
}

/** Publishes the number of events to the application and returns it. */
export function finishEvents(): u32 {
  const events = (next - base) / CALL_SIZE;
  store<u32>(coreBlock + CORE_EVENT_COUNT, events);
  if (events != 0) countBy(CNT_EVENTS, events);
  return events;
}

/** How many more events fit. */
export function eventRoom(): u32 {
  return (end - next) / CALL_SIZE;
}

/**
 * Keeps room for events that cannot wait: the knock or connected of each of `packets` segments. Those
 * that can wait ask `hasSpareRoom` meanwhile.
 */
export function reserveEvents(packets: u32): void {
  reserved = packets;
}

/** True when an event fits that may as well be told later. */
export function hasSpareRoom(): bool {
  return eventRoom() > reserved + 4;
}

/** Address of the event pushed last in this poll; 0 when there is none. */
export function lastEvent(): u32 {
  return next == base ? 0 : next - CALL_SIZE;
}

/** Appends an event with up to two values and returns its address. */
export function pushEvent(op: u32, handle: u32, cookie: u32, result: u32, a: u32, b: u32): u32 {
  const event = next;
  assert(event < end);
  store<u32>(event, op, CALL_OP);
  store<u32>(event, handle, CALL_HANDLE);
  store<u32>(event, cookie, CALL_COOKIE);
  store<u32>(event, result, CALL_RESULT);
  store<u32>(event, a, CALL_A);
  store<u32>(event, b, CALL_B);
  next = event + CALL_SIZE;
  return event;
}

/** Sets the third and fourth value of an event. */
export function extendEvent(event: u32, c: u32, d: u32): void {
  store<u32>(event, c, CALL_C);
  store<u32>(event, d, CALL_D);
}
