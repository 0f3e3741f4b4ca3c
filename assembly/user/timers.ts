/**
 * Timers of the application: one-shot, told by a `timer` event.
 */
import {
  CORE_USER_TIMERS,
  CORE_USER_TIMER_COUNT,
  EV_TIMER,
  HANDLE_INDEX_MASK,
  RC_BADH,
  RC_INVAL,
  RC_NOMEM,
  RC_OK,
  USER_TIMER_SIZE,
} from "../abi";
import { coreBlock } from "../core/config";
import { STATE_USER_TIMERS } from "../core/state";
import { isDue, now } from "../time/clock";
import { firstHandle, KIND_TIMER, nextHandle } from "../mem/handles";
import { addTimer, cancelTimer, isPending, Timer, TIMER_USER } from "../time/wheel";
import { pushEvent } from "./events";

/** USER_TIMER_SIZE bytes. */
@final
@unmanaged
class UserTimer {
  timerNext: u32;
  timerPrev: u32;
  timerTick: u32;
  timerKind: u32;
  handle: u32;
  cookie: u32;
  nextFree: u32;
  /** When it is to fire, µs: the wheel may be early with long delays. */
  due: u32;
}

/** Delays beyond the wheel's range are refused rather than shortened. */
const DELAY_MAX: u32 = 256_000_000;

let table: u32 = 0;
let entries: u32 = 0;
/** Free timers of this core; in its control block. */
@final
@unmanaged
class TimerPool {
  /** A list, and the index of the first that was never used. */
  freeList: u32;
  fresh: u32;
}

let pool = changetype<TimerPool>(0);

/** Handle that `setTimer` gave out last. */
export let timerHandle: u32 = 0;

/** Binds this instance to the core's timers. */
export function bindUserTimers(): void {
  pool = changetype<TimerPool>(coreBlock + STATE_USER_TIMERS);
  table = load<u32>(coreBlock + CORE_USER_TIMERS);
  entries = load<u32>(coreBlock + CORE_USER_TIMER_COUNT);
}

/** Forgets all timers of a lost thread's application; the wheel is empty. */
export function abandonUserTimers(): void {
  pool.freeList = 0;
  pool.fresh = 0;
  memory.fill(table, 0, entries * USER_TIMER_SIZE);
}

/** Arms a timer to fire after `delay` µs. The handle is left in `timerHandle`. */
export function setTimer(delay: u32, cookie: u32): i32 {
  if (delay > DELAY_MAX) return RC_INVAL;
  let timer = changetype<UserTimer>(pool.freeList);
  if (pool.freeList != 0) {
    pool.freeList = timer.nextFree;
  } else {
    if (pool.fresh == entries) return RC_NOMEM;
    timer = entry(pool.fresh);
    timer.handle = firstHandle(KIND_TIMER, pool.fresh);
    timer.timerKind = TIMER_USER;
    pool.fresh++;
  }
  timer.handle = nextHandle(timer.handle);
  timer.cookie = cookie;
  timer.due = now + delay;
  addTimer(changetype<Timer>(timer), timer.due);
  timerHandle = timer.handle;
  return RC_OK;
}

/** Disarms a timer that has not fired. */
export function cancelUserTimer(handle: u32): i32 {
  const index = handle & HANDLE_INDEX_MASK;
  if (index >= pool.fresh) return RC_BADH;
  const timer = entry(index);
  if (timer.handle != handle || !isPending(changetype<Timer>(timer))) return RC_BADH;
  cancelTimer(changetype<Timer>(timer));
  free(timer);
  return RC_OK;
}

/** Disarms all timers of this core. */
export function cancelUserTimers(): void {
  for (let index: u32 = 0; index < pool.fresh; index++) {
    const timer = entry(index);
    if (!isPending(changetype<Timer>(timer))) continue;
    cancelTimer(changetype<Timer>(timer));
    free(timer);
  }
}

/** The wheel's upcall; the event array has room. */
export function userTimer(expired: Timer): void {
  const timer = changetype<UserTimer>(expired);
  if (!isDue(timer.due)) {
    addTimer(expired, timer.due);
    return;
  }
  pushEvent(EV_TIMER, timer.handle, timer.cookie, 0, 0, 0);
  free(timer);
}

function free(timer: UserTimer): void {
  timer.nextFree = pool.freeList;
  pool.freeList = changetype<u32>(timer);
}

function entry(index: u32): UserTimer {
  return changetype<UserTimer>(table + index * USER_TIMER_SIZE);
}
