/** ICMP (RFC 792): echo, destination unreachable, time exceeded. */
import { concat, readU16, u16 } from "../bytes.ts";
import { checksum, onesSum } from "./checksum.ts";
import { must } from "./error.ts";
import { parseIpv4, type Ipv4Header } from "./ipv4.ts";

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;

export const UNREACHABLE_NET = 0;
export const UNREACHABLE_HOST = 1;
export const UNREACHABLE_PROTOCOL = 2;
export const UNREACHABLE_PORT = 3;
export const UNREACHABLE_FRAGMENTATION = 4;

export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
  /** Second word, upper half: identifier of an echo. */
  readonly id: number;
  /** Second word, lower half: sequence number of an echo, next-hop MTU of "fragmentation needed". */
  readonly sequence: number;
  /** Echo data, or the quoted packet of an error. */
  readonly data: Uint8Array;
}

export interface IcmpFields extends Partial<IcmpMessage> {
  readonly type: number;
  readonly checksum?: number;
}

export function buildIcmp(fields: IcmpFields): Uint8Array {
  const message = concat(
    Uint8Array.of(fields.type, fields.code ?? 0),
    u16(0),
    u16(fields.id ?? 0),
    u16(fields.sequence ?? 0),
    fields.data ?? new Uint8Array(),
  );
  message.set(u16(fields.checksum ?? checksum(message)), 2);
  return message;
}

export function parseIcmp(bytes: Uint8Array): IcmpMessage {
  must(bytes.length >= 8, "icmp", `message of ${bytes.length} bytes`);
  must(onesSum(bytes) === 0xffff, "icmp", "checksum");
  return {
    type: bytes[0],
    code: bytes[1],
    id: readU16(bytes, 4),
    sequence: readU16(bytes, 6),
    data: bytes.slice(8),
  };
}

/** The packet that an ICMP error quotes: its header and at least 8 bytes behind it (RFC 792). */
export function parseQuote(message: IcmpMessage): { header: Ipv4Header; payload: Uint8Array } {
  const quote = parseIpv4(message.data, true);
  must(quote.payload.length >= 8, "icmp", `quotes ${quote.payload.length} bytes of layer 4`);
  return quote;
}
