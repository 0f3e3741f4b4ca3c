/** ICMPv6 (RFC 4443): echo and errors; neighbour discovery (RFC 4861); MLD (RFC 2710, RFC 3810). */
import { concat, readU16, readU32, u16, u32 } from "../bytes.ts";
import { ipBytes, ipv6Text, macBytes, macText } from "./addresses.ts";
import { checksum, onesSum, pseudoHeader } from "./checksum.ts";
import { must } from "./error.ts";
import { NEXT_ICMPV6, parseIpv6, type Ipv6Header } from "./ipv6.ts";
import type { Addresses } from "./udp.ts";

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const MLD_QUERY = 130;
export const MLD1_REPORT = 131;
export const MLD_DONE = 132;
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;
export const MLD2_REPORT = 143;

export interface Icmpv6Message {
  readonly type: number;
  readonly code: number;
  /** Second word: MTU of "too big", pointer of "parameter problem", flags of an advertisement. */
  readonly word: number;
  /** Behind the second word. */
  readonly data: Uint8Array;
}

export interface Icmpv6Fields extends Partial<Icmpv6Message> {
  readonly type: number;
  readonly checksum?: number;
}

export function buildIcmpv6(fields: Icmpv6Fields, ip: Addresses): Uint8Array {
  const message = concat(
    Uint8Array.of(fields.type, fields.code ?? 0),
    u16(0),
    u32(fields.word ?? 0),
    fields.data ?? new Uint8Array(),
  );
  const pseudo = pseudoHeader(ip.source, ip.destination, NEXT_ICMPV6, message.length);
  message.set(u16(fields.checksum ?? checksum(concat(pseudo, message))), 2);
  return message;
}

export function parseIcmpv6(bytes: Uint8Array, ip: Addresses): Icmpv6Message {
  must(bytes.length >= 8, "icmpv6", `message of ${bytes.length} bytes`);
  const pseudo = pseudoHeader(ip.source, ip.destination, NEXT_ICMPV6, bytes.length);
  must(onesSum(concat(pseudo, bytes)) === 0xffff, "icmpv6", "checksum");
  return { type: bytes[0], code: bytes[1], word: readU32(bytes, 4), data: bytes.slice(8) };
}

/** The packet that an error quotes. */
export function parseQuote6(message: Icmpv6Message): { header: Ipv6Header; payload: Uint8Array } {
  return parseIpv6(message.data, true);
}

export interface NdOption {
  readonly type: number;
  /** Behind type and length; 8 * n − 2 bytes. */
  readonly data: Uint8Array;
  /** Forces the length field, in units of 8 bytes. */
  readonly units?: number;
}

export function buildNdOptions(options: readonly NdOption[]): Uint8Array {
  return concat(
    ...options.map(({ type, data, units }) =>
      concat(Uint8Array.of(type, units ?? (data.length + 2) / 8), data),
    ),
  );
}

export function macOption(type: 1 | 2, mac: string): NdOption {
  return { type, data: macBytes(mac) };
}

export function mtuOption(mtu: number): NdOption {
  return { type: 5, data: concat(u16(0), u32(mtu)) };
}

export interface PrefixFields {
  readonly prefix: string;
  readonly bits?: number;
  readonly onLink?: boolean;
  readonly autonomous?: boolean;
  /** Seconds. */
  readonly valid?: number;
  readonly preferred?: number;
}

export function prefixOption(fields: PrefixFields): NdOption {
  const flags = ((fields.onLink ?? true) ? 0x80 : 0) | ((fields.autonomous ?? true) ? 0x40 : 0);
  return {
    type: 3,
    data: concat(
      Uint8Array.of(fields.bits ?? 64, flags),
      u32(fields.valid ?? 86_400),
      u32(fields.preferred ?? 14_400),
      u32(0),
      ipBytes(fields.prefix),
    ),
  };
}

/** A neighbour solicitation's or advertisement's content. */
export interface Neighbourhood {
  readonly target: string;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  /** From the link-layer address option, source or target. */
  readonly mac?: string;
}

export function parseNeighbourhood(message: Icmpv6Message): Neighbourhood {
  must(message.data.length >= 16, "ndp", `${message.data.length} bytes`);
  const options = parseNdOptions(message.data.subarray(16));
  const mac = options.find(({ type }) => type === 1 || type === 2);
  return {
    target: ipv6Text(message.data),
    router: (message.word & 0x8000_0000) !== 0,
    solicited: (message.word & 0x4000_0000) !== 0,
    override: (message.word & 0x2000_0000) !== 0,
    ...(mac && { mac: macText(mac.data) }),
  };
}

export function parseNdOptions(bytes: Uint8Array): NdOption[] {
  const options: NdOption[] = [];
  for (let at = 0; at < bytes.length;) {
    must(at + 8 <= bytes.length, "ndp", "option cut short");
    const length = bytes[at + 1] * 8;
    must(length > 0 && at + length <= bytes.length, "ndp", `option of ${length} bytes`);
    options.push({ type: bytes[at], data: bytes.slice(at + 2, at + length) });
    at += length;
  }
  return options;
}

export interface RouterFields {
  readonly hopLimit?: number;
  /** Seconds. */
  readonly lifetime?: number;
  readonly options?: readonly NdOption[];
}

/** The fields of a router advertisement. */
export function routerAdvertisement(fields: RouterFields): Icmpv6Fields {
  return {
    type: ROUTER_ADVERTISEMENT,
    word: (((fields.hopLimit ?? 64) << 24) | (fields.lifetime ?? 1800)) >>> 0,
    data: concat(u32(0), u32(0), buildNdOptions(fields.options ?? [])),
  };
}

/** The group and the kind of record in an MLDv2 report of one record. */
export function parseMld2Report(message: Icmpv6Message): { kind: number; group: string } {
  must(message.type === MLD2_REPORT && (message.word & 0xffff) === 1, "mld", "one record");
  must(message.data.length === 20, "mld", `record of ${message.data.length} bytes`);
  must(readU16(message.data, 2) === 0, "mld", "sources");
  return { kind: message.data[0], group: ipv6Text(message.data.subarray(4)) };
}
