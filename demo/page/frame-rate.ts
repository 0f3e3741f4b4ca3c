/**
 * How well the page keeps up, for who measures it: frames a second, as attributes of the document's
 * element (`data-fps`), beside what the run does meanwhile (`data-messages`).
 */
import type { Snapshot } from "../engine/messages.ts";

export class FrameRate {
  #frames = 0;
  #since = performance.now();
  #messages = 0;

  take({ totals }: Snapshot): void {
    this.#messages = totals.messages;
  }

  /** Counts a frame drawn at `wall`, ms. */
  count(wall: number): void {
    this.#frames++;
    if (wall - this.#since < 1000) return;
    const { dataset } = document.documentElement;
    dataset.fps = ((1000 * this.#frames) / (wall - this.#since)).toFixed(1);
    dataset.messages = String(Math.round(this.#messages));
    this.#frames = 0;
    this.#since = wall;
  }
}
