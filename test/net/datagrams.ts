/** Datagrams between the peer and port 53 of the kernel. */
import { KERNEL, PEER } from "../support/kernel.ts";
import { udpFrame, type Path, type UdpFields } from "../support/packet.ts";

const path: Path = { from: PEER, to: KERNEL };

/** Where they come from, and where answers go. */
export const there = { ip: PEER.ip, port: 9999 };

/** A datagram from the peer to port 53. */
export function datagram(
  payload: Uint8Array,
  fields: Partial<UdpFields> = {},
  ip: Path["ip"] = {},
): Uint8Array {
  return udpFrame({ ...path, ip }, { sourcePort: 9999, destinationPort: 53, ...fields }, payload);
}
