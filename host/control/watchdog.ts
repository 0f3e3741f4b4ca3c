/**
 * Watches over cores from outside (the paper, section 4.5: a thread that is in user mode for more than
 * 10 ms is marked non-responsive and reported to the control plane). A core shows that it lives by the
 * time of its last poll; whoever runs it feeds that in every few milliseconds. Time is an argument.
 */
import { PHASE_KERNEL } from "../../assembly/abi.ts";

/** A core that does not answer for longer than this, µs, is reported. */
export const UNRESPONSIVE = 10_000;

/**
 * How much of the time between two looks counts, µs. Who has not looked for longer was kept from it, and then
 * perhaps the core was too: the whole machine may have stood still.
 */
const WATCHED = 50_000;

/** What is seen of a core at one time. */
export interface Sighting {
  /** Time of its last poll, µs modulo 2^32. */
  readonly lastPoll: number;
  /** `PHASE_*` */
  readonly phase: number;
  readonly isParked: boolean;
}

/** Something that should not happen on a core. */
export interface Incident {
  /** Name of the dataplane, and index of the core in it. */
  readonly dataplane: string;
  readonly core: number;
  /**
   * "unresponsive": it has not polled for 10 ms; nothing was done. "hung": it has not polled for
   * `hangTimeout`, and its thread was ended. "died": its application or the kernel threw, or its thread
   * ended. "taken over": after either, others own its flow groups. "lost": nobody could take it over.
   */
  readonly what: "unresponsive" | "hung" | "died" | "taken over" | "lost";
  /** Where its thread was: in the application (and what is around it) or in the kernel. */
  readonly where: "application" | "kernel";
  /** How long it had not polled by then, µs. */
  readonly micros: number;
  /** What was thrown, if anything was. */
  readonly error?: unknown;
}

/** What the watchdog says of a core: all is well, or how long it has been silent, µs. */
export interface Silence {
  readonly micros: number;
  readonly where: "application" | "kernel";
  /** It is over the limit for the first time since its last poll. */
  readonly isNews: boolean;
}

export class Watchdog {
  #lastPoll = -1;
  #lookedAt = 0;
  /** How long it has been silent while it was watched, µs. */
  #silent = 0;
  #reported = false;

  /** Looks at the core at `now` (µs). Undefined while it answers, or sleeps. */
  look({ lastPoll, phase, isParked }: Sighting, now: number): Silence | undefined {
    const watched = Math.min(now - this.#lookedAt, WATCHED);
    this.#lookedAt = now;
    if (isParked || lastPoll !== this.#lastPoll) {
      this.#lastPoll = lastPoll;
      this.#silent = 0;
      this.#reported = false;
      return undefined;
    }
    this.#silent += watched;
    const micros = this.#silent;
    if (micros <= UNRESPONSIVE) return undefined;
    const isNews = !this.#reported;
    this.#reported = true;
    return { micros, where: placeOf(phase), isNews };
  }

  /** Forgets what it saw: the core has another thread. */
  reset(): void {
    this.#lastPoll = -1;
  }
}

/** Where a thread is by the phase that its core is in. */
export function placeOf(phase: number): "application" | "kernel" {
  return phase === PHASE_KERNEL ? "kernel" : "application";
}
