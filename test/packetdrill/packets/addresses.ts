/** IP addresses of a script's two hosts, as text and as bytes. */
import { concat, u16, u32 } from "../../support/bytes.ts";
import { IpAddress } from "../../../host/libix/ip-address.ts";

export type IpVersion = 4 | 6;

/** The 4 or 16 bytes that stand in an IP header. */
export function addressBytes(address: string): Uint8Array {
  const bytes = IpAddress.parse(address).toBytes();
  return address.includes(":") ? bytes : bytes.subarray(12);
}

export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  return IpAddress.fromBytes(bytes).toString();
}

/** What TCP, UDP and ICMPv6 checksums cover before the payload (RFC 9293 section 3.1, RFC 8200 8.1). */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Uint8Array {
  if (source.length === 4) return concat(source, destination, u16(protocol), u16(length));
  return concat(source, destination, u32(length), u32(protocol));
}
