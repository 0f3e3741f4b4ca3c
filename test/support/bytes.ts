/** Byte arrays for tests: hex both ways, joining, big-endian fields, and payloads one can tell apart. */

/** Bytes from hex text; white space is skipped, so that captures can be laid out in lines. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new RangeError(`not hex: ${text}`);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Hex text of bytes, without separators. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** Big-endian 16-bit number. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of((value >>> 8) & 0xff, value & 0xff);
}

/** Big-endian 32-bit number. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(
    (value >>> 24) & 0xff,
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  );
}

export function readU16(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw new RangeError(`no 16-bit field at ${at} of ${bytes.length}`);
  return (bytes[at] << 8) | bytes[at + 1];
}

export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x10000 + readU16(bytes, at + 2);
}

/**
 * Bytes `offset` to `offset + length` of an endless stream in which no two places look alike for
 * long: a misplaced, repeated or lost byte shows in a comparison.
 */
export function pattern(length: number, offset = 0, stream = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const position = offset + i;
    const word = Math.imul((position >>> 2) + stream * 0x10001 + 1, 0x9e3779b1);
    bytes[i] = (word >>> ((position & 3) * 8)) ^ (word >>> 11);
  }
  return bytes;
}

/** Where two byte arrays first differ, or -1. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : common;
}

/** Fails with the place of the first difference instead of a dump of both arrays. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what = "bytes"): void {
  const at = firstDifference(actual, expected);
  if (at < 0) return;
  throw new Error(
    `${what}: ${actual.length} bytes, expected ${expected.length}; first difference at ${at}: ` +
      `${toHex(actual.subarray(at, at + 8))} instead of ${toHex(expected.subarray(at, at + 8))}`,
  );
}
