/** A SYN (RFC 9293) with a sender that does not exist, made byte by byte. */
import type { Random } from "../../host/index.ts";
import { FLOODER_MAC, octets, SERVER_IP, SERVER_PORT } from "./addresses.ts";

/** Bytes of the frame: Ethernet 14, IPv4 20, TCP 24 with its MSS option, and padding to the least. */
export const SYN_FRAME = 60;
const TCP_LENGTH = 24;
const SERVER = octets(SERVER_IP);

/** Writes the frame at `at`, to the NIC `target`; chance gives the sender: 100.64.0.0/10 (RFC 6598). */
export function forgeSyn(
  bytes: Uint8Array,
  at: number,
  target: readonly number[],
  random: Random,
): void {
  const sender = random.next();
  bytes.fill(0, at, at + SYN_FRAME);
  bytes.set([...target, ...FLOODER_MAC, 0x08, 0x00], at);
  const ip = at + 14;
  bytes.set([0x45, 0, 0, 20 + TCP_LENGTH], ip);
  bytes.set([0x40, 0, 64, 6], ip + 6);
  bytes.set([100, 64 | ((sender >>> 16) & 63), (sender >>> 8) & 255, sender & 255], ip + 12);
  bytes.set(SERVER, ip + 16);
  put16(bytes, ip + 10, complement(sum(bytes, ip, 20)));
  const tcp = ip + 20;
  put16(bytes, tcp, 1024 + random.below(60_000));
  put16(bytes, tcp + 2, SERVER_PORT);
  put16(bytes, tcp + 4, random.below(65_536));
  put16(bytes, tcp + 6, random.below(65_536));
  bytes.set([0x60, 0x02, 0xff, 0xff], tcp + 12);
  bytes.set([2, 4, 0x05, 0xb4], tcp + 20);
  const pseudo = sum(bytes, ip + 12, 8) + 6 + TCP_LENGTH;
  put16(bytes, tcp + 16, complement(pseudo + sum(bytes, tcp, TCP_LENGTH)));
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function sum(bytes: Uint8Array, from: number, length: number): number {
  let total = 0;
  for (let i = from; i < from + length; i += 2) total += (bytes[i] << 8) | bytes[i + 1];
  return total;
}

/** The Internet checksum (RFC 1071) of a sum of words. */
function complement(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}
