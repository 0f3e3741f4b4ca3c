/** The application's own timers, as what drives a network's time sees them. */

/** Times in µs of the network's clock. */
export interface AppTimers {
  /** When the next timer is due; Infinity: there is none. */
  nextDeadline(): number;
  /**
   * Time has come to `now`: runs what is due, or the first of it, when the next deadline is not over
   * then. True when something may have run.
   */
  advanceTo(now: number): boolean;
  /** Puts back what was replaced. */
  restore?(): void;
}

/** Fake timers that can be told how much time passes, and not asked when they are due. */
export interface FakeTimers {
  /** Lets so many milliseconds pass, running what is due. */
  advance(milliseconds: number): void;
  /** How many timers wait, where that is known. While none do, time may pass in one step. */
  count?(): number;
}

/**
 * Drives fake timers a millisecond at a time, which is as fine as timers are. vitest's are
 *
 *   fakeTimers({ advance: (ms) => vi.advanceTimersByTime(ms), count: () => vi.getTimerCount() })
 *
 * and those of node:test `fakeTimers({ advance: (ms) => mock.timers.tick(ms) })`. What faked them puts
 * the real ones back.
 */
export function fakeTimers({ advance, count = () => 1 }: FakeTimers): AppTimers {
  let passed = 0;
  return {
    nextDeadline: () => (count() === 0 ? Infinity : (passed + 1) * 1000),
    advanceTo(now) {
      const milliseconds = Math.floor(now / 1000) - passed;
      if (milliseconds <= 0) return false;
      passed += milliseconds;
      advance(milliseconds);
      return true;
    },
  };
}
