/** The bytes that echo clients send: a message of `size` bytes, repeated `copies` times. */
export function messagePattern(size: number, copies: number): Uint8Array {
  const pattern = new Uint8Array(size * copies);
  for (let i = 0; i < pattern.length; i++) {
    const place = i % size;
    pattern[i] = place * 7 + (place >>> 8);
  }
  return pattern;
}
