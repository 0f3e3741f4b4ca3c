/**
 * Receive-side scaling: the Toeplitz hash of a packet's addresses and ports, as Microsoft's "RSS
 * hashing functions" specifies it and 82599-class NICs compute it. For every set bit of the input,
 * the 32 bits of the key that begin at that bit's position are XORed into the hash; so each input
 * byte contributes one of 256 words, which the tables below hold.
 *
 *   IPv4 input   source 4 · destination 4 · source port 2 · destination port 2      12 bytes
 *   IPv6 input   source 16 · destination 16 · source port 2 · destination port 2    36 bytes
 *
 * all in network order; the ports are absent for fragments and for protocols without any.
 */

/** Microsoft's default key, which every NIC driver carries. */
export const TOEPLITZ_KEY: readonly number[] = [
  0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
  0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
  0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/** Longest input: an IPv6 tuple. */
const INPUT_BYTES = 36;

/**
 * The hash as tables: word `position * 256 + value` is what an input byte of that value at that
 * position contributes. The kernel reads the same words at CFG_TOEPLITZ.
 *
 * @param key 40 bytes
 */
export function toeplitzTables(key: ArrayLike<number> = TOEPLITZ_KEY): Uint32Array {
  if (key.length !== INPUT_BYTES + 4) {
    throw new RangeError(`key: an RSS key has 40 bytes, not ${key.length}`);
  }
  const tables = new Uint32Array(INPUT_BYTES * 256);
  for (let position = 0; position < INPUT_BYTES; position++) {
    const table = position * 256;
    for (let bit = 0; bit < 8; bit++) {
      const value = 0x80 >> bit;
      tables[table + value] = keyWindow(key, position, bit);
    }
    for (let value = 1; value < 256; value++) {
      const lowest = value & -value;
      if (lowest !== value) {
        tables[table + value] = tables[table + lowest] ^ tables[table + (value ^ lowest)];
      }
    }
  }
  return tables;
}

/** The 32 key bits that begin `bit` bits after byte `position`. */
function keyWindow(key: ArrayLike<number>, position: number, bit: number): number {
  const word =
    (key[position] << 24) |
    (key[position + 1] << 16) |
    (key[position + 2] << 8) |
    key[position + 3];
  return bit === 0 ? word : (word << bit) | (key[position + 4] >> (8 - bit));
}

/** Tables of the standard key, shared by all ports of this thread; signed, which V8 XORs faster. */
export const STANDARD_TABLES = new Int32Array(toeplitzTables().buffer as ArrayBuffer);

/**
 * Hash of `length` input bytes at `at`. Returns the hash as a signed word; `>>> 0` for people.
 *
 * @param first position of the first byte in the whole input, for inputs that do not lie together
 */
export function toeplitz(
  tables: Int32Array,
  bytes: Uint8Array,
  at: number,
  length: number,
  first = 0,
): number {
  let hash = 0;
  for (let i = 0; i < length; i++) hash ^= tables[((first + i) << 8) | bytes[at + i]];
  return hash;
}

/**
 * Hash of an IPv4 packet whose addresses begin at `addresses` and whose ports, if it has any, begin
 * at `ports` (0: no ports).
 */
export function hashIpv4(
  tables: Int32Array,
  bytes: Uint8Array,
  addresses: number,
  ports: number,
): number {
  const hash =
    tables[bytes[addresses]] ^
    tables[256 | bytes[addresses + 1]] ^
    tables[512 | bytes[addresses + 2]] ^
    tables[768 | bytes[addresses + 3]] ^
    tables[1024 | bytes[addresses + 4]] ^
    tables[1280 | bytes[addresses + 5]] ^
    tables[1536 | bytes[addresses + 6]] ^
    tables[1792 | bytes[addresses + 7]];
  if (ports === 0) return hash;
  return (
    hash ^
    tables[2048 | bytes[ports]] ^
    tables[2304 | bytes[ports + 1]] ^
    tables[2560 | bytes[ports + 2]] ^
    tables[2816 | bytes[ports + 3]]
  );
}

/** Hash of an IPv6 packet; parameters as for `hashIpv4`. */
export function hashIpv6(
  tables: Int32Array,
  bytes: Uint8Array,
  addresses: number,
  ports: number,
): number {
  const hash = toeplitz(tables, bytes, addresses, 32);
  return ports === 0 ? hash : hash ^ toeplitz(tables, bytes, ports, 4, 32);
}
