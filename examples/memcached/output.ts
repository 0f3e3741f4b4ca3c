/**
 * Where answers are written before they go to a connection: one block of the window for each core, filled by
 * one connection at a time. Who writes has made sure that there is room (`isFull`).
 */
import { copyWithin } from "../../host/libix/copy.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { writeDecimal } from "./numbers.ts";

const SIZE = 64 << 10;
/** What one answer may take at most: a value that is copied, its key and what is around it. */
const MARGIN = 32 << 10;

export class Output {
  readonly bytes: Uint8Array;
  readonly start: number;
  at: number;
  /** How often it was handed over: places in it are another thing since. */
  handovers = 0;
  readonly #ix: Ix;

  /** @throws {RangeError} the core's part of the window has no room for it */
  constructor(ix: Ix) {
    this.#ix = ix;
    this.bytes = ix.bytes;
    this.start = ix.window.allocate(SIZE);
    if (this.start === 0) {
      throw new RangeError(`applicationWindow: memcached needs ${SIZE} bytes of it per core`);
    }
    this.at = this.start;
  }

  get length(): number {
    return this.at - this.start;
  }

  /** Hand over what is here before the next answer. */
  get isFull(): boolean {
    return this.at - this.start > SIZE - MARGIN;
  }

  /** What is here has been handed over. */
  clear(): void {
    this.at = this.start;
    this.handovers++;
  }

  write(bytes: Uint8Array): void {
    const own = this.bytes;
    const { length } = bytes;
    let { at } = this;
    for (let i = 0; i < length; i++) own[at++] = bytes[i];
    this.at = at;
  }

  /** ASCII. */
  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i);
  }

  decimal(value: number): void {
    this.at = writeDecimal(this.bytes, this.at, value);
  }

  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** Big-endian. */
  u16(value: number): void {
    this.byte(value >>> 8);
    this.byte(value);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value);
  }

  /** Bytes of the linear memory. */
  memory(address: number, length: number): void {
    copyWithin(this.#ix, this.at, address, length);
    this.at += length;
  }
}

/** A text that is written often, as bytes. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
