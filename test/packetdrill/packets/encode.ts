/** Frames for the stack: what a script writes, with addresses, offsets and checksums filled in. */
import { concat, u16, u32 } from "../../support/bytes.ts";
import { checksum } from "../../support/packet/checksum.ts";
import { macBytes } from "../../support/packet/addresses.ts";
import { FLAG, type IpSpec } from "../language/script.ts";
import { addressBytes, pseudoHeader } from "./addresses.ts";
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from "./live.ts";

const DEFAULT_TTL = 255;

export interface Link {
  readonly destinationMac: string;
  readonly sourceMac: string;
}

export interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Every number as it goes out. */
export interface TcpNumbers {
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: Uint8Array;
  readonly length: number;
}

/** A segment with zeros for payload. */
export function encodeTcp(ends: Ends, numbers: TcpNumbers): Uint8Array {
  const { flags, options } = numbers;
  const words = (20 + options.length) / 4;
  const segment = concat(
    u16(ends.sourcePort),
    u16(ends.destinationPort),
    u32(numbers.seq),
    u32(numbers.ack),
    Uint8Array.of((words << 4) | (flags & FLAG.AE ? 1 : 0), flags & 0xff),
    u16(numbers.window),
    u16(0),
    u16(numbers.urgent),
    options,
    new Uint8Array(numbers.length),
  );
  segment.set(u16(transportSum(ends, PROTOCOL_TCP, segment)), 16);
  return segment;
}

export function encodeUdp(ends: Ends, length: number): Uint8Array {
  const datagram = concat(
    u16(ends.sourcePort),
    u16(ends.destinationPort),
    u16(8 + length),
    u16(0),
    new Uint8Array(length),
  );
  datagram.set(u16(transportSum(ends, PROTOCOL_UDP, datagram) || 0xffff), 6);
  return datagram;
}

/** A message whose second word is given as two halves. */
export function encodeIcmp(
  ends: Ends,
  [type, code]: readonly [number, number],
  [high, low]: readonly [number, number],
  data: Uint8Array,
): Uint8Array {
  const message = concat(Uint8Array.of(type, code), u16(0), u16(high), u16(low), data);
  const sum = isIpv6(ends) ? transportSum(ends, PROTOCOL_ICMP6, message) : checksum(message);
  message.set(u16(sum), 2);
  return message;
}

export function icmpProtocol(ends: Ends): number {
  return isIpv6(ends) ? PROTOCOL_ICMP6 : PROTOCOL_ICMP;
}

/** The IP header of a packet that carries `length` bytes. */
export function encodeIpHeader(
  ends: Ends,
  protocol: number,
  length: number,
  spec: IpSpec = {},
): Uint8Array {
  const ecn = typeof spec.ecn === "number" ? spec.ecn : 0;
  const tos = (spec.tos ?? (spec.dscp ?? 0) << 2) | ecn;
  const ttl = spec.ttl ?? DEFAULT_TTL;
  const [source, destination] = [addressBytes(ends.source), addressBytes(ends.destination)];
  if (isIpv6(ends)) {
    const first = u32(((6 << 28) | (tos << 20) | (spec.flowLabel ?? 0)) >>> 0);
    return concat(first, u16(length), Uint8Array.of(protocol, ttl), source, destination);
  }
  const header = concat(
    Uint8Array.of(0x45, tos),
    u16(20 + length),
    u32(0),
    Uint8Array.of(ttl, protocol),
    u16(0),
    source,
    destination,
  );
  header.set(u16(checksum(header)), 10);
  return header;
}

/** The frame around a packet. */
export function encodeFrame(
  link: Link,
  ends: Ends,
  protocol: number,
  payload: Uint8Array,
  spec: IpSpec,
): Uint8Array {
  const type = isIpv6(ends) ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  return concat(
    macBytes(link.destinationMac),
    macBytes(link.sourceMac),
    u16(type),
    encodeIpHeader(ends, protocol, payload.length, spec),
    payload,
  );
}

function isIpv6(ends: Ends): boolean {
  return ends.source.includes(":");
}

function transportSum(ends: Ends, protocol: number, bytes: Uint8Array): number {
  const [source, destination] = [addressBytes(ends.source), addressBytes(ends.destination)];
  return checksum(concat(pseudoHeader(source, destination, protocol, bytes.length), bytes));
}
