/** The words of a line, apart by spaces, as places in memory. */

/** As many as memcached tells apart; what follows is one more. */
const MAX = 24;
const SPACE = 0x20;

export class Tokens {
  count = 0;
  readonly start = new Float64Array(MAX);
  readonly end = new Float64Array(MAX);
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  split(from: number, to: number): void {
    const bytes = this.#bytes;
    let count = 0;
    let at = from;
    while (count < MAX) {
      while (at < to && bytes[at] === SPACE) at++;
      if (at === to) break;
      this.start[count] = at;
      while (at < to && bytes[at] !== SPACE) at++;
      this.end[count++] = at;
    }
    this.count = count;
  }

  length(index: number): number {
    return this.end[index] - this.start[index];
  }

  /** A word as a string; for those that are not data. */
  text(index: number): string {
    if (index >= this.count) return "";
    let text = "";
    const end = Math.min(this.end[index], this.start[index] + 32);
    for (let at = this.start[index]; at < end; at++) text += String.fromCharCode(this.#bytes[at]);
    return text;
  }
}
