/**
 * When an application may send on a connection that it opens: one send is in the array at a time, and
 * after one that was cut short the next waits for `sent`.
 */
import { RC_OK } from "../../assembly/abi.ts";
import type { Ix } from "../../host/libix/ix.ts";

export class Sending {
  /** The connection's; 0: there is none. */
  handle = 0;
  #isBlocked = false;
  #isInArray = false;

  /** A send now would be neither too early nor beside another one. */
  get isFree(): boolean {
    return this.handle !== 0 && !this.#isBlocked && !this.#isInArray;
  }

  /**
   * For an event `connected`.
   *
   * @throws {Error} the connection did not come about
   */
  connected(ix: Ix, event: number): void {
    const outcome = ix.eventResult(event);
    if (outcome !== RC_OK) throw new Error(`connect: code ${outcome}`);
    this.handle = ix.eventHandle(event);
  }

  send(ix: Ix, address: number, length: number, cookie = 0): void {
    this.#isInArray = true;
    ix.send(this.handle, address, length, cookie);
  }

  /** For the result of a send: returns how many bytes were taken. */
  taken(ix: Ix, result: number): number {
    const bytes = Math.max(ix.result(result), 0);
    this.#isInArray = false;
    this.#isBlocked = bytes < ix.callB(result);
    return bytes;
  }

  /** For an event `sent`. */
  sent(ix: Ix, event: number): void {
    if (ix.eventB(event) > 0) this.#isBlocked = false;
  }

  /** The connection is gone; there may be another. */
  forget(): void {
    this.handle = 0;
    this.#isBlocked = false;
  }
}
