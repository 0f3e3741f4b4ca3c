/**
 * What the event layer knows of a connection and the kernel does not, when the connection moves to
 * another core: bytes that were not sent yet, and what was consumed but not given back. It travels in a
 * block of the old core's window, through lists in memory that all cores of the dataplane share:
 *
 *   old core ── push ─→ on their way ── take all ─→ new core
 *   old core ←─ take all ── to be freed ←─ push ──── new core
 *
 * A block is on its way before the kernel hands the connection over, so it is there when `arrived` comes.
 *
 *   word 0 next block · 1 handle · 2 flags · 3 tag · 4 bytes to skip · 5 bytes unsent · from 6 the bytes
 */
import { CFG_CORES, CFG_LUGGAGE, CONFIG_BASE, LUGGAGE_SIZE } from "../../assembly/abi.ts";
import type { Ix } from "./ix.ts";

/** What the application had asked for and the old core refused. */
export const LUGGAGE_SHUTDOWN = 1;
export const LUGGAGE_CLOSE = 2;
export const LUGGAGE_ABORT = 4;

/** Of one connection. */
export interface Luggage {
  /** `LUGGAGE_*` */
  readonly flags: number;
  readonly tag: number;
  /** Received bytes that are announced again and were consumed already. */
  readonly skip: number;
  readonly unsent: Uint8Array;
}

const NEXT = 0;
const HANDLE = 1;
const FLAGS = 2;
const TAG = 3;
const SKIP = 4;
const LENGTH = 5;
const HEADER = 24;
/** Size of the blocks that more bytes than a few take. */
const BLOCK = 4096;

const ON_THE_WAY = 0;
const TO_BE_FREED = 1;

export class LuggageService {
  readonly #ix: Ix;
  readonly #words: Int32Array;
  readonly #cores: number;
  readonly #lists: number;
  /** Blocks that have come, and whose connections have not been asked for yet, by handle. */
  readonly #arrived = new Map<number, number[]>();

  constructor(ix: Ix) {
    this.#ix = ix;
    this.#words = new Int32Array(ix.memory.buffer);
    this.#cores = ix.words[(CONFIG_BASE + CFG_CORES) >>> 2];
    this.#lists = ix.words[(CONFIG_BASE + CFG_LUGGAGE) >>> 2];
    // What an application before this one left is not of this window.
    for (let core = 0; core < this.#cores; core++) {
      Atomics.store(this.#words, this.#list(ix.core, core, TO_BE_FREED), 0);
    }
  }

  /**
   * Sends luggage after a connection, in blocks no larger than the copy buffers that it occupied here.
   * False when the window has no room for all of it.
   */
  send(handle: number, to: number, { flags, tag, skip, unsent }: Luggage): boolean {
    this.reclaim();
    const list = this.#list(this.#ix.core, to, ON_THE_WAY);
    let done = 0;
    do {
      const length = Math.min(unsent.length - done, BLOCK - HEADER);
      const block = this.#ix.window.allocate(HEADER + length);
      if (block === 0) return false;
      const words = this.#words;
      const at = block >>> 2;
      words[at + HANDLE] = handle;
      words[at + FLAGS] = flags;
      words[at + TAG] = tag;
      words[at + SKIP] = skip;
      words[at + LENGTH] = length;
      this.#ix.write(block + HEADER, unsent.subarray(done, done + length));
      this.#push(list, block);
      done += length;
    } while (done < unsent.length);
    return true;
  }

  /** The luggage of a connection that has arrived from a core, if it has any. */
  collect(handle: number, from: number): Luggage | undefined {
    const words = this.#words;
    for (const block of this.#takeAll(this.#list(from, this.#ix.core, ON_THE_WAY))) {
      const owner = words[(block >>> 2) + HANDLE] >>> 0;
      const blocks = this.#arrived.get(owner);
      if (blocks) blocks.push(block);
      else this.#arrived.set(owner, [block]);
    }
    const blocks = this.#arrived.get(handle);
    if (blocks === undefined) return undefined;
    this.#arrived.delete(handle);
    const first = blocks[0] >>> 2;
    const luggage = {
      flags: words[first + FLAGS],
      tag: words[first + TAG] >>> 0,
      skip: words[first + SKIP],
      unsent: this.#joined(blocks),
    };
    const back = this.#list(from, this.#ix.core, TO_BE_FREED);
    for (const block of blocks) this.#push(back, block);
    return luggage;
  }

  /** Frees the blocks that other cores have given back. */
  reclaim(): void {
    for (let core = 0; core < this.#cores; core++) {
      const blocks = this.#takeAll(this.#list(this.#ix.core, core, TO_BE_FREED));
      for (const block of blocks) this.#ix.window.free(block);
    }
  }

  /** The bytes of blocks, one after another. */
  #joined(blocks: readonly number[]): Uint8Array {
    const lengths = blocks.map((block) => this.#words[(block >>> 2) + LENGTH]);
    const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length));
    let done = 0;
    blocks.forEach((block, i) => {
      bytes.set(this.#ix.view(block + HEADER, lengths[i]), done);
      done += lengths[i];
    });
    return bytes;
  }

  #push(list: number, block: number): void {
    const words = this.#words;
    for (;;) {
      const head = Atomics.load(words, list);
      words[(block >>> 2) + NEXT] = head;
      if (Atomics.compareExchange(words, list, head, block | 0) === head) return;
    }
  }

  /** Empties a list; the blocks in the order in which they were pushed. */
  #takeAll(list: number): number[] {
    const blocks: number[] = [];
    if (this.#words[list] === 0) return blocks;
    let block = Atomics.exchange(this.#words, list, 0) >>> 0;
    while (block !== 0) {
      blocks.push(block);
      block = this.#words[(block >>> 2) + NEXT] >>> 0;
    }
    return blocks.toReversed();
  }

  /** Word index of a list between two cores. */
  #list(from: number, to: number, which: number): number {
    return ((this.#lists + (from * this.#cores + to) * LUGGAGE_SIZE) >>> 2) + which;
  }
}
