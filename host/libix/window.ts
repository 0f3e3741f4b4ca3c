/**
 * Memory of the application's own: a buddy allocator over this core's share of the application's
 * window. Sends of `copyBreak` bytes and more must lie in the window, and so must vectors and
 * endpoint records.
 *
 *   order        0    1     2     3   …
 *   block       64  128   256   512   …  bytes; a block of order k starts at a multiple of its size
 *   state[i]    of the granule of 64 bytes a block begins with: FREE | order, USED | order, or 0
 *
 * Free blocks of an order form a list whose links are the first two words of the blocks themselves.
 * Both directions take as many steps as there are orders at most. The allocator trusts its caller
 * not to write into blocks it has freed; a wrong or repeated `free` is detected and thrown.
 */
import {
  CFG_CORES,
  CFG_SHARED_WINDOW,
  CFG_WINDOW,
  CFG_WINDOW_SIZE,
  CONFIG_BASE,
} from "../../assembly/abi.ts";

const GRANULE_BITS = 6;
const GRANULE = 1 << GRANULE_BITS;
const ORDERS = 27;
const FREE = 0x40;
const USED = 0x80;
const ORDER_MASK = 0x3f;
/** End of a free list: page 0 holds no window. */
const NONE = 0;

export class AppWindow {
  /** First address of the share, and its size in bytes. */
  readonly address: number;
  readonly size: number;

  readonly #words: Uint32Array;
  readonly #state: Uint8Array;
  /** First free block of each order. */
  readonly #heads = new Uint32Array(ORDERS);
  #used = 0;
  #frees = 0;

  /** `address` must be a multiple of 64; `size` is rounded down to one. */
  constructor(memory: WebAssembly.Memory, address: number, size: number) {
    if (address % GRANULE !== 0 || address === 0) {
      throw new RangeError(`window address ${address} is not a positive multiple of ${GRANULE}`);
    }
    this.#words = new Uint32Array(memory.buffer);
    this.address = address;
    this.size = size - (size % GRANULE);
    const granules = this.size / GRANULE;
    this.#state = new Uint8Array(granules);
    for (let granule = 0; granule < granules;) {
      const order = largestOrder(granule, granules - granule);
      this.#pushFree(granule, order);
      granule += 2 ** order;
    }
  }

  /**
   * The share of core `core`: equal parts of the window that the configuration block describes, without
   * what all cores share.
   */
  static ofCore(memory: WebAssembly.Memory, core: number): AppWindow {
    const config = new Uint32Array(memory.buffer, CONFIG_BASE, 64);
    const cores = config[CFG_CORES >>> 2];
    const shared = Math.ceil(config[CFG_SHARED_WINDOW >>> 2] / GRANULE);
    const own = Math.floor(config[CFG_WINDOW_SIZE >>> 2] / GRANULE) - shared;
    const first = shared + Math.floor((own * core) / cores);
    const end = shared + Math.floor((own * (core + 1)) / cores);
    return new AppWindow(
      memory,
      config[CFG_WINDOW >>> 2] + first * GRANULE,
      (end - first) * GRANULE,
    );
  }

  /** Bytes in allocated blocks, rounded up to whole blocks. */
  get used(): number {
    return this.#used;
  }

  /** Counts the blocks given back. */
  get frees(): number {
    return this.#frees;
  }

  /**
   * Takes a block of at least `size` bytes, aligned to 64. Returns its address, or 0 when no block is
   * large enough: exhaustion is for the caller to wait out, not an exception.
   */
  allocate(size: number): number {
    const order = orderOf(size);
    let from = order;
    while (from < ORDERS && this.#heads[from] === NONE) from++;
    if (from >= ORDERS) return 0;
    const block = this.#heads[from];
    const granule = (block - this.address) >>> GRANULE_BITS;
    this.#unlink(granule, from);
    // Halves that are not needed go back, largest first.
    while (from > order) {
      from--;
      this.#pushFree(granule + 2 ** from, from);
    }
    this.#state[granule] = USED | order;
    this.#used += GRANULE * 2 ** order;
    return block;
  }

  /** Bytes that the block at `address` can hold. Throws a RangeError unless it is allocated. */
  capacity(address: number): number {
    return GRANULE * 2 ** (this.#stateOfUsed(address) & ORDER_MASK);
  }

  /** Gives a block back. Throws a RangeError unless `address` is that of an allocated block. */
  free(address: number): void {
    let order = this.#stateOfUsed(address) & ORDER_MASK;
    let granule = (address - this.address) >>> GRANULE_BITS;
    this.#used -= GRANULE * 2 ** order;
    this.#frees++;
    this.#state[granule] = 0;
    // A free buddy of the same order makes a free block of the next order.
    for (; order < ORDERS - 1; order++) {
      const buddy = granule ^ (2 ** order);
      if (this.#state[buddy] !== (FREE | order)) break;
      this.#unlink(buddy, order);
      granule &= ~(2 ** order);
    }
    this.#pushFree(granule, order);
  }

  #stateOfUsed(address: number): number {
    const offset = address - this.address;
    const state =
      offset >= 0 && offset % GRANULE === 0 ? (this.#state[offset >>> GRANULE_BITS] ?? 0) : 0;
    if ((state & USED) === 0) {
      throw new RangeError(`address ${address} is no allocated block of the application window`);
    }
    return state;
  }

  #pushFree(granule: number, order: number): void {
    const block = this.address + granule * GRANULE;
    const next = this.#heads[order];
    this.#words[block >>> 2] = next;
    this.#words[(block >>> 2) + 1] = NONE;
    if (next !== NONE) this.#words[(next >>> 2) + 1] = block;
    this.#heads[order] = block;
    this.#state[granule] = FREE | order;
  }

  #unlink(granule: number, order: number): void {
    const block = this.address + granule * GRANULE;
    const next = this.#words[block >>> 2];
    const previous = this.#words[(block >>> 2) + 1];
    if (previous === NONE) this.#heads[order] = next;
    else this.#words[previous >>> 2] = next;
    if (next !== NONE) this.#words[(next >>> 2) + 1] = previous;
    this.#state[granule] = 0;
  }
}

/** The order of the smallest block that holds `size` bytes. */
function orderOf(size: number): number {
  const granules = Math.max(1, Math.ceil(size / GRANULE));
  return 32 - Math.clz32(granules - 1);
}

/** The largest order a block at `granule` can have with `room` granules left. */
function largestOrder(granule: number, room: number): number {
  const alignment = granule === 0 ? ORDERS - 1 : 31 - Math.clz32(granule & -granule);
  return Math.min(alignment, 31 - Math.clz32(room), ORDERS - 1);
}
