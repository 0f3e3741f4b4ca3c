/**
 * What the three ECN bits of a connection's TCP headers mean: the echo and its answer of RFC 3168, or the ACE
 * field of RFC 9768. The SYNs settle it (RFC 9768 section 3.1, table 2).
 */
import { FLAG } from "../language/script.ts";

/** The ACE field. */
export const ACE = FLAG.AE | FLAG.CWR | FLAG.ECE;

/** How a server that has understood says which codepoint the SYN arrived with. */
const ANSWERS: ReadonlySet<number> = new Set([
  FLAG.CWR,
  FLAG.CWR | FLAG.ECE,
  FLAG.AE,
  FLAG.AE | FLAG.CWR,
]);

export class EcnNegotiation {
  #asked = false;
  #accurate = false;

  /** Flags of a segment, of either side. */
  note(flags: number): void {
    if (!(flags & FLAG.SYN)) return;
    if (!(flags & FLAG.ACK)) this.#asked ||= (flags & ACE) === ACE;
    else this.#accurate ||= this.#asked && ANSWERS.has(flags & ACE);
  }

  /**
   * Flags that only the first segment carries of those that a card cuts a large one into: with RFC 3168 the
   * answer to an echo, with RFC 9768 none, for the field is a count.
   */
  get ofFirst(): number {
    return this.#accurate ? 0 : FLAG.CWR;
  }
}
