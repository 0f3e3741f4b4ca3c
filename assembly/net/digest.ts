/**
 * One word for an IPv6 address, where a word must do: comparisons begin with it. Equal addresses have
 * equal digests; different ones may, and are told apart by the whole.
 */

/** Of a remote address. */
export function digest(high: u64, low: u64): u32 {
  return u32(high) ^ u32(high >> 32) ^ u32(low) ^ u32(low >> 32);
}

/** Of a local address: in 0/8, as no IPv4 address of ours is, so that it tells the version. */
export function localDigest(high: u64, low: u64): u32 {
  return digest(high, low) << 8;
}

/** True for a local address that is a digest. */
export function isDigest(local: u32): bool {
  return (local & 0xff) == 0;
}
