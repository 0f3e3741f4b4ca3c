/**
 * What the NIC reads in a frame's headers: who it is for, the RSS hash, and where a TCP or UDP
 * segment lies whose IP header is sound, for the checksum offloads. One object per backend;
 * `classify` overwrites its fields, so that nothing is allocated per frame.
 *
 *   0  destination MAC 6 · source MAC 6 · EtherType 2
 *  14  IPv4: version+IHL 1, TOS 1, total length 2, id 2, flags+fragment 2, TTL 1, protocol 1,
 *      checksum 2, source 4, destination 4, options      (RFC 791)
 *  14  IPv6: version… 4, payload length 2, next header 1, hop limit 1, source 16, destination 16
 *                                                        (RFC 8200)
 */
import { MIN_FRAME, sum } from "./checksum.ts";
import type { MemoryView } from "./memory-view.ts";
import { hashIpv4, hashIpv6, STANDARD_TABLES } from "./rss.ts";

/** Most bytes of a frame that `classify` looks at. */
const MOST_HEADERS = 14 + 60 + 8;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** EtherType IPv4 with version 4 and IHL 5 behind it, as the low 24 bits of word 3. */
const PLAIN_IPV4 = 0x450008;
/** More-fragments and fragment offset, as they lie in word 5. */
const FRAGMENT_BITS = 0xff3f;
/** Ethernet and IPv4 header without options. */
const PLAIN_TRANSPORT = 34;
/** The usual checksum requests, as in `Frame.checksum`. */
const PLAIN_TCP_REQUEST = PLAIN_TRANSPORT | (16 << 16);
const PLAIN_UDP_REQUEST = PLAIN_TRANSPORT | (6 << 16);

export class Classifier {
  /** Destination MAC as it lies in memory: first four bytes (signed), last two. */
  macHead = 0;
  macTail = 0;
  /** RSS hash, signed; 0 and not `hashed` when the frame is no IP packet. */
  hash = 0;
  hashed = false;
  /**
   * The checksum request that belongs to the packet, as in `Frame.checksum`; 0 unless it is a whole
   * TCP or UDP packet with a sound IP header, the header's checksum included.
   */
  request = 0;
  protocol = 0;
  /** Offset of the IP source address from the frame's start, and the size of an address. */
  addresses = 0;
  addressBytes = 0;
  /** Offset of the ports; 0 when they are not part of the hash. */
  ports = 0;
  /** Bytes from the TCP or UDP header to the end of the IP packet. */
  transportLength = 0;

  readonly #tables: Int32Array;
  /**
   * The IPv4 addresses of the last plain packet, as the words hold them, and their part of the
   * hash.
   */
  #pairHead = 0;
  #pairMiddle = 0;
  #pairTail = 0;
  #pairHash = 0;

  constructor(tables: Int32Array = STANDARD_TABLES) {
    this.#tables = tables;
  }

  /**
   * Finds the MAC, the hash and the request of the frame at `at` (kept as a signed word), whose
   * headers lie together there (`headersFit`). The other fields are set only by `parse`.
   */
  classify(view: MemoryView, at: number, length: number): void {
    const { words } = view;
    const word = at >>> 2;
    const w3 = words[word + 3];
    const w5 = words[word + 5];
    const protocol = w5 >>> 24;
    if (
      (w3 & 0xffffff) !== PLAIN_IPV4 ||
      (at & 3) !== 0 ||
      length < PLAIN_TRANSPORT + 8 ||
      (w5 & FRAGMENT_BITS) !== 0 ||
      (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP)
    ) {
      this.parse(view, at >>> 0, length);
      return;
    }
    const w4 = words[word + 4];
    const w6 = words[word + 6];
    const w7 = words[word + 7];
    const w8 = words[word + 8];
    const w9 = words[word + 9];
    const tables = this.#tables;
    this.macHead = words[word];
    this.macTail = words[word + 1] & 0xffff;
    // Most frames go from the same host to the same host as the one before.
    const pairHead = w6 >>> 16;
    const pairTail = w8 & 0xffff;
    if (w7 !== this.#pairMiddle || pairHead !== this.#pairHead || pairTail !== this.#pairTail) {
      this.#pairHead = pairHead;
      this.#pairMiddle = w7;
      this.#pairTail = pairTail;
      this.#pairHash =
        tables[pairHead & 0xff] ^
        tables[256 | (pairHead >>> 8)] ^
        tables[512 | (w7 & 0xff)] ^
        tables[768 | ((w7 >>> 8) & 0xff)] ^
        tables[1024 | ((w7 >>> 16) & 0xff)] ^
        tables[1280 | (w7 >>> 24)] ^
        tables[1536 | (pairTail & 0xff)] ^
        tables[1792 | (pairTail >>> 8)];
    }
    this.hash =
      this.#pairHash ^
      tables[2048 | ((w8 >>> 16) & 0xff)] ^
      tables[2304 | (w8 >>> 24)] ^
      tables[2560 | (w9 & 0xff)] ^
      tables[2816 | ((w9 >>> 8) & 0xff)];
    this.hashed = true;
    const total = ((w4 & 0xff) << 8) | ((w4 >>> 8) & 0xff);
    // The header's sum, half word by half word; the sum of ten needs at most two folds.
    let header = (w3 >>> 16) + (w4 & 0xffff) + (w4 >>> 16) + (w5 & 0xffff) + (w5 >>> 16);
    header += (w6 & 0xffff) + (w6 >>> 16) + (w7 & 0xffff) + (w7 >>> 16) + (w8 & 0xffff);
    header = (header & 0xffff) + (header >>> 16);
    header = (header & 0xffff) + (header >>> 16);
    if (header !== 0xffff || total + 14 > length) this.request = 0;
    else if (protocol === PROTOCOL_TCP) this.request = total >= 40 ? PLAIN_TCP_REQUEST : 0;
    else this.request = total >= 28 ? PLAIN_UDP_REQUEST : 0;
  }

  /** The same for every kind of frame, and all fields. */
  parse(view: MemoryView, at: number, length: number): void {
    const { bytes } = view;
    this.macHead = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    this.macTail = bytes[at + 4] | (bytes[at + 5] << 8);
    this.hash = 0;
    this.hashed = false;
    this.request = 0;
    this.protocol = 0;
    this.addresses = 0;
    this.addressBytes = 0;
    this.ports = 0;
    this.transportLength = 0;
    const type = etherType(bytes, at);
    if (type === ETHERTYPE_IPV4 && length >= 34) this.#classifyIpv4(view, at, length);
    else if (type === ETHERTYPE_IPV6 && length >= 54) this.#classifyIpv6(bytes, at, length);
  }

  #classifyIpv4(view: MemoryView, at: number, length: number): void {
    const { bytes } = view;
    const ip = at + 14;
    const headerLength = (bytes[ip] & 15) * 4;
    if (bytes[ip] >> 4 !== 4 || headerLength < 20) return;
    const total = (bytes[ip + 2] << 8) | bytes[ip + 3];
    const fragment = (bytes[ip + 6] & 0x3f) !== 0 || bytes[ip + 7] !== 0;
    this.hashed = true;
    this.protocol = bytes[ip + 9];
    this.addresses = 26;
    this.addressBytes = 4;
    if (!fragment && total + 14 <= length) {
      this.#findTransport(14 + headerLength, total - headerLength);
      if (this.request !== 0 && sum(view, ip, headerLength) !== 0xffff) this.request = 0;
    }
    const ports = this.ports === 0 ? 0 : at + this.ports;
    this.hash = hashIpv4(this.#tables, bytes, at + 26, ports);
  }

  /** Extension headers are not followed: such packets hash by their addresses alone. */
  #classifyIpv6(bytes: Uint8Array, at: number, length: number): void {
    const ip = at + 14;
    if (bytes[ip] >> 4 !== 6) return;
    const payload = (bytes[ip + 4] << 8) | bytes[ip + 5];
    this.hashed = true;
    this.protocol = bytes[ip + 6];
    this.addresses = 22;
    this.addressBytes = 16;
    if (payload + 54 <= length) this.#findTransport(54, payload);
    const ports = this.ports === 0 ? 0 : at + this.ports;
    this.hash = hashIpv6(this.#tables, bytes, at + 22, ports);
  }

  /** Notes where a TCP or UDP segment of `length` bytes begins, if that is what it is. */
  #findTransport(start: number, length: number): void {
    const tcp = this.protocol === PROTOCOL_TCP && length >= 20;
    const udp = this.protocol === PROTOCOL_UDP && length >= 8;
    if (!tcp && !udp) return;
    this.ports = start;
    this.request = start | ((tcp ? 16 : 6) << 16);
    this.transportLength = length;
  }
}

/**
 * True when the first `part` bytes of a scattered frame of `length` bytes are all that `classify`
 * looks at.
 */
export function headersFit(view: MemoryView, at: number, part: number, length: number): boolean {
  if (part >= MOST_HEADERS || part === length) return true;
  if (part < MIN_FRAME + 1) return false;
  const { bytes } = view;
  const type = etherType(bytes, at);
  if (type === ETHERTYPE_IPV4) return part >= 14 + (bytes[at + 14] & 15) * 4 + 8;
  if (type === ETHERTYPE_IPV6) return part >= 14 + 40 + 8;
  return true;
}

function etherType(bytes: Uint8Array, at: number): number {
  return (bytes[at + 12] << 8) | bytes[at + 13];
}
