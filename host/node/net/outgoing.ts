/** The write that is under way on a socket: its context takes it piece by piece, as there is room. */
import { RC_OK } from "../../../assembly/abi.ts";
import type { IxevContext } from "../../libix/ixev-context.ts";
import { named } from "./errors.ts";

export type WriteDone = (error?: Error | null) => void;

export class Outgoing {
  /** Bytes that a context has taken so far. */
  sent = 0;
  /** How many of them belong to the write under way. */
  taken = 0;
  #rest: Uint8Array | null = null;
  #done: WriteDone | null = null;

  /** True while a write waits for room, or for the connection. */
  get isBusy(): boolean {
    return this.#done !== null;
  }

  /** Begins a write; it goes on with `proceed`. */
  begin(bytes: Uint8Array, done: WriteDone): void {
    this.#rest = bytes;
    this.#done = done;
  }

  /** Hands on what there is room for. Returns how many bytes that was. */
  proceed(context: IxevContext): number {
    const rest = this.#rest;
    if (rest === null) return 0;
    const taken = context.send(rest);
    if (taken < RC_OK) {
      this.finish(named("write", "EPIPE"));
      return 0;
    }
    this.sent += taken;
    this.taken += taken;
    if (taken === rest.length) this.finish();
    else this.#rest = rest.subarray(taken);
    return taken;
  }

  /** The write under way is over. */
  finish(error: Error | null = null): void {
    const done = this.#done;
    this.#rest = null;
    this.#done = null;
    this.taken = 0;
    done?.(error);
  }
}
