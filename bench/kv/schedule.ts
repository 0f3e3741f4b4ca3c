/**
 * When requests are due, and what is measured of their answers: saturation first, with a request always due, then
 * loads that are parts of the rate found there. A load is offered for a while before it is measured and until
 * the last request of the measurement is answered, so that none is left out for being slow.
 */
import type { Random } from "../lib/random.ts";
import { cellOf, CELLS } from "./histogram.ts";
import { DRAIN, SETTLE, WARMUP, type KvParams } from "./system.ts";

export interface KvClientOptions extends KvParams {
  readonly server: string;
  readonly port: number;
  /** Where the results are kept: RESULT_WORDS float64 words for each load, and one in front, DONE at the end. */
  readonly results: SharedArrayBuffer;
}

/** Of a load: offered, answered, seconds, and the cells of the histogram. */
export const RESULT_OFFERED = 0;
export const RESULT_ANSWERED = 1;
export const RESULT_SECONDS = 2;
export const RESULT_CELLS = 3;
export const RESULT_WORDS = RESULT_CELLS + CELLS;
export const DONE = 1;

export class Schedule {
  readonly #options: KvClientOptions;
  readonly #random: Random;
  /** The results of the present load. */
  #result: Float64Array;
  /** 0: saturation, then the fractions; -1 before. */
  #phase = -1;
  /** Requests a µs; 0: as many as the connections take. */
  #rate = 0;
  #saturation = 0;
  /** µs: when the measurement begins and ends, and when the next request is due. */
  #begin = 0;
  #end = 0;
  #next = 0;
  /** Requests due in the measurement, and those answered of them. */
  #due = 0;
  #answered = 0;

  constructor(options: KvClientOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#result = this.#resultOf(0);
  }

  /** Goes over to the next load when the present one is measured. */
  advance(now: number): void {
    if (this.#phase >= 0 && !this.#isOver(now)) return;
    if (this.#phase >= 0) this.#finish();
    if (this.#phase === this.#options.fractions.length) {
      this.#begin = this.#end = Infinity;
      this.#next = Infinity;
      Atomics.store(new Int32Array(this.#options.results, 0, 1), 0, DONE);
      return;
    }
    this.#phase++;
    const { fractions, seconds } = this.#options;
    this.#rate = this.#phase === 0 ? 0 : fractions[this.#phase - 1] * this.#saturation;
    this.#result = this.#resultOf(this.#phase);
    this.#result[RESULT_OFFERED] = this.#rate * 1e6;
    this.#begin = now + (this.#phase === 0 ? WARMUP : SETTLE) * 1e6;
    this.#end = this.#begin + seconds * 1e6;
    this.#next = now;
    this.#due = this.#answered = 0;
  }

  hasDue(now: number): boolean {
    return this.#rate === 0 ? this.#next !== Infinity : this.#next <= now;
  }

  /** When the next request was due, µs. */
  takeDue(now: number): number {
    const due = this.#rate === 0 ? now : this.#next;
    if (this.#rate !== 0) this.#next -= Math.log(1 - this.#random.uniform()) / this.#rate;
    if (due >= this.#begin && due < this.#end) this.#due++;
    return due;
  }

  answered(due: number, now: number): void {
    if (now >= this.#begin && now < this.#end) this.#result[RESULT_ANSWERED]++;
    if (due < this.#begin || due >= this.#end) return;
    this.#answered++;
    this.#result[RESULT_CELLS + cellOf((now - due) * 1000)]++;
  }

  #isOver(now: number): boolean {
    // Those due in the measurement have all been begun when one is due that is not.
    const begun = this.#rate === 0 || this.#next >= this.#end;
    if (now >= this.#end && begun && this.#answered === this.#due) return true;
    return now >= this.#end + DRAIN * 1e6;
  }

  #finish(): void {
    const { seconds } = this.#options;
    this.#result[RESULT_SECONDS] = seconds;
    if (this.#phase === 0) this.#saturation = this.#result[RESULT_ANSWERED] / seconds / 1e6;
    // What has not been answered, or not even begun, took as long as was waited for it.
    let lost = this.#due - this.#answered;
    for (; this.#rate !== 0 && this.#next < this.#end; lost++) {
      this.#next -= Math.log(1 - this.#random.uniform()) / this.#rate;
    }
    this.#result[RESULT_CELLS + cellOf(DRAIN * 1e9)] += lost;
  }

  #resultOf(phase: number): Float64Array {
    return new Float64Array(this.#options.results, 8 * (1 + phase * RESULT_WORDS), RESULT_WORDS);
  }
}
