/**
 * Memory for items: a two-level segregated fit allocator (Masmano et al., "TLSF: a new dynamic memory
 * allocator for real-time systems", 2004) over a range of shared memory. All its state is in that memory,
 * so that every core may use it, one at a time: whoever calls holds the partition's lock.
 *
 *   class of a free block      ⌊log2(size)⌋, and the three bits below the first
 *   control words              one bitmap of levels, a bitmap of classes for each level, heads of lists
 *
 * A block knows its neighbours by its size and, before it, a free block's repeated size; free neighbours
 * are always joined. See item.ts for the picture.
 */
import {
  BLOCK_AFTER_FREE,
  BLOCK_ALIGNMENT,
  BLOCK_FLAGS,
  BLOCK_FREE,
  BLOCK_MIN,
  BLOCK_SIZE,
} from "./item.ts";

const STEP_BITS = 3;
const STEPS = 1 << STEP_BITS;
const LEVELS = 32;
const NONE = 0;
/** Words of a free block. */
const NEXT = 1;
const PREVIOUS = 2;

/** Number of classes that blocks fall into, and bytes of an arena's control words. */
export const CLASSES = LEVELS * STEPS;
export const ARENA_CONTROL = (1 + LEVELS + CLASSES) * 4;

/** The class of blocks of `size` bytes. */
export function classOf(size: number): number {
  const level = 31 - Math.clz32(size);
  return (level << STEP_BITS) | ((size >>> (level - STEP_BITS)) & (STEPS - 1));
}

/** The least size of the blocks of a class. */
export function classSize(index: number): number {
  return (STEPS + (index & (STEPS - 1))) * 2 ** ((index >>> STEP_BITS) - STEP_BITS);
}

export class Arena {
  readonly #words: Uint32Array;
  /** Word indices of the control words. */
  readonly #levels: number;
  readonly #steps: number;
  readonly #heads: number;

  /** The arena whose control words are at address `control`. */
  constructor(words: Uint32Array, control: number) {
    this.#words = words;
    this.#levels = control >>> 2;
    this.#steps = this.#levels + 1;
    this.#heads = this.#steps + LEVELS;
  }

  /** Makes one free block of a range whose control words are zero. */
  initialize(address: number, size: number): void {
    const start = Math.ceil(address / BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT;
    const end = Math.floor((address + size) / BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT - BLOCK_ALIGNMENT;
    // A block of no size, in use, ends the range.
    this.#words[end >>> 2] = 0;
    this.#addFree(start, end - start);
  }

  /** Address of a block for `bytes`, or 0 when none is large enough. */
  allocate(bytes: number): number {
    const size = blockSize(bytes);
    const block = this.#findFree(size);
    if (block === NONE) return NONE;
    const words = this.#words;
    const whole = (words[block >>> 2] & ~BLOCK_FLAGS) >>> 0;
    this.#removeFree(block, whole);
    const rest = whole - size;
    if (rest >= BLOCK_MIN) {
      words[block >>> 2] = size;
      this.#addFree(block + size, rest);
    } else {
      words[block >>> 2] = whole;
      words[(block + whole) >>> 2] &= ~BLOCK_AFTER_FREE;
    }
    return block;
  }

  free(block: number): void {
    const words = this.#words;
    const word = words[block >>> 2];
    let start = block;
    let size = (word & ~BLOCK_FLAGS) >>> 0;
    const next = block + size;
    const after = words[next >>> 2];
    if ((after & BLOCK_FREE) !== 0) {
      const joined = (after & ~BLOCK_FLAGS) >>> 0;
      this.#removeFree(next, joined);
      size += joined;
    }
    if ((word & BLOCK_AFTER_FREE) !== 0) {
      const joined = words[(block - 4) >>> 2];
      start -= joined;
      this.#removeFree(start, joined);
      size += joined;
    }
    this.#addFree(start, size);
  }

  /** Bytes of the block of an item. */
  sizeOf(block: number): number {
    return (this.#words[(block >>> 2) + BLOCK_SIZE] & ~BLOCK_FLAGS) >>> 0;
  }

  /** The first block of the smallest class all of whose blocks are large enough. */
  #findFree(size: number): number {
    const words = this.#words;
    const wanted = classOf(size + (1 << (31 - Math.clz32(size) - STEP_BITS)) - 1);
    const level = wanted >>> STEP_BITS;
    const steps = words[this.#steps + level] & (-1 << (wanted & (STEPS - 1)));
    if (steps !== 0) return words[this.#heads + (level << STEP_BITS) + lowestBit(steps)];
    const levels = level === LEVELS - 1 ? 0 : words[this.#levels] & (-1 << (level + 1));
    if (levels === 0) return NONE;
    const larger = lowestBit(levels);
    return words[this.#heads + (larger << STEP_BITS) + lowestBit(words[this.#steps + larger])];
  }

  #addFree(block: number, size: number): void {
    const words = this.#words;
    const at = block >>> 2;
    const index = classOf(size);
    const head = words[this.#heads + index];
    words[at] = size | BLOCK_FREE;
    words[at + NEXT] = head;
    words[at + PREVIOUS] = NONE;
    words[(block + size - 4) >>> 2] = size;
    words[(block + size) >>> 2] |= BLOCK_AFTER_FREE;
    if (head !== NONE) words[(head >>> 2) + PREVIOUS] = block;
    words[this.#heads + index] = block;
    words[this.#steps + (index >>> STEP_BITS)] |= 1 << (index & (STEPS - 1));
    words[this.#levels] |= 1 << (index >>> STEP_BITS);
  }

  #removeFree(block: number, size: number): void {
    const words = this.#words;
    const next = words[(block >>> 2) + NEXT];
    const previous = words[(block >>> 2) + PREVIOUS];
    if (next !== NONE) words[(next >>> 2) + PREVIOUS] = previous;
    if (previous !== NONE) {
      words[(previous >>> 2) + NEXT] = next;
      return;
    }
    const index = classOf(size);
    words[this.#heads + index] = next;
    if (next !== NONE) return;
    const level = index >>> STEP_BITS;
    words[this.#steps + level] &= ~(1 << (index & (STEPS - 1)));
    if (words[this.#steps + level] === 0) words[this.#levels] &= ~(1 << level);
  }
}

function blockSize(bytes: number): number {
  return Math.max(Math.ceil(bytes / BLOCK_ALIGNMENT) * BLOCK_ALIGNMENT, BLOCK_MIN);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
