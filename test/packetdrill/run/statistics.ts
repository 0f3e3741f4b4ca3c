/**
 * Linux' counters as nstat shows them: what has been added since it was called last. Only those that the stack
 * counts too.
 */
import type { CounterName, Counters } from "../../../host/dataplane/counters.ts";
import { Unsupported } from "../language/errors.ts";

const NAMES: Readonly<Record<string, CounterName>> = {
  TcpExtBeyondWindow: "dropTcpWindow",
  TcpExtOutOfWindowIcmps: "dropIcmpQuote",
};

export class Statistics {
  readonly #read: () => Counters;
  #shown: Counters | undefined;

  constructor(read: () => Counters) {
    this.#read = read;
  }

  /** What is in hand was shown; from now on what is added counts. */
  forget(): void {
    this.#shown = this.#read();
  }

  /** @throws {Unsupported} for a counter that the stack does not have */
  added(name: string): number {
    if (!Object.hasOwn(NAMES, name)) throw new Unsupported(`counter ${name}`);
    const counter = NAMES[name];
    return this.#read()[counter] - (this.#shown?.[counter] ?? 0);
  }
}
