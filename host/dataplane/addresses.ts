/**
 * IP, CIDR and MAC addresses between text and bytes, and what networks say about addresses. An IP
 * address is 16 bytes in network order everywhere; IPv4 is stored IPv4-mapped (::ffff:a.b.c.d,
 * RFC 4291 section 2.5.5.2).
 */
import { IpAddress } from "../libix/ip-address.ts";

/** An address block: the address as written, and how many of its family's bits are the network. */
export interface Cidr {
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** Of 32 bits for IPv4, of 128 for IPv6. */
  readonly prefix: number;
}

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** The 16 bytes of an IPv4 or IPv6 address, or undefined when the text is neither. */
export function parseIp(text: string): Uint8Array | undefined {
  try {
    return IpAddress.parse(text).toBytes();
  } catch {
    return undefined;
  }
}

/** `address/prefix`, or undefined when the text is no such thing. Host bits may be set. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseIp(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!address || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  const prefix = Number(digits);
  return prefix <= familyBits(address) ? { address, prefix } : undefined;
}

/** The 6 bytes of `xx:xx:xx:xx:xx:xx` (or with `-`), or undefined. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16));
}

/** Text of a 16-byte address: dotted decimal when it is IPv4-mapped, else as in RFC 5952. */
export function formatIp(address: Uint8Array): string {
  return IpAddress.fromBytes(address).toString();
}

/** Text of a 6-byte MAC address. */
export function formatMac(mac: ArrayLike<number>): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** True when the 16 bytes are an IPv4-mapped address. */
export function isIpv4(address: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, index) => address[index] === byte);
}

/** True when `address` lies in the block; an address of the other family never does. */
export function inNetwork(address: Uint8Array, network: Cidr): boolean {
  if (isIpv4(address) !== isIpv4(network.address)) return false;
  const bits = mappedPrefix(network);
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = bits - bit >= 8 ? 0xff : 0xff & (0xff00 >> (bits - bit));
    if ((address[bit >> 3] ^ network.address[bit >> 3]) & mask) return false;
  }
  return true;
}

/** The prefix length as bits of the 16-byte form: an IPv4 /24 is a /120. */
export function mappedPrefix(network: Cidr): number {
  return network.prefix + 128 - familyBits(network.address);
}

/** True when no bit behind the prefix is set, as the destination of a route must be. */
export function isNetworkAddress(network: Cidr): boolean {
  return hostBitsAre(network, 0x00);
}

/** True when every bit behind the prefix is set: the network's IPv4 broadcast address. */
export function isBroadcastAddress(network: Cidr): boolean {
  return hostBitsAre(network, 0xff);
}

/** True for IPv4 multicast (224.0.0.0/4) and IPv6 multicast (ff00::/8). */
export function isMulticast(address: Uint8Array): boolean {
  return isIpv4(address) ? address[12] >> 4 === 0xe : address[0] === 0xff;
}

/** True for fe80::/10. */
export function isLinkLocal(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
}

/** True for an IPv6 address that one host can have: neither unspecified, loopback nor multicast. */
export function isIpv6Host(address: Uint8Array): boolean {
  if (isIpv4(address) || isMulticast(address)) return false;
  return address.some((byte, index) => byte !== (index === 15 ? 1 : 0)) && address.some(Boolean);
}

/** The address as four words as they lie in little-endian memory, for the kernel's exports. */
export function addressWords(address: Uint8Array): [number, number, number, number] {
  const view = new DataView(address.buffer, address.byteOffset, 16);
  return [
    view.getUint32(0, true),
    view.getUint32(4, true),
    view.getUint32(8, true),
    view.getUint32(12, true),
  ];
}

function familyBits(address: Uint8Array): number {
  return isIpv4(address) ? 32 : 128;
}

function hostBitsAre(network: Cidr, value: number): boolean {
  const bits = mappedPrefix(network);
  for (let index = bits >> 3; index < 16; index++) {
    const mask = index === bits >> 3 ? 0xff >> (bits & 7) : 0xff;
    if ((network.address[index] & mask) !== (value & mask)) return false;
  }
  return true;
}
