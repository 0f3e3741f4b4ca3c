/** Says when a socket has had no activity for a time: once, and again only after some. */
import { checkDuration } from "./errors.ts";

export class IdleTimer {
  #timer: NodeJS.Timeout | undefined;
  readonly #expired: () => void;

  constructor(expired: () => void) {
    this.#expired = expired;
  }

  /** Begins anew with this duration, 0 for none. Throws what node:net does for what is none. */
  set(milliseconds: number): void {
    const checked = checkDuration(milliseconds);
    this.stop();
    if (checked === 0) return;
    this.#timer = setTimeout(this.#expired, checked);
    this.#timer.unref();
  }

  /** There was activity. */
  touch(): void {
    this.#timer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
