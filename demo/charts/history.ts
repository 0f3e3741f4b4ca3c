/** The last samples of some numbers over the engine's clock: columns, as the charts want them. */

export class History {
  readonly #columns: (number | null)[][];
  readonly #most: number;

  /** @param series how many numbers a sample has @param most samples that are kept */
  constructor(series: number, most: number) {
    this.#columns = Array.from({ length: series + 1 }, () => []);
    this.#most = most;
  }

  /** @param at s of the engine's clock; an earlier one than before begins anew */
  add(at: number, sample: readonly (number | null)[]): void {
    const [times, ...columns] = this.#columns;
    const last = times.at(-1);
    if (typeof last === "number" && at < last) this.clear();
    if (last === at) return;
    times.push(at);
    columns.forEach((column, index) => column.push(sample[index] ?? null));
    if (times.length > this.#most) for (const column of this.#columns) column.shift();
  }

  clear(): void {
    for (const column of this.#columns) column.length = 0;
  }

  /** Times first, then a column of each number. */
  get columns(): (number | null)[][] {
    return this.#columns;
  }
}
