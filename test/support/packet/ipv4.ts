/** IPv4 (RFC 791): header with options, fragments, header checksum. */
import { concat, readU16, u16 } from "../bytes.ts";
import { ipv4Bytes, ipv4Text } from "./addresses.ts";
import { checksum, onesSum } from "./checksum.ts";
import { must } from "./error.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const IPV4_HEADER = 20;

export interface Ipv4Header {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  /** The former type-of-service byte: DSCP and ECN. */
  readonly tos: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  /** Without padding to four bytes. */
  readonly options: Uint8Array;
}

/** What a builder needs; the rest has defaults. The last five force a wrong field. */
export interface Ipv4Fields extends Partial<Ipv4Header> {
  readonly source: string;
  readonly destination: string;
  readonly version?: number;
  /** In 32-bit words. */
  readonly headerLength?: number;
  readonly totalLength?: number;
  readonly reservedFlag?: boolean;
  readonly checksum?: number;
}

export function buildIpv4(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const options = padOptions(fields.options ?? new Uint8Array());
  const headerLength = IPV4_HEADER + options.length;
  const flags =
    (fields.reservedFlag ? 0x8000 : 0) |
    ((fields.dontFragment ?? true) ? 0x4000 : 0) |
    (fields.moreFragments ? 0x2000 : 0);
  const header = concat(
    Uint8Array.of(
      ((fields.version ?? 4) << 4) | (fields.headerLength ?? headerLength / 4),
      fields.tos ?? 0,
    ),
    u16(fields.totalLength ?? headerLength + payload.length),
    u16(fields.id ?? 0),
    u16(flags | ((fields.fragmentOffset ?? 0) >>> 3)),
    Uint8Array.of(fields.ttl ?? 64, fields.protocol ?? PROTOCOL_TCP),
    u16(0),
    ipv4Bytes(fields.source),
    ipv4Bytes(fields.destination),
    options,
  );
  header.set(u16(fields.checksum ?? checksum(header)), 10);
  return concat(header, payload);
}

/**
 * Parses a packet that may be followed by Ethernet padding, which must be zero.
 *
 * @param quoted an ICMP error's quotation, which may be cut short and whose checksum was verified by
 * whoever received it
 */
export function parseIpv4(
  bytes: Uint8Array,
  quoted = false,
): { header: Ipv4Header; payload: Uint8Array } {
  must(bytes.length >= IPV4_HEADER, "ipv4", `packet of ${bytes.length} bytes`);
  must(bytes[0] >> 4 === 4, "ipv4", `version ${bytes[0] >> 4}`);
  const headerLength = (bytes[0] & 15) * 4;
  must(headerLength >= IPV4_HEADER, "ipv4", `header of ${headerLength} bytes`);
  must(headerLength <= bytes.length, "ipv4", `header of ${headerLength} in ${bytes.length} bytes`);
  const totalLength = readU16(bytes, 2);
  must(totalLength >= headerLength, "ipv4", `total length ${totalLength} below the header`);
  if (!quoted) {
    must(totalLength <= bytes.length, "ipv4", `total length ${totalLength} of ${bytes.length}`);
    must(
      bytes.subarray(totalLength).every((byte) => byte === 0),
      "ipv4",
      "padding behind the packet is not zero",
    );
  }
  must(onesSum(bytes.subarray(0, headerLength)) === 0xffff, "ipv4", "header checksum");
  const fragment = readU16(bytes, 6);
  must((fragment & 0x8000) === 0, "ipv4", "reserved flag is set");
  return {
    header: {
      source: ipv4Text(bytes.subarray(12)),
      destination: ipv4Text(bytes.subarray(16)),
      protocol: bytes[9],
      ttl: bytes[8],
      id: readU16(bytes, 4),
      tos: bytes[1],
      dontFragment: (fragment & 0x4000) !== 0,
      moreFragments: (fragment & 0x2000) !== 0,
      fragmentOffset: (fragment & 0x1fff) * 8,
      options: bytes.slice(IPV4_HEADER, headerLength),
    },
    payload: bytes.subarray(headerLength, Math.min(totalLength, bytes.length)),
  };
}

function padOptions(options: Uint8Array): Uint8Array {
  return concat(options, new Uint8Array((4 - (options.length % 4)) % 4));
}
