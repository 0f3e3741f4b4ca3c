/**
 * The hierarchical timing wheel of IX (Varghese and Lauck, scheme 7): 3 wheels of 256 slots, 16 µs,
 * 4.096 ms and 1.049 s wide, 268 s in all. Adding and cancelling is O(1); a bitmap per wheel makes
 * empty slots free to skip and the next deadline cheap to find.
 *
 * A slot is the head of a circular doubly linked list; a timer is a 16-byte record inside its owner.
 * Expiry rounds up to the next 16 µs tick, so a timer never fires early. Longer delays than the wheel
 * spans fire at its end: owners check their own deadline.
 */
import { CORE_WHEEL, GAUGE_TIMERS } from "../abi";
import { coreBlock } from "../core/config";
import { gauge } from "../core/counters";
import { STATE_WHEEL } from "../core/state";
import { now } from "./clock";

/** A timer; all zero while not pending, but for `kind`. */
@final
@unmanaged
export class Timer {
  next: u32;
  prev: u32;
  /** Tick of expiry, 16 µs each, modulo 2^28. */
  tick: u32;
  /** Whose record this is part of, `TIMER_*`; the three bytes behind it are the owner's. */
  kind: u8;
}

/** Odd kinds belong to connections and user timers, which GAUGE_TIMERS counts. */
export const TIMER_TCP: u32 = 1;
export const TIMER_NEIGHBOUR: u32 = 2;
export const TIMER_USER: u32 = 3;
export const TIMER_FRAGMENTS: u32 = 4;
export const TIMER_INTERFACE: u32 = 6;
export const TIMER_GROUPS: u32 = 8;

const TICK_BITS: u32 = 4;
const TICK_MASK: u32 = 0x0fffffff;
/** Longest delay in ticks: one slot of the outer wheel less than its round. */
const MAX_TICKS: u32 = 0xff0000;
const SLOT_SIZE: u32 = 8;
const BITMAP: u32 = 3 * 256 * SLOT_SIZE;
const WHEEL_BITMAP_SIZE: u32 = 32;

/** Address of the slots; the bitmaps of the three wheels lie behind them. */
let base: u32 = 0;
/** Where the wheel stands; in the core's control block. */
@final
@unmanaged
class Position {
  /** The tick whose slot was emptied last. */
  current: u32;
  /** Timers on the wheel. */
  pending: u32;
}

let position = changetype<Position>(0);

/** Binds this instance to the core's wheel. */
export function bindWheel(): void {
  base = load<u32>(coreBlock + CORE_WHEEL);
  position = changetype<Position>(coreBlock + STATE_WHEEL);
}

/** Makes an empty wheel that stands at the current time. */
export function prepareWheel(): void {
  for (let slot: u32 = 0; slot < 768; slot++) {
    const head = base + slot * SLOT_SIZE;
    store<u32>(head, head);
    store<u32>(head + 4, head);
  }
  memory.fill(base + BITMAP, 0, 3 * WHEEL_BITMAP_SIZE);
  position.current = now >> TICK_BITS;
  position.pending = 0;
}

export function isPending(timer: Timer): bool {
  return timer.next != 0;
}

/** Arms an idle timer for instant `at` (µs). */
export function addTimer(timer: Timer, at: u32): void {
  // An empty wheel was not turned while nobody polled; instants far behind it would compare wrongly.
  if (position.pending == 0) position.current = now >> TICK_BITS;
  position.pending++;
  gauge(GAUGE_TIMERS, timer.kind & 1);
  // Relative to the wheel's own position, which may lag behind the clock while it is being run.
  const delay = i32(at - (position.current << TICK_BITS));
  let ticks: u32 = delay <= 0 ? 1 : (u32(delay) + 15) >> TICK_BITS;
  if (ticks == 0) ticks = 1;
  if (ticks > MAX_TICKS) ticks = MAX_TICKS;
  timer.tick = (position.current + ticks) & TICK_MASK;
  insert(timer, ticks);
}

/** Disarms a timer; idle ones are left alone. */
export function cancelTimer(timer: Timer): void {
  if (timer.next == 0) return;
  unlink(timer);
  position.pending--;
  gauge(GAUGE_TIMERS, -i32(timer.kind & 1));
}

/**
 * The next timer that has expired, taken off the wheel, or null when none is left. Timers armed
 * meanwhile expire on a later tick, so the caller's loop ends.
 */
export function takeExpired(): Timer | null {
  const target = (now >> TICK_BITS) & TICK_MASK;
  while (true) {
    const head = slotAddress(0, position.current & 255);
    const first = load<u32>(head);
    if (first != head) {
      const timer = changetype<Timer>(first);
      unlink(timer);
      position.pending--;
      gauge(GAUGE_TIMERS, -i32(timer.kind & 1));
      return timer;
    }
    const distance = (target - position.current) & TICK_MASK;
    // A target behind the wheel (time stood still or went back) shows as a huge distance.
    if (distance == 0 || distance > TICK_MASK >> 1) return null;
    if (position.pending == 0) {
      position.current = target;
      return null;
    }
    advance(distance);
  }
}

/** True when a timer is pending; `nextDeadline` then says when. */
export function hasDeadline(): bool {
  return position.pending != 0;
}

/** An instant (µs) at or before which nothing expires; to be asked only with a timer pending. */
export function nextDeadline(): u32 {
  let ticks = nextOccupied(0, position.current & 255);
  const inBlock = 256 - (position.current & 255);
  const middle = nextOccupied(1, (position.current >> 8) & 255);
  if (middle != u32.MAX_VALUE) ticks = min<u32>(ticks, ((middle - 1) << 8) + inBlock);
  const outer = nextOccupied(2, (position.current >> 16) & 255);
  if (outer != u32.MAX_VALUE) {
    ticks = min<u32>(ticks, ((outer - 1) << 16) + (0x10000 - (position.current & 0xffff)));
  }
  return (position.current + ticks) << TICK_BITS;
}

function slotAddress(wheel: u32, slot: u32): u32 {
  return base + ((wheel << 8) + slot) * SLOT_SIZE;
}

/** Puts a timer `ticks` ahead into the wheel whose slots are fine enough for it. */
function insert(timer: Timer, ticks: u32): void {
  // 0 below 256 ticks, 1 below 65536, else 2.
  const wheel: u32 = (31 - clz<u32>(ticks | 1)) >> 3;
  const slot = (timer.tick >> (wheel << 3)) & 255;
  const head = slotAddress(wheel, slot);
  const last = load<u32>(head + 4);
  timer.next = head;
  timer.prev = last;
  store<u32>(last, changetype<u32>(timer));
  store<u32>(head + 4, changetype<u32>(timer));
  const word = bitmapWord(wheel, slot);
  store<u32>(word, load<u32>(word) | (1 << (slot & 31)));
}

function unlink(timer: Timer): void {
  store<u32>(timer.prev, timer.next);
  store<u32>(timer.next + 4, timer.prev);
  // The neighbours in the list are the slot's head twice when this was its only timer.
  if (timer.next == timer.prev) {
    const index = (timer.next - base) / SLOT_SIZE;
    if (index < 768 && timer.next >= base) {
      const word = bitmapWord(index >> 8, index & 255);
      store<u32>(word, load<u32>(word) & ~(1 << (index & 31)));
    }
  }
  timer.next = 0;
  timer.prev = 0;
}

function bitmapWord(wheel: u32, slot: u32): u32 {
  return base + BITMAP + wheel * WHEEL_BITMAP_SIZE + (slot >> 5) * 4;
}

/** Steps towards `distance` ticks ahead: to the next occupied slot or the end of the block. */
function advance(distance: u32): void {
  const inBlock = 256 - (position.current & 255);
  const step = min<u32>(min<u32>(nextOccupied(0, position.current & 255), inBlock), distance);
  position.current = (position.current + step) & TICK_MASK;
  if (step == inBlock) {
    if ((position.current & 0xffff) == 0) cascade(2, (position.current >> 16) & 255);
    cascade(1, (position.current >> 8) & 255);
  }
}

/** Spreads a coarse slot, whose time has come, over the finer wheels. */
function cascade(wheel: u32, slot: u32): void {
  const head = slotAddress(wheel, slot);
  let at = load<u32>(head);
  store<u32>(head, head);
  store<u32>(head + 4, head);
  const word = bitmapWord(wheel, slot);
  store<u32>(word, load<u32>(word) & ~(1 << (slot & 31)));
  while (at != head) {
    const timer = changetype<Timer>(at);
    at = timer.next;
    insert(timer, (timer.tick - position.current) & TICK_MASK);
  }
}

/** Slots from `slot` (exclusive) to the next occupied one, 1 to 256; u32.MAX_VALUE when none. */
function nextOccupied(wheel: u32, slot: u32): u32 {
  const words = base + BITMAP + wheel * WHEEL_BITMAP_SIZE;
  const start = (slot + 1) & 255;
  let index = start >> 5;
  let bits = load<u32>(words + (index << 2)) & (u32.MAX_VALUE << (start & 31));
  for (let scanned = 0; scanned < 9; scanned++) {
    if (bits != 0) {
      const found = (index << 5) + ctz<u32>(bits);
      return ((found - start) & 255) + 1;
    }
    index = (index + 1) & 7;
    bits = load<u32>(words + (index << 2));
  }
  return u32.MAX_VALUE;
}
