/**
 * Contexts by cookie: the index of a slot with a generation above it, so that an event for a connection
 * that is gone finds nobody.
 */
import { HANDLE_INDEX_BITS, HANDLE_INDEX_MASK, MAX_CONNECTIONS } from "../../assembly/abi.ts";
import type { IxevContext } from "./ixev-context.ts";

/** Generations of a cookie run from 1 to this. */
const LAST_GENERATION = 2 ** (32 - HANDLE_INDEX_BITS) - 1;

export class ContextTable {
  readonly #contexts: (IxevContext | null)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];

  /** Contexts in the table. */
  get size(): number {
    return this.#contexts.length - this.#free.length;
  }

  /** Gives a context a slot; returns its cookie, or 0 when all slots are taken. */
  add(context: IxevContext): number {
    if (this.size >= MAX_CONNECTIONS) return 0;
    const slot = this.#free.pop() ?? this.#contexts.length;
    const last = this.#generations[slot] ?? 0;
    const generation = last === LAST_GENERATION ? 1 : last + 1;
    this.#generations[slot] = generation;
    this.#contexts[slot] = context;
    return ((generation << HANDLE_INDEX_BITS) | slot) >>> 0;
  }

  /** The context that has this cookie; null: it is gone. */
  find(cookie: number): IxevContext | null {
    const context = this.#contexts[cookie & HANDLE_INDEX_MASK];
    // A slot that was never used is undefined.
    return context?.cookie === cookie ? context : null;
  }

  /** Takes a context out, if it is there. */
  remove(context: IxevContext): void {
    const slot = context.cookie & HANDLE_INDEX_MASK;
    if (this.#contexts[slot] !== context) return;
    this.#contexts[slot] = null;
    this.#free.push(slot);
  }
}
