/**
 * The loop of an elastic thread that has a real thread to itself: iterations in bursts, and idling
 * when there have been none but empty ones for a while. The clock is read once per iteration; nothing
 * else here allocates (Node 20's clock makes a number on the heap).
 */
import type { QueueBackend } from "../nic/types.ts";
import type { Clock } from "./clock.ts";
import type { ElasticThread } from "./elastic-thread.ts";
import type { Parking } from "./parking.ts";

export interface IdlePolicy {
  /** "spin" never sleeps; "park" sleeps on the doorbell after `spinIterations` empty iterations. */
  readonly idle: "spin" | "park";
  readonly spinIterations: number;
}

/** Iterations between two looks at the stop flag; also what the engine optimises as one function. */
const BURST = 1024;
/** Shorter sleeps, µs, cost more than they save: waking takes some 40. */
const SHORTEST_SLEEP = 50;
/** Longest wait, µs, where the doorbell cannot end it: how late a stop may be noticed. */
const LONGEST_WAIT = 1000;
/** How long, µs, frames that a link holds back are waited for when a core is given back. */
const LONGEST_LEAVE = 1_000_000;

/**
 * Runs the thread until its core is asked to stop, and to its last frame when the core is to be given
 * back. `takeMessages` is called between iterations when there are messages.
 */
export function runElasticLoop(
  thread: ElasticThread,
  backends: readonly QueueBackend[],
  parking: Parking,
  clock: Clock,
  policy: IdlePolicy,
  takeMessages: () => void,
): void {
  const limit = policy.idle === "park" ? policy.spinIterations : Infinity;
  const external = backends.find((backend) => backend.wait !== undefined);
  let empty = 0;
  while (!parking.stopped) {
    if (parking.takeMessage()) takeMessages();
    empty = burst(thread, clock, empty, limit);
    if (empty < limit) continue;
    const micros = thread.nextDeadline() - clock();
    if (micros >= SHORTEST_SLEEP) {
      if (external) external.wait!(Math.min(micros, LONGEST_WAIT));
      else parking.park(micros);
    }
    // Woken for nothing, the thread goes back to sleep after one empty iteration.
    empty = limit - 1;
  }
  if (parking.isLeaving) leave(thread, clock);
}

/** Lets what the core has sent go out, and gives the core back. */
function leave(thread: ElasticThread, clock: Clock): void {
  const end = clock() + LONGEST_LEAVE;
  do thread.iterate(clock());
  while (!thread.isDrained && clock() < end);
  thread.leave();
}

/**
 * Up to BURST iterations, fewer when `limit` empty ones in a row have been reached. Returns how many
 * empty ones there have been in a row, `empty` before the call included.
 */
function burst(thread: ElasticThread, clock: Clock, empty: number, limit: number): number {
  for (let i = 0; i < BURST; i++) {
    if (thread.iterate(clock()) !== 0) empty = 0;
    else if (++empty >= limit) break;
  }
  return empty;
}
