/**
 * Notices that memory of MSG_ZEROCOPY sends is free again, as Linux puts them into a socket's error
 * queue: sends are counted from 0, and notices of neighbours are one.
 */

export interface Notice {
  readonly first: number;
  last: number;
}

export class Completions {
  readonly #pending: { readonly id: number; readonly end: number }[] = [];
  readonly #notices: Notice[] = [];
  #sends = 0;

  get waiting(): boolean {
    return this.#notices.length > 0;
  }

  /** A send whose last byte is byte `end` of the stream. */
  sent(end: number): void {
    this.#pending.push({ id: this.#sends++, end });
  }

  /** The first `bytes` of the stream were acknowledged. Returns whether that freed a send's memory. */
  acknowledged(bytes: number): boolean {
    let freed = false;
    while (this.#pending.length > 0 && this.#pending[0].end <= bytes) {
      const { id } = this.#pending.shift()!;
      const last = this.#notices.at(-1);
      if (last?.last === id - 1) last.last = id;
      else this.#notices.push({ first: id, last: id });
      freed = true;
    }
    return freed;
  }

  take(): Notice | undefined {
    return this.#notices.shift();
  }
}
