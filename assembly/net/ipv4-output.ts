/**
 * IPv4 headers of packets sent, and what a NIC is asked to do with them. A packet is built in place,
 * with its layers at fixed distances:
 *
 *   frame − 16: metadata   frame: Ethernet   + 14: IPv4, no options   + 34: layer 4
 */
import {
  DESC_METADATA,
  METADATA_SIZE,
  TX_META_CHECKSUM,
  TX_META_CSUM_OFFSET,
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../abi";
import { ttl } from "../core/config";
import { foldSum } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { emitIpv4, IPV4_HEADER_SIZE } from "../wire/ipv4";

/** Where layer 4 begins in a frame that is sent. */
export const L4_OFFSET: u32 = ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE;

/**
 * Writes the IPv4 header of a packet from `source` with the configured TTL.
 *
 * @param address where the header goes
 * @param source, destination as they lie in memory
 * @param l4Length bytes behind the header
 */
export function emitIpv4Header(
  address: u32,
  source: u32,
  destination: u32,
  protocol: u32,
  l4Length: u32,
  identification: u32,
): void {
  emitIpv4(address, source, destination, protocol, l4Length, ttl, identification);
}

/**
 * Asks the NIC for the TCP or UDP checksum of a frame: metadata in front of it, and the pseudo
 * header's sum in the checksum field.
 *
 * @param field offset of the checksum in the layer-4 header
 * @param pseudoSum from `pseudoHeaderSum`
 * @returns what the descriptor's options must carry
 */
export function requestChecksum(frame: u32, field: u32, pseudoSum: u32): u32 {
  return requestChecksumAt(frame, L4_OFFSET, field, pseudoSum);
}

/** The same where layer 4 begins `l4Offset` bytes into the frame. */
export function requestChecksumAt(frame: u32, l4Offset: u32, field: u32, pseudoSum: u32): u32 {
  const metadata = frame - METADATA_SIZE;
  store<u64>(metadata, u64(TX_META_CHECKSUM), TX_META_FLAGS);
  store<u16>(metadata, l4Offset, TX_META_CSUM_START);
  store<u16>(metadata, field, TX_META_CSUM_OFFSET);
  store<u16>(frame + l4Offset + field, foldSum(pseudoSum));
  return DESC_METADATA;
}
