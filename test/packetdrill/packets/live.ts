/**
 * What the stack sent, taken apart. Every length is checked, and the checksums that packetdrill leaves
 * to the kernel are verified here.
 */
import { readU16, readU32 } from "../../support/bytes.ts";
import { onesSum } from "../../support/packet/checksum.ts";
import { concat } from "../../support/bytes.ts";
import { FLAG } from "../language/script.ts";
import { addressText, pseudoHeader, type IpVersion } from "./addresses.ts";
import { splitOptions, type LiveOption } from "./tcp-options.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMP6 = 58;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERNET_HEADER = 14;

export interface LiveTcp {
  readonly kind: "tcp";
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly LiveOption[];
  readonly payload: Uint8Array;
}

export interface LiveUdp {
  readonly kind: "udp";
  readonly payload: Uint8Array;
}

export interface LiveIcmp {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
}

export interface LivePacket {
  /** When it was sent, µs of the stack's time. */
  readonly at: number;
  readonly version: IpVersion;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TOS or traffic class. */
  readonly tos: number;
  /** TTL or hop limit. */
  readonly ttl: number;
  readonly flowLabel: number;
  readonly body: LiveTcp | LiveUdp | LiveIcmp;
}

export class MalformedFrame extends Error {}

/** Takes a frame apart; undefined when it is no IP packet, or one of another protocol. */
export function decodeFrame(frame: Uint8Array, at: number): LivePacket | undefined {
  const type = readU16(frame, 12);
  const packet = frame.subarray(ETHERNET_HEADER);
  if (type === ETHERTYPE_IPV4) return decodeIpv4(packet, at);
  if (type === ETHERTYPE_IPV6) return decodeIpv6(packet, at);
  return undefined;
}

interface Layer3 {
  readonly at: number;
  readonly version: IpVersion;
  readonly sourceBytes: Uint8Array;
  readonly destinationBytes: Uint8Array;
  readonly protocol: number;
  readonly tos: number;
  readonly ttl: number;
  readonly flowLabel: number;
}

function decodeIpv4(packet: Uint8Array, at: number): LivePacket | undefined {
  demand(packet.length >= 20 && packet[0] === 0x45, "IPv4 header is not one of 20 bytes");
  demand(onesSum(packet.subarray(0, 20)) === 0xffff, "IPv4 header checksum is wrong");
  const total = readU16(packet, 2);
  demand(total >= 20 && total <= packet.length, `IPv4 total length is ${total}`);
  demand((readU16(packet, 6) & 0xbfff) === 0, "IPv4 packet is a fragment");
  const header: Layer3 = {
    at,
    version: 4,
    sourceBytes: packet.subarray(12, 16),
    destinationBytes: packet.subarray(16, 20),
    protocol: packet[9],
    tos: packet[1],
    ttl: packet[8],
    flowLabel: 0,
  };
  return decodePayload(header, packet.subarray(20, total));
}

function decodeIpv6(packet: Uint8Array, at: number): LivePacket | undefined {
  demand(packet.length >= 40 && packet[0] >> 4 === 6, "IPv6 header is cut short");
  const length = readU16(packet, 4);
  demand(40 + length <= packet.length, `IPv6 payload length is ${length}`);
  const header: Layer3 = {
    at,
    version: 6,
    sourceBytes: packet.subarray(8, 24),
    destinationBytes: packet.subarray(24, 40),
    protocol: packet[6],
    tos: ((packet[0] & 15) << 4) | (packet[1] >> 4),
    ttl: packet[7],
    flowLabel: readU32(packet, 0) & 0xfffff,
  };
  return decodePayload(header, packet.subarray(40, 40 + length));
}

function decodePayload(header: Layer3, payload: Uint8Array): LivePacket | undefined {
  switch (header.protocol) {
    case PROTOCOL_TCP:
      return withPorts(header, payload, decodeTcp(header, payload));
    case PROTOCOL_UDP:
      return withPorts(header, payload, decodeUdp(header, payload));
    case PROTOCOL_ICMP:
      demand(onesSum(payload) === 0xffff, "ICMP checksum is wrong");
      return decodeIcmp(header, payload);
    case PROTOCOL_ICMP6:
      // Neighbour and router discovery are not the script's.
      if (payload[0] >= 133 && payload[0] <= 137) return undefined;
      verify(header, payload, "ICMPv6");
      return decodeIcmp(header, payload);
    default:
      return undefined;
  }
}

function withPorts(header: Layer3, payload: Uint8Array, body: LiveTcp | LiveUdp): LivePacket {
  const [sourcePort, destinationPort] = [readU16(payload, 0), readU16(payload, 2)];
  return { ...addresses(header), sourcePort, destinationPort, body };
}

function addresses(header: Layer3): Omit<LivePacket, "sourcePort" | "destinationPort" | "body"> {
  const { at, version, tos, ttl, flowLabel } = header;
  const source = addressText(header.sourceBytes);
  const destination = addressText(header.destinationBytes);
  return { at, version, tos, ttl, flowLabel, source, destination };
}

function decodeTcp(header: Layer3, bytes: Uint8Array): LiveTcp {
  demand(bytes.length >= 20, `TCP segment of ${bytes.length} bytes`);
  const headerLength = (bytes[12] >> 4) * 4;
  demand(headerLength >= 20 && headerLength <= bytes.length, `TCP header of ${headerLength} bytes`);
  demand((bytes[12] & 0x0e) === 0, "reserved bits of the TCP header are set");
  verify(header, bytes, "TCP");
  const options = splitOptions(bytes.subarray(20, headerLength));
  demand(options !== undefined, "TCP options are malformed");
  return {
    kind: "tcp",
    seq: readU32(bytes, 4),
    ack: readU32(bytes, 8),
    flags: bytes[13] | (bytes[12] & 1 ? FLAG.AE : 0),
    window: readU16(bytes, 14),
    urgent: readU16(bytes, 18),
    options,
    payload: bytes.slice(headerLength),
  };
}

function decodeUdp(header: Layer3, bytes: Uint8Array): LiveUdp {
  demand(bytes.length >= 8, `UDP datagram of ${bytes.length} bytes`);
  demand(readU16(bytes, 4) === bytes.length, `UDP length is ${readU16(bytes, 4)}`);
  verify(header, bytes, "UDP");
  return { kind: "udp", payload: bytes.slice(8) };
}

function decodeIcmp(header: Layer3, bytes: Uint8Array): LivePacket {
  demand(bytes.length >= 8, `ICMP message of ${bytes.length} bytes`);
  const body: LiveIcmp = { kind: "icmp", type: bytes[0], code: bytes[1] };
  return { ...addresses(header), sourcePort: 0, destinationPort: 0, body };
}

function verify(header: Layer3, bytes: Uint8Array, name: string): void {
  const { sourceBytes, destinationBytes, protocol } = header;
  const pseudo = pseudoHeader(sourceBytes, destinationBytes, protocol, bytes.length);
  demand(onesSum(concat(pseudo, bytes)) === 0xffff, `${name} checksum is wrong`);
}

function demand(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new MalformedFrame(reason);
}
