/**
 * Idling on TAP queues. A thread sleeps on all of its queues together, whichever of them it was asked
 * to wait for, since a frame in any of them is work for it.
 */
import { libc, POLLIN, POLLOUT } from "./tap-libc.ts";

/** A queue that can be waited for. */
export interface Pollable {
  readonly fd: number;
  /** Frames that Linux sends can be taken: there is a frame to put them in. */
  readonly wantsToReceive: boolean;
  /** Frames are held back because Linux would not take them. */
  readonly wantsToSend: boolean;
}

/** struct pollfd: i32 fd, i16 events, i16 results. */
const POLLFD_SIZE = 8;
/** struct timespec, two i64, before the first struct pollfd. */
const TIMESPEC_SIZE = 16;

const queues: Pollable[] = [];
/** At least a page, so that the engine keeps it where it is: its address is taken once. */
let bytes = new Uint8Array(4096);
let view = new DataView(bytes.buffer);
let address = 0;

/** Adds a queue to those that this thread waits for. */
export function watch(queue: Pollable): void {
  queues.push(queue);
  const needed = TIMESPEC_SIZE + queues.length * POLLFD_SIZE;
  if (needed > bytes.length) {
    bytes = new Uint8Array(2 * needed);
    view = new DataView(bytes.buffer);
  }
  address = libc().address(bytes);
}

export function unwatch(queue: Pollable): void {
  const index = queues.indexOf(queue);
  if (index >= 0) queues.splice(index, 1);
}

/**
 * Blocks this thread until a watched queue has work, or for `micros` µs. Never call it on a thread
 * whose event loop must go on turning.
 */
export function sleep(micros: number): void {
  const seconds = Math.floor(micros / 1e6);
  view.setUint32(0, seconds, true);
  view.setUint32(8, Math.floor((micros - seconds * 1e6) * 1e3), true);
  for (let i = 0; i < queues.length; i++) {
    const queue = queues[i];
    const at = TIMESPEC_SIZE + i * POLLFD_SIZE;
    const events = (queue.wantsToReceive ? POLLIN : 0) | (queue.wantsToSend ? POLLOUT : 0);
    // A negative descriptor is skipped; an interface that is gone would else wake us for ever.
    view.setInt32(at, events === 0 ? -1 : queue.fd, true);
    view.setInt16(at + 4, events, true);
  }
  libc().ppoll(address + TIMESPEC_SIZE, queues.length, address, 0);
}
