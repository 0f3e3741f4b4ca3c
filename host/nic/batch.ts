/**
 * The frames a sender has in hand: descriptors it has read, frames a link has let out. The records
 * are made once and used again for every batch; fields of such objects cost V8 a third of what
 * elements of a typed array do.
 */
import { copyBytes } from "./copy.ts";
import type { FrameStore } from "./frame-store.ts";
import type { MemoryView } from "./memory-view.ts";

/**
 * Frames that are delivered, and published to the receiver, at a time. Small enough that a receiver on
 * another core begins while the sender still pumps the rest: with as many as B of them, two cores that
 * answer each other would take turns instead of working side by side.
 */
export const BATCH = 32;

/** Most descriptors of one frame. */
export const MAX_FRAGMENTS = 80;
/** Fragments kept for the frames of a batch. */
const FRAGMENTS = 1024;

/** Second fragments of at least this many bytes decide where a frame begins. */
const SHIFT_FROM = 128;

// States of a frame. The values of the first two are those of RX_META_*.
/** The hash is one: the frame holds an IP packet. */
export const HASHED = 1;
/** The checksum is right, or will be when it has been filled in as requested. */
export const TRUSTED = 2;
/** The checksum has to be filled in before anybody may look at it. */
export const REQUESTED = 4;
/** As REQUESTED, and the request is not the usual one that could be trusted unseen. */
export const UNUSUAL = 8;
/** There is a TCP or UDP checksum to be verified. */
export const VERIFIABLE = 16;
/** Goes back to the port that sent it. The value is that of RX_META_LOOPBACK. */
export const LOOPBACK = 32;

/** A frame lies in the sender's memory, in one piece or in fragments, or in a slot of the store. */
export class Frame {
  /** Where it, or its first fragment, begins: an unsigned address kept as a signed word. */
  address = 0;
  /** Bytes in all; 0 when the frame was dropped meanwhile. */
  length = 0;
  /** Of HASHED and the others; before the headers were read, TRUSTED or 0. */
  state = 0;
  /** RSS hash, signed. */
  hash = 0;
  /**
   * The checksum that is left to the NIC: where it begins to sum, as an offset from the frame's
   * start, and, in the high half, where its field is from there. 0: none. Such is the word in the
   * metadata.
   */
  checksum = 0;
  /** 0 for a frame in one piece; else their number, beginning with `firstFragment`. */
  fragments = 0;
  firstFragment = 0;
  /** Slot of the store; -1 for a frame in the sender's memory. */
  slot = -1;
}

export class FrameBatch {
  count = 0;
  readonly frames: readonly Frame[] = Array.from({ length: BATCH }, () => new Frame());

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
    const { frames, count } = this;
    for (let i = 0; i < count; i++) {
      const frame = frames[i];
      if (frame.slot < 0) continue;
      this.store.give(frame.slot);
      frame.slot = -1;
    }
    this.count = 0;
    this.fragmentCount = 0;
  }

  /** The memory the frame lies in. */
  viewOf(frame: Frame): MemoryView {
    return frame.slot < 0 ? this.memory : this.store.view(frame.slot);
  }

  /** Copies a frame to one place, wherever it lies. */
  gather(frame: Frame, to: MemoryView, target: number): void {
    if (frame.fragments === 0) {
      copyBytes(to, target, this.viewOf(frame), frame.address, frame.length);
      return;
    }
    const end = frame.firstFragment + frame.fragments;
    for (let i = frame.firstFragment; i < end; i++) {
      const length = this.fragmentLength[i];
      copyBytes(to, target, this.memory, this.fragmentAddress[i] | 0, length);
      target += length;
    }
  }

  /**
   * Bytes by which a frame that begins at a multiple of 8 is better shifted when it is put
   * together, 0 to 7: a long payload behind the headers is copied four times as fast between places
   * aligned alike.
   */
  shiftOf(frame: Frame): number {
    if (frame.fragments < 2) return 0;
    const second = frame.firstFragment + 1;
    if (this.fragmentLength[second] < SHIFT_FROM) return 0;
    return (this.fragmentAddress[second] - this.fragmentLength[second - 1]) & 7;
  }

  /** Moves a frame from the sender's memory to the store; false when that has no room. */
  putAside(frame: Frame): boolean {
    const { store } = this;
    const slot = store.take(frame.length);
    if (slot < 0) return false;
    const address = store.address(slot);
    this.gather(frame, store.view(slot), address);
    store.setChecksum(slot, frame.checksum, false);
    frame.address = address;
    frame.fragments = 0;
    frame.slot = slot;
    return true;
  }

  /** Adds a frame that lies in the store; the slot is given back by `clear`. */
  addSlot(slot: number): void {
    const { store } = this;
    const frame = this.frames[this.count++];
    frame.address = store.address(slot);
    frame.length = store.length(slot);
    frame.state = store.trusted(slot) ? TRUSTED : 0;
    frame.checksum = store.checksum(slot);
    frame.fragments = 0;
    frame.slot = slot;
  }
}
