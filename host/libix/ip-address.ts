/**
 * IP addresses as the kernel stores them: 16 bytes in network order, IPv4 mapped into IPv6
 * (RFC 4291 section 2.5.5.2), here as four words read little-endian, as they lie in memory.
 */

const MAPPED_PREFIX = 0xffff0000;

/** An IPv4 or IPv6 address. Its words may be overwritten, so that a hot path can reuse one object. */
export class IpAddress {
  /** Words 0 to 3 of the 16 bytes, little-endian, unsigned. */
  w0: number;
  w1: number;
  w2: number;
  w3: number;

  constructor(w0 = 0, w1 = 0, w2 = 0, w3 = 0) {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
    this.w3 = w3;
  }

  /** Reads "10.0.0.1" or "fe80::1"; throws a TypeError for anything else. */
  static parse(text: string): IpAddress {
    const bytes = text.includes(":") ? parseIpv6(text) : mapIpv4(parseIpv4(text));
    if (bytes === null) throw new TypeError(`not an IP address: "${text}"`);
    return IpAddress.fromBytes(bytes);
  }

  /** Takes 16 bytes in network order. */
  static fromBytes(bytes: ArrayLike<number>): IpAddress {
    const word = (at: number): number =>
      (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
    return new IpAddress(word(0), word(4), word(8), word(12));
  }

  /** True for an IPv4 address, stored mapped. */
  get isIpv4(): boolean {
    return this.w0 === 0 && this.w1 === 0 && this.w2 === MAPPED_PREFIX;
  }

  equals(other: IpAddress): boolean {
    return (
      this.w0 === other.w0 && this.w1 === other.w1 && this.w2 === other.w2 && this.w3 === other.w3
    );
  }

  /** The 16 bytes in network order. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.w0, true);
    view.setUint32(4, this.w1, true);
    view.setUint32(8, this.w2, true);
    view.setUint32(12, this.w3, true);
    return bytes;
  }

  /** Dotted decimal for IPv4, the canonical form of RFC 5952 for IPv6. */
  toString(): string {
    const bytes = this.toBytes();
    return this.isIpv4 ? bytes.subarray(12).join(".") : formatIpv6(bytes);
  }
}

function parseIpv4(text: string): number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return bytes.some((byte) => byte > 255) ? null : bytes;
}

function mapIpv4(ipv4: number[] | null): number[] | null {
  return ipv4 === null ? null : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ipv4];
}

/** RFC 4291 section 2.2: eight groups, one run of zeros as "::", the last two perhaps dotted. */
function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1], true) : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return null;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

function parseGroups(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (last && index === groups.length - 1 && group.includes(".")) {
      const ipv4 = parseIpv4(group);
      if (ipv4 === null) return null;
      bytes.push(...ipv4);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return null;
    }
  }
  return bytes;
}

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of zero groups as "::". */
function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  let runStart = 0;
  let runLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > runLength) {
      runStart = start;
      runLength = length;
    }
  }
  const text = groups.map((group) => group.toString(16));
  if (runLength === 1) return text.join(":");
  const head = text.slice(0, runStart).join(":");
  return `${head}::${text.slice(runStart + runLength).join(":")}`;
}
