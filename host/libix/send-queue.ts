/**
 * What a connection has to send: a queue of ranges, in stream order.
 *
 *      released        accepted           queued
 *   ------|----------------|-----------------|      stream positions, bytes from 0
 *          held by the      not yet taken
 *          kernel or by     by the kernel
 *          `acknowledged`
 *
 * A range is released (its copy buffer reused, its completion called) when the kernel has no more use
 * for its memory. For bytes that the kernel copied at the call that is when it accepted them; for
 * those it refers to, and for completions always, when the peer has acknowledged them.
 */
import type { CopyBuffers } from "./copy-buffers.ts";
import { copyIn, copyOut, copyWithin } from "./copy.ts";
import type { Ix } from "./ix.ts";
import { COMPLETE, COPIED, KEEP, NO_SEGMENT } from "./segments.ts";
import type { Completion, SegmentPool } from "./segments.ts";
import { SG_MAX } from "../../assembly/abi.ts";

/** What the queues of a core share. */
export interface SendLoop {
  readonly ix: Ix;
  readonly segments: SegmentPool;
  readonly buffers: CopyBuffers;
  /** Most bytes of copy buffers that one connection may occupy. */
  readonly sendLimit: number;
  /** Address of room for `entries` {address, length} pairs, kept until this round's calls are run. */
  takeVector(entries: number): number;
}

export class SendQueue {
  /** Stream positions; `queued` is the end of the stream so far. */
  queued = 0;
  accepted = 0;
  acknowledged = 0;
  /** Bytes of copy buffers that are in use for this connection. */
  copiesHeld = 0;
  /** Bytes asked of the kernel by the call whose result is awaited; 0 when none is. */
  requested = 0;
  /** The last call was cut short: wait for `sent`. */
  blocked = false;
  /** The last copy was cut short because there was no buffer. */
  starved = false;

  readonly #loop: SendLoop;
  readonly #segments: SegmentPool;
  readonly #buffers: CopyBuffers;
  #released = 0;
  /** End of the last bytes that the kernel refers to rather than has copied. */
  #referenced = 0;
  #head = NO_SEGMENT;
  #tail = NO_SEGMENT;
  /** First range not accepted as a whole, and how much of it was. */
  #next = NO_SEGMENT;
  #nextOffset = 0;

  constructor(loop: SendLoop) {
    this.#loop = loop;
    this.#segments = loop.segments;
    this.#buffers = loop.buffers;
  }

  /** Bytes that wait to be accepted. */
  get unsent(): number {
    return this.queued - this.accepted;
  }

  /**
   * Queues a copy of `bytes`. Returns how many: what does not fit the limit, or the buffers that there are
   * (`starved`), is left.
   */
  copyIn(bytes: Uint8Array): number {
    const { length } = bytes;
    let done = 0;
    while (done < length) {
      const room = this.#reserve(length - done, 0);
      if (room === 0) break;
      copyIn(this.#loop.ix, this.#end, bytes, done, room);
      this.#commit(room);
      done += room;
    }
    return done;
  }

  /** The same for `length` bytes of the dataplane's memory. */
  copyWithin(address: number, length: number): number {
    let done = 0;
    while (done < length) {
      const room = this.#reserve(length - done, (address + done) & 3);
      if (room === 0) break;
      copyWithin(this.#loop.ix, this.#end, address + done, room);
      this.#commit(room);
      done += room;
    }
    return done;
  }

  /** Queues memory of the application's own; `done` is told when it is free again. */
  refer(address: number, length: number, done: Completion | null): void {
    const segment = this.#append(address, length, done === null ? KEEP : COMPLETE);
    if (done !== null) this.#segments.completion[segment] = done;
    if (this.#next === NO_SEGMENT) {
      this.#next = segment;
      this.#nextOffset = 0;
    }
    this.queued += length;
  }

  /**
   * Makes the one call of this round for what is unsent, when there is any and the last call was not
   * cut short.
   */
  emit(handle: number, cookie: number): void {
    if (this.#next === NO_SEGMENT || this.blocked || this.requested !== 0) return;
    const { ix } = this.#loop;
    const segments = this.#segments;
    const first = segments.address[this.#next] + this.#nextOffset;
    const firstLength = segments.length[this.#next] - this.#nextOffset;
    let segment = segments.next[this.#next];
    if (segment === NO_SEGMENT) {
      this.requested = firstLength;
      ix.send(handle, first, firstLength, cookie);
      return;
    }
    let entries = 1;
    for (let at = segment; at !== NO_SEGMENT && entries < SG_MAX; at = segments.next[at]) entries++;
    const vector = this.#loop.takeVector(entries);
    ix.writeVector(vector, 0, first, firstLength);
    let bytes = firstLength;
    for (let entry = 1; entry < entries; entry++) {
      ix.writeVector(vector, entry, segments.address[segment], segments.length[segment]);
      bytes += segments.length[segment];
      segment = segments.next[segment];
    }
    this.requested = bytes;
    ix.sendv(handle, vector, entries, cookie);
  }

  /** Makes the call that connects to `endpoint`, with the first range of what is unsent, if any. */
  emitWithSyn(cookie: number, endpoint: number, sourcePort: number): void {
    const next = this.#next;
    const isEmpty = next === NO_SEGMENT;
    const address = isEmpty ? endpoint : this.#segments.address[next] + this.#nextOffset;
    this.requested = isEmpty ? 0 : this.#segments.length[next] - this.#nextOffset;
    this.#loop.ix.connectSend(cookie, endpoint, address, this.requested, sourcePort);
  }

  /** The kernel copied `bytes` of them into the SYN. The others wait for the handshake, not for `sent`. */
  acceptWithSyn(bytes: number): void {
    this.accept(bytes, false);
    this.blocked = false;
  }

  /** The kernel accepted `bytes` of what was requested, and refers to them when `referenced`. */
  accept(bytes: number, referenced: boolean): void {
    const segments = this.#segments;
    this.blocked = bytes < this.requested;
    this.requested = 0;
    this.accepted += bytes;
    if (referenced) this.#referenced = this.accepted;
    let left = bytes + this.#nextOffset;
    while (this.#next !== NO_SEGMENT && left >= segments.length[this.#next]) {
      left -= segments.length[this.#next];
      this.#next = segments.next[this.#next];
    }
    this.#nextOffset = left;
    this.#release();
  }

  /** The peer has acknowledged `bytes` more. */
  acknowledge(bytes: number): void {
    this.acknowledged += bytes;
    this.#release();
  }

  /** Copies out what waits to be accepted. */
  copyUnsent(): Uint8Array {
    const segments = this.#segments;
    const bytes = new Uint8Array(this.unsent);
    let offset = this.#nextOffset;
    let done = 0;
    for (let at = this.#next; at !== NO_SEGMENT; at = segments.next[at]) {
      const length = segments.length[at] - offset;
      copyOut(this.#loop.ix, bytes, done, segments.address[at] + offset, length);
      done += length;
      offset = 0;
    }
    return bytes;
  }

  /** The kernel took nothing and says nothing of it: the same is asked again. */
  refuse(): void {
    this.requested = 0;
  }

  /**
   * Ends the queue: everything is released, unacknowledged completions with `carried`: whether somebody
   * else has the bytes now.
   */
  drop(carried = false): void {
    while (this.#head !== NO_SEGMENT) {
      const end = this.#released + this.#segments.length[this.#head];
      this.#releaseHead(carried || end <= this.acknowledged);
    }
    this.#tail = NO_SEGMENT;
    this.#next = NO_SEGMENT;
    this.#nextOffset = 0;
    this.requested = 0;
    this.accepted = this.queued;
  }

  /**
   * Makes room for up to `length` bytes at `#end`; 0 when the limit is reached or there is no buffer. A new
   * buffer is begun at `phase` modulo 4, so that the bytes can be copied by words.
   */
  #reserve(length: number, phase: number): number {
    const room = this.#room;
    if (room !== 0) return Math.min(length, room);
    this.starved = false;
    const { size } = this.#buffers;
    if (this.copiesHeld + size > this.#loop.sendLimit) return 0;
    const buffer = this.#buffers.take();
    if (buffer === 0) {
      this.starved = true;
      return 0;
    }
    this.#append(buffer + phase, 0, COPIED);
    this.copiesHeld += size;
    return Math.min(length, size - phase);
  }

  /** Where the bytes that `#reserve` made room for go. */
  get #end(): number {
    return this.#segments.address[this.#tail] + this.#segments.length[this.#tail];
  }

  /** Takes `length` bytes at `#end` into the queue. */
  #commit(length: number): void {
    const held = this.#segments.length[this.#tail];
    if (this.#next === NO_SEGMENT) {
      this.#next = this.#tail;
      this.#nextOffset = held;
    }
    this.#segments.length[this.#tail] = held + length;
    this.queued += length;
  }

  /** Bytes that still fit the copy buffer at the end of the queue. */
  get #room(): number {
    const segments = this.#segments;
    const tail = this.#tail;
    if (tail === NO_SEGMENT || segments.kind[tail] !== COPIED) return 0;
    const phase = segments.address[tail] & 3;
    return this.#buffers.size - phase - segments.length[tail];
  }

  #append(address: number, length: number, kind: number): number {
    const segments = this.#segments;
    const segment = segments.take(address, length, kind);
    if (this.#head === NO_SEGMENT) this.#head = segment;
    else segments.next[this.#tail] = segment;
    this.#tail = segment;
    return segment;
  }

  #release(): void {
    const segments = this.#segments;
    const copied = this.#referenced > this.acknowledged ? this.acknowledged : this.accepted;
    while (this.#head !== NO_SEGMENT && this.#head !== this.#next) {
      const isCopy = segments.kind[this.#head] === COPIED;
      const end = this.#released + segments.length[this.#head];
      if (end > (isCopy ? copied : this.acknowledged)) return;
      this.#releaseHead(true);
    }
  }

  #releaseHead(acknowledged: boolean): void {
    const segments = this.#segments;
    const head = this.#head;
    const kind = segments.kind[head];
    const address = segments.address[head];
    this.#released += segments.length[head];
    this.#head = segments.next[head];
    if (this.#head === NO_SEGMENT) this.#tail = NO_SEGMENT;
    segments.give(head);
    if (kind === COPIED) {
      this.copiesHeld -= this.#buffers.size;
      this.#buffers.give((address & ~3) >>> 0);
    } else if (kind === COMPLETE) {
      const completion = segments.completion[head]!;
      segments.completion[head] = null;
      completion(acknowledged);
    }
  }
}
