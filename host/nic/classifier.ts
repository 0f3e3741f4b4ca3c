/**
 * What the NIC reads in a frame's headers: who it is for, the RSS hash, and where a TCP or UDP segment
 * lies whose IP header is sound, for the checksum offloads. One object per backend; `classify`
 * overwrites its fields, so that nothing is allocated per frame.
 *
 *   0  destination MAC 6 · source MAC 6 · EtherType 2
 *  14  IPv4: version+IHL 1, TOS 1, total length 2, id 2, flags+fragment 2, TTL 1, protocol 1,
 *      checksum 2, source 4, destination 4, options      (RFC 791)
 *  14  IPv6: version… 4, payload length 2, next header 1, hop limit 1, source 16, destination 16
 *                                                        (RFC 8200)
 */
import type { MemoryView } from "./memory-view.ts";
import { hashIpv4, hashIpv6, STANDARD_TABLES } from "./rss.ts";
import { sum } from "./checksum.ts";

/** Bytes of a frame that `classify` may look at. */
export const HEADER_BYTES = 14 + 60 + 8;
/** A frame has at least its addresses and its EtherType. */
export const MIN_FRAME = 14;

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** EtherType 0x0800 with version 4 and IHL 5 behind it, as the low 24 bits of word 3. */
const PLAIN_IPV4 = 0x450008;
/** More-fragments and fragment offset in word 5. */
const FRAGMENT_BITS = 0xff3f;

export class Classifier {
  /** Destination MAC as it lies in memory: first four bytes (signed), last two. */
  macHead = 0;
  macTail = 0;
  /** RSS hash, signed; 0 and not `hashed` when the frame is no IP packet. */
  hash = 0;
  hashed = false;
  /**
   * Offset of the TCP or UDP header from the frame's start; 0 unless the packet is a whole one with a
   * sound IP header, checksum included.
   */
  transport = 0;
  /** Bytes from the TCP or UDP header to the end of the IP packet. */
  transportLength = 0;
  protocol = 0;
  /** Offset of the IP source address and the size of an address; for the filters and the checksum. */
  addresses = 0;
  addressBytes = 0;
  /** Offset of the ports; 0 when they are not part of the hash. */
  ports = 0;

  readonly #tables: Int32Array;

  constructor(tables: Int32Array = STANDARD_TABLES) {
    this.#tables = tables;
  }

  /** Reads the headers at `at`, of which at least min(length, HEADER_BYTES) bytes lie there. */
  classify(view: MemoryView, at: number, length: number): void {
    const { words } = view;
    const word = at >>> 2;
    const w3 = words[word + 3];
    if ((at & 3) !== 0 || length < 42 || (w3 & 0xffffff) !== PLAIN_IPV4) {
      this.#classifySlowly(view.bytes, view, at, length);
      return;
    }
    const w4 = words[word + 4];
    const w5 = words[word + 5];
    const w6 = words[word + 6];
    const w7 = words[word + 7];
    const w8 = words[word + 8];
    const protocol = w5 >>> 24;
    if ((protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) || (w5 & FRAGMENT_BITS) !== 0) {
      this.#classifySlowly(view.bytes, view, at, length);
      return;
    }
    const w9 = words[word + 9];
    const tables = this.#tables;
    this.macHead = words[word];
    this.macTail = words[word + 1] & 0xffff;
    this.hash =
      tables[(w6 >>> 16) & 0xff] ^
      tables[256 | (w6 >>> 24)] ^
      tables[512 | (w7 & 0xff)] ^
      tables[768 | ((w7 >>> 8) & 0xff)] ^
      tables[1024 | ((w7 >>> 16) & 0xff)] ^
      tables[1280 | (w7 >>> 24)] ^
      tables[1536 | (w8 & 0xff)] ^
      tables[1792 | ((w8 >>> 8) & 0xff)] ^
      tables[2048 | ((w8 >>> 16) & 0xff)] ^
      tables[2304 | (w8 >>> 24)] ^
      tables[2560 | (w9 & 0xff)] ^
      tables[2816 | ((w9 >>> 8) & 0xff)];
    this.hashed = true;
    this.protocol = protocol;
    this.addresses = 26;
    this.addressBytes = 4;
    this.ports = 34;
    const total = ((w4 & 0xff) << 8) | ((w4 >>> 8) & 0xff);
    let header = (w3 >>> 16) + (w4 & 0xffff) + (w4 >>> 16) + (w5 & 0xffff) + (w5 >>> 16);
    header += (w6 & 0xffff) + (w6 >>> 16) + (w7 & 0xffff) + (w7 >>> 16) + (w8 & 0xffff);
    header = (header & 0xffff) + (header >>> 16);
    header = (header & 0xffff) + (header >>> 16);
    const segment = total - 20;
    const sound = header === 0xffff && total + 14 <= length && wholeHeader(protocol, segment);
    this.transport = sound ? 34 : 0;
    this.transportLength = segment;
  }

  /** Everything that is not a plain TCP or UDP packet over IPv4 in an aligned frame. */
  #classifySlowly(bytes: Uint8Array, view: MemoryView, at: number, length: number): void {
    this.macHead = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    this.macTail = bytes[at + 4] | (bytes[at + 5] << 8);
    this.hash = 0;
    this.hashed = false;
    this.transport = 0;
    this.transportLength = 0;
    this.protocol = 0;
    this.addresses = 0;
    this.addressBytes = 0;
    this.ports = 0;
    const type = (bytes[at + 12] << 8) | bytes[at + 13];
    if (type === 0x0800 && length >= 34) this.#classifyIpv4(bytes, view, at, length);
    else if (type === 0x86dd && length >= 54) this.#classifyIpv6(bytes, at, length);
  }

  #classifyIpv4(bytes: Uint8Array, view: MemoryView, at: number, length: number): void {
    const ip = at + 14;
    const headerLength = (bytes[ip] & 15) * 4;
    const total = (bytes[ip + 2] << 8) | bytes[ip + 3];
    if (bytes[ip] >> 4 !== 4 || headerLength < 20) return;
    this.protocol = bytes[ip + 9];
    this.addresses = 26;
    this.addressBytes = 4;
    this.hashed = true;
    const fragment = (bytes[ip + 6] & 0x3f) !== 0 || bytes[ip + 7] !== 0;
    const segment = total - headerLength;
    if (!fragment && total + 14 <= length && wholeHeader(this.protocol, segment)) {
      this.ports = 14 + headerLength;
      if (sum(view, ip, headerLength) === 0xffff) {
        this.transport = 14 + headerLength;
        this.transportLength = segment;
      }
    }
    const ports = this.ports === 0 ? 0 : at + this.ports;
    this.hash = hashIpv4(this.#tables, bytes, at + 26, ports);
  }

  /** Extension headers are not followed: such packets hash by their addresses alone. */
  #classifyIpv6(bytes: Uint8Array, at: number, length: number): void {
    const ip = at + 14;
    if (bytes[ip] >> 4 !== 6) return;
    const segment = (bytes[ip + 4] << 8) | bytes[ip + 5];
    this.protocol = bytes[ip + 6];
    this.addresses = 22;
    this.addressBytes = 16;
    this.hashed = true;
    if (segment + 54 <= length && wholeHeader(this.protocol, segment)) {
      this.ports = 54;
      this.transport = 54;
      this.transportLength = segment;
    }
    this.hash = hashIpv6(this.#tables, bytes, at + 22, this.ports === 0 ? 0 : at + 54);
  }
}

/** True when `length` bytes hold at least the fixed header of TCP or UDP. */
function wholeHeader(protocol: number, length: number): boolean {
  return (protocol === PROTOCOL_TCP && length >= 20) || (protocol === PROTOCOL_UDP && length >= 8);
}

/** Offset of the checksum field in a TCP or UDP header. */
export function checksumOffset(protocol: number): number {
  return protocol === PROTOCOL_TCP ? 16 : 6;
}
