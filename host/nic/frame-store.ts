/**
 * Buffers for frames that are on their way: held back by a link, or put together because their
 * headers were scattered. Slots of FRAME_SIZE bytes in chunks that are added when needed and kept;
 * a slot holds what is known of its frame in its first words, and the frame FRAME_HEADROOM bytes
 * in.
 *
 *   word 0 length · 1 checksum left to the NIC (`Frame.checksum`) · 2 checksum known to be right
 *   (0, 1)
 */
import { FRAME_HEADROOM, FRAME_SIZE } from "../../assembly/abi.ts";
import { copyBytes } from "./copy.ts";
import { MemoryView } from "./memory-view.ts";

const CHUNK_BITS = 8;
const CHUNK_SLOTS = 1 << CHUNK_BITS;
const SLOT_WORDS = FRAME_SIZE / 4;

const LENGTH = 0;
const CHECKSUM = 1;
const TRUSTED = 2;

/** At most this many frames are under way in one store: 256 MiB, or 150 ms of 10 Gbit/s. */
const MAX_SLOTS = 1 << 17;

export class FrameStore {
  readonly #chunks: MemoryView[] = [];
  /** Free slots, as a stack. */
  #free = new Int32Array(0);
  #freeCount = 0;

  /** A slot for a frame of `length` bytes, at most MAX_FRAME; -1 when too many are in use. */
  take(length: number): number {
    if (this.#freeCount === 0 && !this.#grow()) return -1;
    const slot = this.#free[--this.#freeCount];
    const words = this.view(slot).words;
    const at = wordOf(slot);
    words[at + LENGTH] = length;
    words[at + CHECKSUM] = 0;
    words[at + TRUSTED] = 0;
    return slot;
  }

  /** A copy of a frame in a slot of its own; -1 when too many are in use. */
  copy(slot: number): number {
    const length = this.length(slot);
    const copy = this.take(length);
    if (copy < 0) return -1;
    copyBytes(this.view(copy), this.address(copy), this.view(slot), this.address(slot), length);
    this.setChecksum(copy, this.checksum(slot), this.trusted(slot));
    return copy;
  }

  give(slot: number): void {
    this.#free[this.#freeCount++] = slot;
  }

  /** Slots in use. */
  get used(): number {
    return this.#chunks.length * CHUNK_SLOTS - this.#freeCount;
  }

  /** The memory a slot lies in. */
  view(slot: number): MemoryView {
    return this.#chunks[slot >> CHUNK_BITS];
  }

  /** Where in that memory the slot's frame begins. */
  address(slot: number): number {
    return wordOf(slot) * 4 + FRAME_HEADROOM;
  }

  length(slot: number): number {
    return this.view(slot).words[wordOf(slot) + LENGTH];
  }

  /** The checksum that is left to the NIC, as in `Frame.checksum`. */
  checksum(slot: number): number {
    return this.view(slot).words[wordOf(slot) + CHECKSUM];
  }

  /** Whether the checksum in the frame is known to be right. */
  trusted(slot: number): boolean {
    return this.view(slot).words[wordOf(slot) + TRUSTED] !== 0;
  }

  setChecksum(slot: number, request: number, trusted: boolean): void {
    const { words } = this.view(slot);
    words[wordOf(slot) + CHECKSUM] = request;
    words[wordOf(slot) + TRUSTED] = trusted ? 1 : 0;
  }

  #grow(): boolean {
    const slots = this.#chunks.length * CHUNK_SLOTS;
    if (slots === MAX_SLOTS) return false;
    this.#chunks.push(new MemoryView(new ArrayBuffer(CHUNK_SLOTS * FRAME_SIZE)));
    this.#free = new Int32Array(slots + CHUNK_SLOTS);
    for (let i = 0; i < CHUNK_SLOTS; i++) this.#free[i] = slots + CHUNK_SLOTS - 1 - i;
    this.#freeCount = CHUNK_SLOTS;
    return true;
  }
}

/** First word of a slot in its chunk. */
function wordOf(slot: number): number {
  return (slot & (CHUNK_SLOTS - 1)) * SLOT_WORDS;
}
