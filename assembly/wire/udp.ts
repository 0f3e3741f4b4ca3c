/**
 * UDP header (RFC 768), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |          source port          |       destination port        |   0
 *   |            length             |           checksum            |   4
 *
 * Accessors take the address of the header; the gate has checked that it is whole.
 */

export const UDP_PROTOCOL: u32 = 17;
export const UDP_HEADER_SIZE: u32 = 8;
/** Offset of the checksum field, for the NIC. */
export const UDP_CHECKSUM: u32 = 6;

/** Source port, host order; 0 when the sender wants no answer. */
export function udpSourcePort(header: u32): u32 {
  return bswap<u16>(load<u16>(header));
}

/** Destination port, host order. */
export function udpDestinationPort(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 2));
}

/** Bytes of header and payload. */
export function udpLength(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 4));
}

/** As it lies in memory; 0 when the sender made none. */
export function udpChecksum(header: u32): u32 {
  return load<u16>(header, UDP_CHECKSUM);
}

/**
 * Writes a header with a zero checksum.
 *
 * @param sourcePort, destinationPort host order
 * @param length bytes of header and payload
 */
export function emitUdp(header: u32, sourcePort: u32, destinationPort: u32, length: u32): void {
  store<u32>(header, portPair(sourcePort, destinationPort));
  store<u32>(header, bswap<u16>(<u16>length), 4);
}

/** Two ports of host order as the first word of a UDP or TCP header lies in memory. */
export function portPair(source: u32, destination: u32): u32 {
  return bswap<u32>((source << 16) | destination);
}
