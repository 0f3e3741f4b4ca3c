/**
 * A client's connection: gives its protocol lines and messages that lie contiguous, and takes answers. What
 * a connection may hold is bounded: a line block for a command that has come in part, one item being
 * written, one output's worth of bytes that its context would not take, and LENT_MAX bytes of values that are
 * sent from where they lie. While it holds the last two nothing more is read from it, so a client that does not
 * read its answers is soon not listened to.
 */
import { copyWithin } from "../../host/libix/copy.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { BYTES_READ, BYTES_WRITTEN } from "./counters.ts";
import { HASH, KEY, KEY_LENGTH_MASK, LENGTH, STATE } from "./item.ts";
import { U64 } from "./numbers.ts";
import type { Server } from "./server.ts";

/** Size of line blocks: those of libix's copies. Lines that come in parts may be so long, and a frame more. */
export const LINE_MAX = 2048;
/** Most bytes lent to the kernel at a time, or one value. */
const LENT_MAX = 4 << 20;

const LINE_FEED = 0x0a;
/** First byte of binary requests. */
const BINARY_MAGIC = 0x80;

/** Numbers of protocols, as a moving connection's tag. */
const UNKNOWN = 0;
const TEXT = 1;
const BINARY = 2;
/** A command has come in part, so that the connection cannot go on elsewhere. */
const UNFINISHED = 4;

export class Connection {
  readonly context = new IxevContext(this);
  readonly server: Server;

  /** Where the line or message lies that was taken last; the line's end is its LF. */
  start = 0;
  end = 0;
  /** The item whose value is being received, 0: none is, how many bytes of it have come, and what then. */
  item = 0;
  filled = 0;
  mode = 0;
  readonly cas = new U64();
  noReply = false;
  opaque = 0;
  opcode = 0;
  /** Bytes of a value that nobody wants. */
  unwanted = 0;
  /** A multiget that has come in part, or whose answers wait for room: its keys are in the line block. */
  multiget: Multiget | null = null;
  /** No more commands: close when everything is out. */
  quitting = false;

  #protocol: number;
  #tag: number;
  /** Block that parts of a line are collected in, 0: none, and bytes in it. */
  #block = 0;
  #held = 0;
  /** What the context did not take, and an item whose value goes after it. */
  #pending: Uint8Array | null = null;
  #pendingItem = 0;
  #pendingLength = 0;
  /** Items that are being sent, in order, each with the bytes sent of it; and all their bytes. */
  readonly #lent: number[] = [];
  #lentBytes = 0;

  constructor(server: Server, tag = UNKNOWN) {
    this.server = server;
    this.#protocol = tag;
    this.#tag = tag;
    this.context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, work);
  }

  /** A connection that was on another core; null when it cannot go on here. */
  static arrived(server: Server, tag: number): Connection | null {
    return (tag & UNFINISHED) === 0 ? new Connection(server, tag) : null;
  }

  /** Does all that can be done now. */
  work(): void {
    const before = this.context.available;
    if (this.#drain()) {
      while (!this.quitting && this.mayAnswer() && this.#step());
      this.flush();
    }
    this.server.store.count(BYTES_READ, before - this.context.available);
    if (this.server.mayMove) this.#setTag();
    const isOver = this.quitting || (this.context.ended && this.multiget === null);
    if (isOver && this.#pending === null && this.#pendingItem === 0) this.context.close();
  }

  /** The connection is over: gives back what it held. */
  release(): void {
    const { store, ixev } = this.server;
    if (this.item !== 0) store.discard(this.item);
    if (this.#pendingItem !== 0) store.release(this.#pendingItem);
    if (this.#block !== 0) ixev.buffers.give(this.#block);
    this.item = this.#pendingItem = this.#block = 0;
    this.#pending = null;
  }

  // -------------------------------------------------------------------------------------------
  // Input

  /**
   * Takes the next line; `start` and `end` say where it lies until the next is taken. False when it has not come
   * as a whole: `lineHeld` bytes of it are in the block.
   */
  takeLine(): boolean {
    const { context } = this;
    const { bytes } = this.server.store;
    for (let length = context.frontLength; length > 0; length = context.frontLength) {
      const from = context.frontAddress;
      let newline = from;
      const end = from + length;
      while (newline < end && bytes[newline] !== LINE_FEED) newline++;
      const found = newline < end;
      if (found && this.#held === 0) {
        context.consume(newline + 1 - from);
        this.start = from;
        this.end = newline;
        return true;
      }
      if (this.#held > LINE_MAX) return false;
      if (!this.#collect(from, found ? newline + 1 - from : length)) return false;
      if (found) {
        this.start = this.#block;
        this.end = this.#block + this.#held - 1;
        this.#held = 0;
        return true;
      }
    }
    return false;
  }

  /** Bytes of a line, or of a message, whose rest has not come, and where they are. */
  get held(): number {
    return this.#held;
  }

  get block(): number {
    return this.#block;
  }

  /**
   * Has the next `length` bytes lie contiguous at `start`; false when they have not all come. They are taken,
   * unless `take` is false: then the next call begins where this one did.
   */
  takeBytes(length: number, take = true): boolean {
    const { context } = this;
    if (this.#held === 0 && context.frontLength >= length) {
      this.start = context.frontAddress;
      if (take) context.consume(length);
      return true;
    }
    while (this.#held < length && context.frontLength > 0) {
      const part = Math.min(length - this.#held, context.frontLength);
      if (!this.#collect(context.frontAddress, part)) return false;
    }
    if (this.#held < length) return false;
    this.start = this.#block;
    return true;
  }

  /** Forgets the collected bytes: they have been made use of. */
  dropHeld(): void {
    this.#held = 0;
    if (this.#block === 0) return;
    this.server.ixev.buffers.give(this.#block);
    this.#block = 0;
  }

  /** Has the bytes from `from` to `to` be the beginning of the line that is collected. False: no memory. */
  holdBack(from: number, to: number): boolean {
    if (to - from > this.server.ixev.buffers.size || !this.#makeBlock()) return false;
    this.server.store.bytes.copyWithin(this.#block, from, to);
    this.#held = to - from;
    return true;
  }

  /** Receives the value of `item`, and `tail` bytes after it; true when it is complete. */
  fill(tail: number): boolean {
    const { ix, store } = this.server;
    const { words } = store;
    const at = this.item >>> 2;
    const value = this.item + KEY + (words[at + STATE] & KEY_LENGTH_MASK);
    const whole = words[at + LENGTH] + tail;
    const { context } = this;
    while (this.filled < whole && context.frontLength > 0) {
      const part = Math.min(whole - this.filled, context.frontLength);
      copyWithin(ix, value + this.filled, context.frontAddress, part);
      context.consume(part);
      this.filled += part;
    }
    return this.filled === whole;
  }

  /** Adds received bytes to the block; false when there is none to be had, or no room in it. */
  #collect(from: number, length: number): boolean {
    const { buffers } = this.server.ixev;
    if (!this.#makeBlock() || this.#held + length > buffers.size) {
      this.quitting = true;
      return false;
    }
    this.server.store.bytes.copyWithin(this.#block + this.#held, from, from + length);
    this.#held += length;
    this.context.consume(length);
    return true;
  }

  #makeBlock(): boolean {
    if (this.#block === 0) this.#block = this.server.ixev.buffers.take();
    return this.#block !== 0;
  }

  /** One command, or a part of one; false when it has to wait. */
  #step(): boolean {
    if (this.unwanted > 0) return this.#skip();
    if (this.#protocol === UNKNOWN) {
      if (this.context.frontLength === 0) return false;
      const first = this.server.store.bytes[this.context.frontAddress];
      this.#protocol = first === BINARY_MAGIC ? BINARY : TEXT;
    }
    return this.#protocol === TEXT ? this.server.text.step(this) : this.server.binary.step(this);
  }

  #skip(): boolean {
    const { context } = this;
    const part = Math.min(this.unwanted, context.available);
    context.consume(part);
    this.unwanted -= part;
    return this.unwanted === 0;
  }

  // -------------------------------------------------------------------------------------------
  // Output

  /** False while there is no room for another answer. */
  mayAnswer(): boolean {
    const waits = this.#pending !== null || this.#pendingItem !== 0 || this.#lentBytes >= LENT_MAX;
    return !waits && (!this.server.output.isFull || this.flush());
  }

  /** Hands over what was answered; false when not all of it was taken. */
  flush(): boolean {
    const { output } = this.server;
    const { length } = output;
    if (length === 0) return this.#pending === null;
    output.clear();
    this.server.store.count(BYTES_WRITTEN, length);
    const sent = this.context.sendMemory(output.start, length);
    if (sent === length) return true;
    if (sent < 0) this.quitting = true;
    else this.#pending = output.bytes.slice(output.start + sent, output.start + length);
    return false;
  }

  /**
   * Answers with an item's value, and the `tail` bytes behind it: a short one by a copy, a long one from where
   * it lies. The item's partition is entered.
   */
  value(item: number, tail = 0): void {
    const { store, output, ix } = this.server;
    const at = item >>> 2;
    const value = item + KEY + (store.words[at + STATE] & KEY_LENGTH_MASK);
    const length = store.words[at + LENGTH] + tail;
    if (length < ix.copyBreak) {
      output.memory(value, length);
      return;
    }
    store.partition(store.words[at + HASH]).keep(item);
    this.#pendingItem = item;
    this.#pendingLength = length;
  }

  /** Sends the value that `value` has found too long to copy. Its partition has been left. */
  lend(): void {
    if (this.#pendingItem !== 0 && this.flush()) this.#lendPending();
  }

  #lendPending(): void {
    const { store } = this.server;
    const item = this.#pendingItem;
    const length = this.#pendingLength;
    const value = item + KEY + (store.words[(item >>> 2) + STATE] & KEY_LENGTH_MASK);
    this.#pendingItem = 0;
    store.count(BYTES_WRITTEN, length);
    if (this.context.sendZeroCopy(value, length, this.#returned) > 0) {
      this.#lent.push(item, length);
      this.#lentBytes += length;
      return;
    }
    store.release(item);
    this.quitting = true;
  }

  /** Called for lent values in order. */
  readonly #returned = (): void => {
    this.server.store.release(this.#lent.shift()!);
    this.#lentBytes -= this.#lent.shift()!;
    if (this.#lentBytes < LENT_MAX && !this.context.isDead) this.context.enable(IXEVIN | IXEVOUT);
  };

  /** Sends what waits; false while some does. */
  #drain(): boolean {
    if (this.#pending !== null) {
      const sent = this.context.send(this.#pending);
      if (sent < 0) {
        this.#pending = null;
        this.quitting = true;
        return false;
      }
      this.#pending = sent === this.#pending.length ? null : this.#pending.subarray(sent);
      if (this.#pending !== null) return false;
    }
    if (this.#pendingItem !== 0) this.#lendPending();
    return true;
  }

  /** Notes for another core what the connection is in the middle of. */
  #setTag(): void {
    const isUnfinished =
      this.item !== 0 ||
      this.#held !== 0 ||
      this.unwanted !== 0 ||
      this.multiget !== null ||
      this.#pending !== null ||
      this.#pendingItem !== 0;
    const tag = this.#protocol | (isUnfinished ? UNFINISHED : 0);
    if (tag === this.#tag) return;
    this.#tag = tag;
    this.context.tag = tag;
  }
}

/** What is left of a command with many keys. */
export interface Multiget {
  readonly withCas: boolean;
  /** For gat, else KEEP_EXPIRY. */
  readonly expiry: number;
  /** All keys are in the block. */
  isComplete: boolean;
}

function work(context: IxevContext, conditions: number): void {
  if ((conditions & IXEVHUP) === 0) (context.data as Connection).work();
}
