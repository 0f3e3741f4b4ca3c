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

/** Offset of the checksum field, for the NIC. */
export const TCP_CHECKSUM: u32 = 16;

const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_MSS: u32 = 2;
const OPTION_WINDOW_SCALE: u32 = 3;

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

/** What the options of a SYN said; kept in locals of the caller through these two words. */
export let optionMss: u32 = 0;
/** Shift count of the window-scale option; 255 when the option is absent. */
export let optionWindowScale: u32 = 255;

/**
 * Reads the options of a segment into `optionMss` (0 when absent) and `optionWindowScale`. Unknown
 * options are skipped by their length; a malformed length ends the walk (RFC 9293 section 3.2, MUST-7).
 */
export function parseTcpOptions(header: u32, optionBytes: u32): void {
  optionMss = 0;
  optionWindowScale = 255;
  let at = header + TCP_HEADER_SIZE;
  const end = at + optionBytes;
  while (at < end) {
    const kind: u32 = load<u8>(at);
    if (kind == OPTION_END) return;
    if (kind == OPTION_NOP) {
      at++;
      continue;
    }
    if (end - at < 2) return;
    const length: u32 = load<u8>(at, 1);
    if (length < 2 || length > end - at) return;
    if (kind == OPTION_MSS && length == 4) {
      optionMss = bswap<u16>(load<u16>(at, 2));
    } else if (kind == OPTION_WINDOW_SCALE && length == 3) {
      // RFC 7323 section 2.3: a larger shift is taken as 14.
      optionWindowScale = min<u32>(load<u8>(at, 2), 14);
    }
    at += length;
  }
}

/** Bytes that `emitSynOptions` writes. */
export function synOptionBytes(scale: bool): u32 {
  return scale ? 8 : 4;
}

/** Options of a SYN in Linux's order: MSS, then NOP and window scale when `scale`. */
export function emitSynOptions(header: u32, mss: u32, scale: bool, shift: u32): void {
  store<u32>(header, OPTION_MSS | (4 << 8) | (u32(bswap<u16>(<u16>mss)) << 16), 20);
  if (scale)
    store<u32>(header, OPTION_NOP | (OPTION_WINDOW_SCALE << 8) | (3 << 16) | (shift << 24), 24);
}
