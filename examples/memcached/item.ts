/**
 * The picture of an item, and of the free block that it is made of. Addresses are those of the linear
 * memory; an item's is that of its block. Numbers are 32-bit words.
 *
 *    0  size of the block | BLOCK_FREE | BLOCK_AFTER_FREE      64
 *    4  next item in the bucket        (free: next of its list)
 *    8  hash of the key                (free: previous of its list)
 *   12  item used next after this one, 0: none was
 *   16  item used last before this one, 0: none was
 *   20  when it expires, Unix seconds; 0: never
 *   24  flags, the client's
 *   28  CAS unique, low and high word
 *   36  length of the value
 *   40  sends and connections that refer to it
 *   44  flush generation that it was stored in
 *   48  when it was last moved to the front of the LRU list, Unix seconds
 *   52  length of the key | LINKED | FETCHED
 *   56  key, value, CR LF             (free: the last word of the block repeats its size)
 */
export const BLOCK_FREE = 1;
export const BLOCK_AFTER_FREE = 2;
export const BLOCK_FLAGS = 3;
export const BLOCK_ALIGNMENT = 16;
export const BLOCK_MIN = 64;

/** Word offsets. */
export const BLOCK_SIZE = 0;
export const NEXT = 1;
export const HASH = 2;
export const NEWER = 3;
export const OLDER = 4;
export const EXPIRY = 5;
export const FLAGS = 6;
export const CAS_LOW = 7;
export const CAS_HIGH = 8;
export const LENGTH = 9;
export const REFERENCES = 10;
export const GENERATION = 11;
export const MOVED = 12;
export const STATE = 13;

/** Byte offset of the key. */
export const KEY = 56;
export const KEY_LENGTH_MASK = 0xff;
/** In the index, so that clients find it. */
export const LINKED = 0x100;
/** Somebody has got it. */
export const FETCHED = 0x200;

export const KEY_MAX = 250;
/** Behind each value: a text response is the item's bytes as they lie. */
export const TAIL = 2;

/** Bytes of an item. */
export function itemSize(keyLength: number, length: number): number {
  return KEY + keyLength + length + TAIL;
}
