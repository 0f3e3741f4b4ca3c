/** UDP (RFC 768). */
import { concat, readU16, u16 } from "../bytes.ts";
import { checksum, onesSum, pseudoHeader } from "./checksum.ts";
import { must } from "./error.ts";
import { PROTOCOL_UDP } from "./ipv4.ts";

export interface Addresses {
  readonly source: string;
  readonly destination: string;
}

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** False when the sender computed none (the field was zero). */
  readonly checksummed: boolean;
}

export interface UdpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Forces the field; "none" sends zero, which says that the sender computed no checksum. */
  readonly checksum?: number | "none";
  readonly length?: number;
}

export function buildUdp(fields: UdpFields, payload: Uint8Array, ip: Addresses): Uint8Array {
  const length = fields.length ?? 8 + payload.length;
  const datagram = concat(
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u16(length),
    u16(0),
    payload,
  );
  const pseudo = pseudoHeader(ip.source, ip.destination, PROTOCOL_UDP, datagram.length);
  // A computed zero is sent as all ones, its other representation.
  const sum = checksum(concat(pseudo, datagram)) || 0xffff;
  datagram.set(u16(fields.checksum === "none" ? 0 : (fields.checksum ?? sum)), 6);
  return datagram;
}

export function parseUdp(
  bytes: Uint8Array,
  ip: Addresses,
): { header: UdpHeader; payload: Uint8Array } {
  must(bytes.length >= 8, "udp", `datagram of ${bytes.length} bytes`);
  const length = readU16(bytes, 4);
  must(length === bytes.length, "udp", `length ${length} of ${bytes.length} bytes`);
  const checksummed = readU16(bytes, 6) !== 0;
  const pseudo = pseudoHeader(ip.source, ip.destination, PROTOCOL_UDP, length);
  must(!checksummed || onesSum(concat(pseudo, bytes)) === 0xffff, "udp", "checksum");
  return {
    header: { sourcePort: readU16(bytes, 0), destinationPort: readU16(bytes, 2), checksummed },
    payload: bytes.subarray(8),
  };
}
