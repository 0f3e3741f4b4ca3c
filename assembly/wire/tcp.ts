/**
 * TCP header (RFC 9293 section 3.1), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |          source port          |       destination port        |   0
 *   |                        sequence number                        |   4
 *   |                     acknowledgment number                     |   8
 *   | offset| rsvd  |C|E|U|A|P|R|S|F|            window             |  12
 *   |           checksum            |        urgent pointer         |  16
 *   |                  options (offset * 4 - 20 bytes)              |  20
 *
 * Accessors take the address of the header; the gate has checked that it is whole.
 */

export const TCP_HEADER_SIZE: u32 = 20;
export const TCP_PROTOCOL: u32 = 6;

export const FIN: u32 = 0x01;
export const SYN: u32 = 0x02;
export const RST: u32 = 0x04;
export const PSH: u32 = 0x08;
export const ACK: u32 = 0x10;
export const URG: u32 = 0x20;
/** RFC 3168: the receiver echoes a mark; the sender has reduced its window. */
export const ECE: u32 = 0x40;
export const CWR: u32 = 0x80;

/** Offset of the checksum field, for the NIC. */
export const TCP_CHECKSUM: u32 = 16;

/** Sequence number, host order. */
export function tcpSeq(header: u32): u32 {
  return bswap<u32>(load<u32>(header, 4));
}

/** Acknowledgment number, host order. */
export function tcpAck(header: u32): u32 {
  return bswap<u32>(load<u32>(header, 8));
}

/** Header length in bytes, as the data offset says; may be any multiple of 4 up to 60. */
export function tcpHeaderLength(header: u32): u32 {
  return (load<u8>(header, 12) >> 4) << 2;
}

export function tcpFlags(header: u32): u32 {
  return load<u8>(header, 13);
}

/** Window as sent, without scaling. */
export function tcpWindow(header: u32): u32 {
  return bswap<u16>(load<u16>(header, 14));
}

/**
 * Writes a header without options' bytes and with a zero checksum.
 *
 * @param ports source port low half, destination port high half, each in network order
 * @param optionBytes a multiple of 4; the caller writes the options behind the header
 */
export function emitTcp(
  header: u32,
  ports: u32,
  seq: u32,
  ack: u32,
  flags: u32,
  window: u32,
  optionBytes: u32,
): void {
  store<u32>(header, ports);
  store<u32>(header, bswap<u32>(seq), 4);
  store<u32>(header, bswap<u32>(ack), 8);
  // offset, flags, window: one word, lowest byte first.
  const offset = (TCP_HEADER_SIZE + optionBytes) << 2;
  store<u32>(header, offset | (flags << 8) | (u32(bswap<u16>(<u16>window)) << 16), 12);
  store<u32>(header, 0, 16);
}
