/**
 * ARP for IPv4 over Ethernet (RFC 826), bytes and meaning only.
 *
 *    0                   1                   2                   3
 *   |     hardware type (1)         |    protocol type (0x0800)     |   0
 *   | hw length (6) | ip length (4) |          operation            |   4
 *   |                  sender MAC (6 bytes)                         |   8
 *   |                               |       sender IP ...           |  12
 *   |       ... sender IP           |      target MAC (6 bytes)     |  16
 *   |                                                               |  20
 *   |                         target IP                             |  24
 *
 * Accessors take the address of the ARP packet; `isArp` has said that it is one.
 */

export const ARP_SIZE: u32 = 28;

// Operations as they lie in memory.
export const ARP_REQUEST: u32 = 0x0100;
export const ARP_REPLY: u32 = 0x0200;

/** Hardware and protocol type, and the length of either address, as they lie in memory. */
const TYPES: u32 = 0x00080100;
const LENGTHS: u32 = 0x0406;

/** True for a whole ARP packet about IPv4 over Ethernet. */
export function isArp(packet: u32, length: u32): bool {
  return length >= ARP_SIZE && load<u32>(packet) == TYPES && load<u16>(packet, 4) == LENGTHS;
}

/** `ARP_REQUEST`, `ARP_REPLY` or something else. */
export function arpOperation(packet: u32): u32 {
  return load<u16>(packet, 6);
}

export function arpSenderHead(packet: u32): u32 {
  return load<u32>(packet, 8);
}

export function arpSenderTail(packet: u32): u32 {
  return load<u16>(packet, 12);
}

/** IPv4 address as it lies in memory. */
export function arpSenderIp(packet: u32): u32 {
  return load<u32>(packet, 14);
}

/** IPv4 address as it lies in memory. */
export function arpTargetIp(packet: u32): u32 {
  return load<u32>(packet, 24);
}

/** Writes a whole packet. In a request the target's MAC means nothing and is sent as zero. */
export function emitArp(
  packet: u32,
  operation: u32,
  senderHead: u32,
  senderTail: u32,
  senderIp: u32,
  targetHead: u32,
  targetTail: u32,
  targetIp: u32,
): void {
  store<u32>(packet, TYPES);
  store<u16>(packet, LENGTHS, 4);
  store<u16>(packet, operation, 6);
  store<u32>(packet, senderHead, 8);
  store<u16>(packet, senderTail, 12);
  store<u32>(packet, senderIp, 14);
  store<u32>(packet, targetHead, 18);
  store<u16>(packet, targetTail, 22);
  store<u32>(packet, targetIp, 24);
}
