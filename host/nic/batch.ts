/**
 * The frames a sender has in hand: descriptors it has read, frames a link has let out. One record of
 * FRAME_WORDS words each, so that the loops over them touch one typed array.
 *
 * A frame lies in the sender's memory, in one piece or in fragments, or in a slot of the frame store.
 */
import { copyBytes } from "./copy.ts";
import type { FrameStore } from "./frame-store.ts";
import type { MemoryView } from "./memory-view.ts";

/** Frames handled at a time. */
export const BATCH = 128;

/** Most descriptors of one frame. */
export const MAX_FRAGMENTS = 80;
/** Fragments kept for the frames of a batch. */
const FRAGMENTS = 1024;

export const FRAME_WORDS = 8;
/** Where the frame, or its first fragment, begins: an unsigned address kept as a signed word. */
export const FRAME_ADDRESS = 0;
export const FRAME_LENGTH = 1;
/** State bits, see below. */
export const FRAME_STATE = 2;
/** RSS hash, signed. */
export const FRAME_HASH = 3;
/**
 * The checksum that is left to the NIC: where it begins to sum, as an offset from the frame's start,
 * and, in the high half, where its field is from there. 0: none. Such is the word in the metadata.
 */
export const FRAME_CHECKSUM = 4;
/** 0 for a frame in one piece; else its first fragment, and their number in the high half. */
export const FRAME_FRAGMENTS = 5;
/** 0 for a frame in the sender's memory; else the number of its slot, plus 1. */
export const FRAME_SLOT = 6;

/** The hash is one: the frame holds an IP packet. The values of these two are those of RX_META_*. */
export const HASHED = 1;
/** The checksum is right, or will be when it has been filled in as requested. */
export const TRUSTED = 2;
/** The checksum has to be filled in before anybody may look at it. */
export const REQUESTED = 4;
/** As REQUESTED, and the request is not the usual one that could be trusted unseen. */
export const UNUSUAL = 8;
/** There is a TCP or UDP checksum to be verified. */
export const VERIFIABLE = 16;

export class FrameBatch {
  count = 0;
  readonly words = new Int32Array(BATCH * FRAME_WORDS);

  /** Parts of scattered frames, in the sender's memory. */
  readonly fragmentAddress = new Uint32Array(FRAGMENTS);
  readonly fragmentLength = new Int32Array(FRAGMENTS);
  fragmentCount = 0;

  /** The sender's memory, and where its frames lie meanwhile. */
  readonly memory: MemoryView;
  readonly store: FrameStore;

  constructor(memory: MemoryView, store: FrameStore) {
    this.memory = memory;
    this.store = store;
  }

  /** True when one more scattered frame may have too many fragments. */
  get fragmentsFull(): boolean {
    return this.fragmentCount > FRAGMENTS - MAX_FRAGMENTS;
  }

  /** Gives slots back and forgets all frames. */
  clear(): void {
    const { words, count } = this;
    for (let at = FRAME_SLOT; at < count * FRAME_WORDS; at += FRAME_WORDS) {
      if (words[at] !== 0) this.store.give(words[at] - 1);
    }
    this.count = 0;
    this.fragmentCount = 0;
  }

  /** Copies the frame of record `at` to one place, wherever it lies. */
  gather(at: number, to: MemoryView, target: number): void {
    const { words, memory } = this;
    const fragments = words[at + FRAME_FRAGMENTS];
    if (fragments === 0) {
      copyBytes(to, target, this.viewOf(at), words[at + FRAME_ADDRESS], words[at + FRAME_LENGTH]);
      return;
    }
    const first = fragments & 0xffff;
    const end = first + (fragments >>> 16);
    for (let i = first; i < end; i++) {
      const length = this.fragmentLength[i];
      copyBytes(to, target, memory, this.fragmentAddress[i], length);
      target += length;
    }
  }

  /** Moves a frame that lies in the sender's memory to a slot of the store; false when there is none. */
  putAside(at: number): boolean {
    const { words, store } = this;
    const slot = store.take(words[at + FRAME_LENGTH]);
    if (slot < 0) return false;
    this.gather(at, store.view(slot), store.address(slot));
    store.setChecksum(slot, words[at + FRAME_CHECKSUM], false);
    words[at + FRAME_ADDRESS] = store.address(slot);
    words[at + FRAME_FRAGMENTS] = 0;
    words[at + FRAME_SLOT] = slot + 1;
    return true;
  }

  /** The memory the frame of record `at` lies in. */
  viewOf(at: number): MemoryView {
    const slot = this.words[at + FRAME_SLOT];
    return slot === 0 ? this.memory : this.store.view(slot - 1);
  }

  /** Adds a frame that lies in the store; the slot is given back by `clear`. */
  addSlot(slot: number): void {
    const { words, store } = this;
    const at = this.count++ * FRAME_WORDS;
    words[at + FRAME_ADDRESS] = store.address(slot);
    words[at + FRAME_LENGTH] = store.length(slot);
    words[at + FRAME_STATE] = store.trusted(slot) ? TRUSTED : 0;
    words[at + FRAME_CHECKSUM] = store.checksum(slot);
    words[at + FRAME_FRAGMENTS] = 0;
    words[at + FRAME_SLOT] = slot + 1;
  }
}
