/** The last things that happened on a test bench, one line each, for the message of a failure. */

const LINES = 40;

export class Log {
  readonly #lines: string[] = [];

  /** @param now µs */
  note(now: number, line: string): void {
    this.#lines.push(`${now} ${line}`);
    if (this.#lines.length > 4 * LINES) this.#lines.splice(0, 2 * LINES);
  }

  text(): string {
    return this.#lines.slice(-LINES).join("\n");
  }
}
