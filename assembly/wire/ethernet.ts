/**
 * Ethernet II header (IEEE 802.3), bytes and meaning only.
 *
 *    0                   6                   12
 *   | destination MAC   | source MAC        | ethertype |
 *
 * A MAC address is two words as they lie in memory: its first four bytes (head) and its last two
 * (tail). Accessors take the address of the frame; the gate has checked that the header is whole.
 */

export const ETHERNET_HEADER_SIZE: u32 = 14;

// Ethertypes as they lie in memory.
export const ETHERTYPE_IPV4: u32 = 0x0008;
export const ETHERTYPE_ARP: u32 = 0x0608;
export const ETHERTYPE_IPV6: u32 = 0xdd86;

export const BROADCAST_HEAD: u32 = 0xffffffff;
export const BROADCAST_TAIL: u32 = 0xffff;

export function ethernetDestinationHead(frame: u32): u32 {
  return load<u32>(frame);
}

export function ethernetDestinationTail(frame: u32): u32 {
  return load<u16>(frame, 4);
}

export function ethernetSourceHead(frame: u32): u32 {
  return load<u32>(frame, 6);
}

export function ethernetSourceTail(frame: u32): u32 {
  return load<u16>(frame, 10);
}

/** One of `ETHERTYPE_*`, or anything else. */
export function etherType(frame: u32): u32 {
  return load<u16>(frame, 12);
}

/** True for broadcast and multicast: the lowest bit of the first byte (the group bit). */
export function isGroupMac(head: u32): bool {
  return (head & 1) != 0;
}

/** First four bytes of the MAC of an IPv4 group (RFC 1112 section 6.4): 01:00:5e and 23 bits. */
export function ipv4GroupHead(group: u32): u32 {
  return 0x005e0001 | (((group >> 8) & 0x7f) << 24);
}

export function ipv4GroupTail(group: u32): u32 {
  return group >> 16;
}

/** First four bytes of the MAC of an IPv6 group (RFC 2464 section 7): 33:33 and its last 32 bits. */
export function ipv6GroupHead(groupLow: u64): u32 {
  return 0x3333 | (u32(groupLow >> 32) << 16);
}

export function ipv6GroupTail(groupLow: u64): u32 {
  return u32(groupLow >> 48);
}

/** Writes the header in three stores. */
export function emitEthernetHeader(
  frame: u32,
  destinationHead: u32,
  destinationTail: u32,
  sourceHead: u32,
  sourceTail: u32,
  type: u32,
): void {
  store<u32>(frame, destinationHead);
  store<u64>(frame, u64(destinationTail) | (u64(sourceHead) << 16) | (u64(sourceTail) << 48), 4);
  store<u16>(frame, type, 12);
}
