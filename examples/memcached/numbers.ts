/** Decimal numbers as they lie in memory: what strtol and strtoul of memcached take, and how it prints them. */

const ZERO = 0x30;
const PLUS = 0x2b;
const MINUS = 0x2d;
const SPACE = 0x20;
const WORD = 2 ** 32;

/** A number of 64 bits, in two words; used again and again. */
export class U64 {
  high = 0;
  low = 0;

  set(high: number, low: number): void {
    this.high = high >>> 0;
    this.low = low >>> 0;
  }

  get isZero(): boolean {
    return (this.high | this.low) === 0;
  }

  /** Adds modulo 2^64. */
  add(other: U64): void {
    const low = this.low + other.low;
    this.set(this.high + other.high + (low >= WORD ? 1 : 0), low);
  }

  /** Subtracts; 0 when the other is more. */
  subtract(other: U64): void {
    if (this.isLess(other)) {
      this.set(0, 0);
      return;
    }
    const borrow = this.low < other.low ? 1 : 0;
    this.set(this.high - other.high - borrow, this.low - other.low);
  }

  isLess(other: U64): boolean {
    return this.high < other.high || (this.high === other.high && this.low < other.low);
  }

  /** Reads decimal digits, with spaces around them if `padded`; false when there is anything else or too much. */
  parse(bytes: Uint8Array, from: number, to: number, padded = false): boolean {
    let at = from;
    let end = to;
    if (padded) {
      while (at < end && bytes[at] === SPACE) at++;
      while (end > at && bytes[end - 1] === SPACE) end--;
    }
    if (at < end && bytes[at] === PLUS) at++;
    if (at >= end) return false;
    let high = 0;
    let low = 0;
    for (; at < end; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) return false;
      const product = low * 10 + digit;
      const carry = Math.floor(product / WORD);
      low = product % WORD;
      high = high * 10 + carry;
      if (high >= WORD) return false;
    }
    this.set(high, low);
    return true;
  }

  toString(): string {
    if (this.high < 2 ** 21) return String(this.high * WORD + this.low);
    return String((BigInt(this.high) << 32n) | BigInt(this.low));
  }
}

/** An unsigned number up to 2^32 - 1, or NaN. */
export function parseUnsigned(bytes: Uint8Array, from: number, to: number): number {
  const at = from < to && bytes[from] === PLUS ? from + 1 : from;
  const value = parseDigits(bytes, at, to);
  return value < WORD ? value : NaN;
}

/** A signed number of 32 bits, or NaN. */
export function parseSigned(bytes: Uint8Array, from: number, to: number): number {
  if (from < to && bytes[from] === MINUS) {
    const value = -parseDigits(bytes, from + 1, to);
    return value >= -(2 ** 31) ? value : NaN;
  }
  const at = from < to && bytes[from] === PLUS ? from + 1 : from;
  const value = parseDigits(bytes, at, to);
  return value < 2 ** 31 ? value : NaN;
}

/** Digits that make up a number below 2^53, or NaN. */
function parseDigits(bytes: Uint8Array, from: number, to: number): number {
  if (from >= to || to - from > 15) return NaN;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Writes a whole number below 2^53 at `at`; returns where it ends. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = ZERO + value;
    return at + 1;
  }
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  for (let i = at + digits - 1; i >= at; i--) {
    const rest = Math.floor(value / 10);
    bytes[i] = ZERO + (value - rest * 10);
    value = rest;
  }
  return at + digits;
}
