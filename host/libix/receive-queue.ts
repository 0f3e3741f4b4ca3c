/**
 * What a connection has received and its application has not consumed: a queue of ranges that lie in
 * packet frames. Frames belong to the application until given back, in order and byte-exact, by
 * recv_done; consuming here only counts, so that a round's consumption becomes one call.
 */
import { copyOut } from "./copy.ts";
import type { Ix } from "./ix.ts";
import { KEEP, NO_SEGMENT } from "./segments.ts";
import type { SegmentPool } from "./segments.ts";

export class ReceiveQueue {
  /** Bytes that can be read now. */
  available = 0;
  /** Bytes consumed since `takeConsumed`. */
  consumed = 0;
  /** The peer has ended its stream; what is available is the last of it. */
  ended = false;

  readonly #segments: SegmentPool;
  #head = NO_SEGMENT;
  #tail = NO_SEGMENT;

  constructor(segments: SegmentPool) {
    this.#segments = segments;
  }

  push(address: number, length: number): void {
    const segments = this.#segments;
    const segment = segments.take(address, length, KEEP);
    if (this.#head === NO_SEGMENT) this.#head = segment;
    else segments.next[this.#tail] = segment;
    this.#tail = segment;
    this.available += length;
  }

  /** Address of the next byte; 0 when there is none. */
  get frontAddress(): number {
    return this.#head === NO_SEGMENT ? 0 : this.#segments.address[this.#head];
  }

  /** How many bytes lie contiguous at `frontAddress`. */
  get frontLength(): number {
    return this.#head === NO_SEGMENT ? 0 : this.#segments.length[this.#head];
  }

  /** Copies out and consumes up to `into.length` bytes; returns how many. */
  copyInto(ix: Ix, into: Uint8Array): number {
    const segments = this.#segments;
    let done = 0;
    while (done < into.length && this.#head !== NO_SEGMENT) {
      const address = segments.address[this.#head];
      const taken = Math.min(segments.length[this.#head], into.length - done);
      copyOut(ix, into, done, address, taken);
      this.consume(taken);
      done += taken;
    }
    return done;
  }

  /** Consumes the next `length` bytes, at most what is available. */
  consume(length: number): void {
    const segments = this.#segments;
    this.available -= length;
    this.consumed += length;
    while (length > 0) {
      const head = this.#head;
      const held = segments.length[head];
      if (length < held) {
        segments.address[head] += length;
        segments.length[head] = held - length;
        return;
      }
      length -= held;
      this.#head = segments.next[head];
      segments.give(head);
    }
  }

  /** Bytes to give back by one recv_done; the count starts again. */
  takeConsumed(): number {
    const consumed = this.consumed;
    this.consumed = 0;
    return consumed;
  }

  /** The kernel refused what `takeConsumed` gave: it is to be given back again. */
  putBack(consumed: number): void {
    this.consumed += consumed;
  }

  /** Forgets everything: the frames are the kernel's again. */
  drop(): void {
    this.consume(this.available);
    this.consumed = 0;
  }
}
