/**
 * Buffers for frames that are on their way: held back by a link, or put together because their headers
 * were scattered. Slots of FRAME_SIZE bytes in chunks that are added when needed and kept; a slot holds
 * what is known of its frame in its first words, and the frame FRAME_HEADROOM bytes in.
 *
 *   word 0 length · 1 checksum start · 2 checksum field · 3 checksum filled in (0 or 1)
 */
import { FRAME_HEADROOM, FRAME_SIZE } from "../../assembly/abi.ts";
import { MemoryView } from "./memory-view.ts";

const CHUNK_BITS = 8;
const CHUNK_SLOTS = 1 << CHUNK_BITS;
const SLOT_WORDS = FRAME_SIZE / 4;

/** At most this many frames are under way in one store: 256 MiB, or 150 ms of 10 Gbit/s. */
const MAX_SLOTS = 1 << 17;

export class FrameStore {
  readonly #chunks: MemoryView[] = [];
  /** Free slots, as a stack. */
  #free = new Int32Array(0);
  #freeCount = 0;

  /** A slot, or -1 when too many are in use. */
  take(): number {
    if (this.#freeCount === 0 && !this.#grow()) return -1;
    return this.#free[--this.#freeCount];
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
    return (slot & (CHUNK_SLOTS - 1)) * FRAME_SIZE + FRAME_HEADROOM;
  }

  length(slot: number): number {
    return this.#word(slot, 0);
  }

  setLength(slot: number, length: number): void {
    this.#setWord(slot, 0, length);
  }

  /** Offset at which a requested checksum begins to sum; 0 when none was requested. */
  checksumStart(slot: number): number {
    return this.#word(slot, 1);
  }

  /** Offset of the requested checksum's field. */
  checksumField(slot: number): number {
    return this.#word(slot, 2);
  }

  /** Whether the requested checksum is in its field already. */
  checksumDone(slot: number): boolean {
    return this.#word(slot, 3) !== 0;
  }

  setChecksum(slot: number, start: number, field: number, done: boolean): void {
    this.#setWord(slot, 1, start);
    this.#setWord(slot, 2, field);
    this.#setWord(slot, 3, done ? 1 : 0);
  }

  #word(slot: number, index: number): number {
    return this.view(slot).words[(slot & (CHUNK_SLOTS - 1)) * SLOT_WORDS + index];
  }

  #setWord(slot: number, index: number, value: number): void {
    this.view(slot).words[(slot & (CHUNK_SLOTS - 1)) * SLOT_WORDS + index] = value;
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
