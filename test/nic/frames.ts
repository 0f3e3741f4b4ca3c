/** Frames for the NIC tests, built plainly and checksummed the long way round. */

export interface FrameOptions {
  readonly to?: ArrayLike<number>;
  readonly from?: ArrayLike<number>;
  readonly source?: ArrayLike<number>;
  readonly destination?: ArrayLike<number>;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** 6 or 17. */
  readonly protocol?: number;
  readonly payload?: ArrayLike<number>;
  /** 32-bit words of IPv4 options. */
  readonly optionWords?: number;
  /** The flags and fragment-offset field. */
  readonly fragment?: number;
  /**
   * What stands in the checksum field: the right sum, or the pseudo header's for the NIC to finish.
   */
  readonly checksum?: "full" | "pseudo";
}

const be16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];

/** RFC 1071, byte pair by byte pair. */
export function onesComplementSum(bytes: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += bytes[i] * 256 + (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return total;
}

/**
 * A TCP segment or UDP datagram in an Ethernet frame, IPv4 or IPv6 by the length of the addresses.
 */
export function ipFrame(options: FrameOptions = {}): Uint8Array {
  const {
    to = [2, 0, 0, 0, 0, 98],
    from = [2, 0, 0, 0, 0, 97],
    source = [10, 0, 0, 1],
    destination = [10, 0, 0, 2],
    sourcePort = 1000,
    destinationPort = 2000,
    protocol = 6,
    payload = [],
    optionWords = 0,
    fragment = 0,
    checksum = "full",
  } = options;
  const tcp = protocol === 6;
  const l4Length = (tcp ? 20 : 8) + payload.length;
  const l4 = tcp
    ? [...be16(sourcePort), ...be16(destinationPort), 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 16, 0]
    : [...be16(sourcePort), ...be16(destinationPort), ...be16(l4Length)];
  const field = l4.length;
  l4.push(0, 0);
  if (tcp) l4.push(0, 0);
  l4.push(...Array.from(payload));
  const pseudo = [
    ...Array.from(source),
    ...Array.from(destination),
    ...be16(protocol),
    ...be16(l4Length),
  ];
  const sum =
    checksum === "pseudo"
      ? onesComplementSum(pseudo)
      : ~onesComplementSum([...pseudo, ...l4]) & 0xffff || 0xffff;
  l4.splice(field, 2, ...be16(sum));
  const ethernet = [...Array.from(to), ...Array.from(from)];
  if (source.length === 16) {
    const header = [0x60, 0, 0, 0, ...be16(l4Length), protocol, 64];
    return Uint8Array.from([
      ...ethernet,
      0x86,
      0xdd,
      ...header,
      ...Array.from(source),
      ...Array.from(destination),
      ...l4,
    ]);
  }
  const headerLength = 20 + optionWords * 4;
  const ip = [
    0x45 + optionWords,
    0,
    ...be16(headerLength + l4Length),
    0x12,
    0x34,
    ...be16(fragment),
    64,
    protocol,
    0,
    0,
    ...Array.from(source),
    ...Array.from(destination),
    ...Array.from({ length: optionWords * 4 }, () => 1),
  ];
  ip.splice(10, 2, ...be16(~onesComplementSum(ip) & 0xffff));
  return Uint8Array.from([...ethernet, 8, 0, ...ip, ...l4]);
}

/** `length` bytes that differ from each other. */
export function pattern(length: number, seed = 0): number[] {
  return Array.from({ length }, (_, i) => (i * 31 + seed * 7 + 3) & 0xff);
}
