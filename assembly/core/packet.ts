/**
 * A received packet after the gate: where its parts lie and what its headers said. `receive` fills
 * one record per packet of the batch; the protocols then work on records and read no header again.
 * Every length in it has been checked against the frame.
 */
import { Buffer } from "../mem/buffers";

/** PACKET_SIZE bytes. Ports and addresses as they lie in memory (network order). */
@final
@unmanaged
export class Packet {
  buffer: Buffer;
  /** RSS hash of the tuple. */
  hash: u32;
  /** Where the IP header and the layer-4 header begin. */
  ip: u32;
  l4: u32;
  /** IPv4 addresses, network order; of IPv6 ones digests (net/digest.ts). */
  source: u32;
  destination: u32;
  /** Source port in the low half, destination port in the high half, each in network order. */
  ports: u32;
  /** TCP: host order. */
  seq: u32;
  ack: u32;
  /** Unscaled. */
  window: u32;
  /** TCP flag bits. */
  flags: u32;
  payload: u32;
  length: u32;
  /** Bytes of TCP options, which begin at l4 + 20. */
  options: u32;
  /** Bytes of layer 4 (header and payload), by the IP header. */
  l4Length: u32;
  /** IP protocol number. */
  protocol: u32;
}
