/**
 * What an application waits for on a context: which conditions, how they are reported, and those that
 * have come up and were not yet.
 */
import type { IxevContext } from "./ixev-context.ts";

/** The connection is over; `context.reason` says why. */
export const IXEVHUP = 1;
/** There is something to read: data, or the end of the peer's stream. */
export const IXEVIN = 2;
/** A send that was cut short, or a dial, may go on. */
export const IXEVOUT = 4;
/** With a mask: call the handler in every round while the condition holds, not once when it begins. */
export const IXEVLEVEL = 8;
/** With a mask: wait for one call of the handler only; `enable` asks for the next. */
export const IXEVONESHOT = 16;

const CONDITIONS = IXEVHUP | IXEVIN | IXEVOUT;

/** Called with the conditions that are met, a mask of IXEVHUP, IXEVIN and IXEVOUT. */
export type IxevHandler = (context: IxevContext, conditions: number) => void;

export class Interest {
  #handler: IxevHandler | null = null;
  #enabled = 0;
  #triggered = 0;

  /** Waits for nothing yet, with a new handler. */
  begin(handler: IxevHandler): void {
    this.#handler = handler;
    this.#enabled = 0;
    this.#triggered = 0;
  }

  /** The mask waited for, with IXEVLEVEL and IXEVONESHOT. */
  get enabled(): number {
    return this.#enabled;
  }

  enable(mask: number): void {
    this.#enabled |= mask;
  }

  disable(mask: number): void {
    this.#enabled &= ~mask;
  }

  /** Waits for nothing any more. */
  end(): void {
    this.#enabled = 0;
  }

  /** Conditions have come up. True when the application waits for one of them. */
  trigger(conditions: number): boolean {
    if ((this.#enabled & conditions) === 0) return false;
    this.#triggered |= conditions;
    return true;
  }

  /** Forgets what has come up. */
  clear(): void {
    this.#triggered = 0;
  }

  /** Calls the handler for what has come up. True when it wants to hear of what still holds (IXEVLEVEL). */
  report(context: IxevContext): boolean {
    const conditions = this.#triggered & this.#enabled;
    this.#triggered = 0;
    if (conditions === 0 || this.#handler === null) return false;
    if ((this.#enabled & IXEVONESHOT) !== 0) this.#enabled &= ~CONDITIONS;
    this.#handler(context, conditions);
    return (this.#enabled & IXEVLEVEL) !== 0;
  }
}
