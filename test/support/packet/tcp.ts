/** TCP segments (RFC 9293 section 3.1). */
import { concat, readU16, readU32, u16, u32 } from "../bytes.ts";
import { checksum, onesSum, pseudoHeader } from "./checksum.ts";
import { must } from "./error.ts";
import { PROTOCOL_TCP } from "./ipv4.ts";
import { buildOptions, parseOptions, type TcpOption } from "./tcp-options.ts";
import type { Addresses } from "./udp.ts";

export const TCP_HEADER = 20;

/** Flags as letters, bit 0 first: FIN SYN RST PSH ACK URG ECE CWR. */
const FLAG_LETTERS = "FSRPAUEW";

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  /** Zero when the ACK flag is off. */
  readonly ack: number;
  /** Letters of FSRPAUEW in that order: a SYN-ACK is "SA". */
  readonly flags: string;
  /** As it stands in the header, unscaled. */
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
}

export interface TcpFields extends Partial<TcpHeader> {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** In 32-bit words; forces a wrong one. */
  readonly dataOffset?: number;
  /** The four bits behind the data offset. */
  readonly reserved?: number;
  readonly checksum?: number;
}

export function flagBits(flags: string): number {
  let bits = 0;
  for (const letter of flags) {
    const bit = FLAG_LETTERS.indexOf(letter);
    if (bit < 0) throw new RangeError(`no TCP flag ${letter} in "${flags}"`);
    bits |= 1 << bit;
  }
  return bits;
}

export function flagText(bits: number): string {
  return [...FLAG_LETTERS].filter((_, bit) => (bits >> bit) & 1).join("");
}

export function buildTcp(fields: TcpFields, payload: Uint8Array, ip: Addresses): Uint8Array {
  const options = buildOptions(fields.options ?? []);
  const words = fields.dataOffset ?? (TCP_HEADER + options.length) / 4;
  const segment = concat(
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u32(fields.seq ?? 0),
    u32(fields.ack ?? 0),
    Uint8Array.of((words << 4) | (fields.reserved ?? 0), flagBits(fields.flags ?? "A")),
    u16(fields.window ?? 65535),
    u16(0),
    u16(fields.urgent ?? 0),
    options,
    payload,
  );
  const pseudo = pseudoHeader(ip.source, ip.destination, PROTOCOL_TCP, segment.length);
  segment.set(u16(fields.checksum ?? checksum(concat(pseudo, segment))), 16);
  return segment;
}

export function parseTcp(
  bytes: Uint8Array,
  ip: Addresses,
): { header: TcpHeader; payload: Uint8Array } {
  must(bytes.length >= TCP_HEADER, "tcp", `segment of ${bytes.length} bytes`);
  const headerLength = (bytes[12] >> 4) * 4;
  must(headerLength >= TCP_HEADER, "tcp", `header of ${headerLength} bytes`);
  must(headerLength <= bytes.length, "tcp", `header of ${headerLength} in ${bytes.length} bytes`);
  // The lowest one is AE (RFC 9768).
  must((bytes[12] & 14) === 0, "tcp", "reserved bits are set");
  const pseudo = pseudoHeader(ip.source, ip.destination, PROTOCOL_TCP, bytes.length);
  must(onesSum(concat(pseudo, bytes)) === 0xffff, "tcp", "checksum");
  const flags = flagText(bytes[13]);
  const header: TcpHeader = {
    sourcePort: readU16(bytes, 0),
    destinationPort: readU16(bytes, 2),
    seq: readU32(bytes, 4),
    ack: readU32(bytes, 8),
    flags,
    window: readU16(bytes, 14),
    urgent: readU16(bytes, 18),
    options: parseOptions(bytes.subarray(TCP_HEADER, headerLength)),
  };
  must(flags.includes("A") || header.ack === 0, "tcp", "acknowledgment number without ACK");
  must(flags.includes("U") || header.urgent === 0, "tcp", "urgent pointer without URG");
  must(flags !== "", "tcp", "no flag is set");
  must(!(flags.includes("S") && /[FR]/.test(flags)), "tcp", `flags ${flags} contradict`);
  return { header, payload: bytes.subarray(headerLength) };
}

/** The option of that kind, if the segment carries it. */
export function findOption<K extends TcpOption["kind"]>(
  header: TcpHeader,
  kind: K,
): Extract<TcpOption, { kind: K }> | undefined {
  return header.options.find((option) => option.kind === kind) as
    Extract<TcpOption, { kind: K }> | undefined;
}
