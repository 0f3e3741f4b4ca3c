/** IPv6 (RFC 8200): fixed header, extension headers, fragments. */
import { concat, readU16, readU32, u16, u32 } from "../bytes.ts";
import { ipBytes, ipv6Text } from "./addresses.ts";
import { must } from "./error.ts";

export const IPV6_HEADER = 40;
export const NEXT_HOP_BY_HOP = 0;
export const NEXT_ROUTING = 43;
export const NEXT_FRAGMENT = 44;
export const NEXT_ICMPV6 = 58;
export const NEXT_NONE = 59;
export const NEXT_DESTINATION = 60;

export interface Fragment6 {
  /** In bytes, a multiple of 8. */
  readonly offset: number;
  readonly more: boolean;
  readonly id: number;
}

export interface Ipv6Header {
  readonly source: string;
  readonly destination: string;
  /** Of the upper layer, behind all extension headers. */
  readonly protocol: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  /** Numbers of the extension headers, in their order. */
  readonly extensions: readonly number[];
  readonly fragment?: Fragment6;
}

/** An extension header as bytes; its first byte is filled in with what follows it. */
export interface Extension {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface Ipv6Fields {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly extensions?: readonly Extension[];
  readonly version?: number;
  readonly payloadLength?: number;
}

export function buildIpv6(fields: Ipv6Fields, payload: Uint8Array): Uint8Array {
  const extensions = fields.extensions ?? [];
  const protocol = fields.protocol ?? 6;
  const chain = extensions.map(({ bytes }, index) => {
    const copy = Uint8Array.from(bytes);
    copy[0] = extensions[index + 1]?.type ?? protocol;
    return copy;
  });
  const rest = concat(...chain, payload);
  const first =
    ((fields.version ?? 6) << 28) | ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0);
  return concat(
    u32(first >>> 0),
    u16(fields.payloadLength ?? rest.length),
    Uint8Array.of(extensions[0]?.type ?? protocol, fields.hopLimit ?? 64),
    ipBytes(fields.source),
    ipBytes(fields.destination),
    rest,
  );
}

/** A header of options, padded with PadN to whole units of 8 bytes. */
export function optionsExtension(type: number, options: Uint8Array): Extension {
  const missing = (8 - ((2 + options.length) % 8)) % 8;
  const padding =
    missing === 0
      ? new Uint8Array()
      : missing === 1
        ? Uint8Array.of(0)
        : concat(Uint8Array.of(1, missing - 2), new Uint8Array(missing - 2));
  const bytes = concat(Uint8Array.of(0, 0), options, padding);
  bytes[1] = bytes.length / 8 - 1;
  return { type, bytes };
}

export function routingExtension(routingType: number, segmentsLeft: number): Extension {
  return { type: NEXT_ROUTING, bytes: Uint8Array.of(0, 0, routingType, segmentsLeft, 0, 0, 0, 0) };
}

export function fragmentExtension({ offset, more, id }: Fragment6): Extension {
  const bytes = concat(Uint8Array.of(0, 0), u16(offset | (more ? 1 : 0)), u32(id));
  return { type: NEXT_FRAGMENT, bytes };
}

/**
 * Parses a packet that may be followed by Ethernet padding, which must be zero.
 *
 * @param quoted an ICMPv6 error's quotation, which may be cut short
 */
export function parseIpv6(
  bytes: Uint8Array,
  quoted = false,
): { header: Ipv6Header; payload: Uint8Array } {
  must(bytes.length >= IPV6_HEADER, "ipv6", `packet of ${bytes.length} bytes`);
  must(bytes[0] >> 4 === 6, "ipv6", `version ${bytes[0] >> 4}`);
  const end = IPV6_HEADER + readU16(bytes, 4);
  if (!quoted) {
    must(end <= bytes.length, "ipv6", `payload of ${end - IPV6_HEADER} in ${bytes.length}`);
    must(
      bytes.subarray(end).every((byte) => byte === 0),
      "ipv6",
      "padding behind the packet is not zero",
    );
  }
  const whole = bytes.subarray(0, end);
  const { protocol, at, extensions, fragment } = walk(whole);
  return {
    header: {
      source: ipv6Text(bytes.subarray(8)),
      destination: ipv6Text(bytes.subarray(24)),
      protocol,
      hopLimit: bytes[7],
      trafficClass: (readU16(bytes, 0) >> 4) & 0xff,
      flowLabel: readU32(bytes, 0) & 0xfffff,
      extensions,
      ...(fragment && { fragment }),
    },
    payload: whole.subarray(at),
  };
}

function walk(bytes: Uint8Array): {
  protocol: number;
  at: number;
  extensions: number[];
  fragment: Fragment6 | undefined;
} {
  const extensions: number[] = [];
  let fragment: Fragment6 | undefined;
  let protocol = bytes[6];
  let at = IPV6_HEADER;
  while ([NEXT_HOP_BY_HOP, NEXT_ROUTING, NEXT_FRAGMENT, NEXT_DESTINATION].includes(protocol)) {
    must(
      protocol !== NEXT_HOP_BY_HOP || extensions.length === 0,
      "ipv6",
      "hop-by-hop not in front",
    );
    must(at + 8 <= bytes.length, "ipv6", `extension ${protocol} is cut short`);
    extensions.push(protocol);
    let length = (bytes[at + 1] + 1) * 8;
    if (protocol === NEXT_FRAGMENT) {
      must(bytes[at + 1] === 0, "ipv6", "reserved byte of the fragment header");
      must((readU16(bytes, at + 2) & 6) === 0, "ipv6", "reserved bits of the fragment header");
      const field = readU16(bytes, at + 2);
      fragment = { offset: field & 0xfff8, more: (field & 1) !== 0, id: readU32(bytes, at + 4) };
      length = 8;
    }
    must(at + length <= bytes.length, "ipv6", `extension ${protocol} of ${length} bytes`);
    protocol = bytes[at];
    at += length;
    if (fragment && fragment.offset > 0) break;
  }
  return { protocol, at, extensions, fragment };
}
