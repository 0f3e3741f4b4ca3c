/** Addresses as people write them, and as they lie in packets. */

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
export const ZERO_MAC = "00:00:00:00:00:00";

export function ipv4Bytes(address: string): Uint8Array {
  const parts = address.split(".").map(Number);
  const valid = parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);
  if (parts.length !== 4 || !valid) throw new RangeError(`not an IPv4 address: ${address}`);
  return Uint8Array.from(parts);
}

export function ipv4Text(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4)).join(".");
}

/** The 16 bytes of an IPv6 address (RFC 4291 section 2.2), without a dotted part. */
export function ipv6Bytes(address: string): Uint8Array {
  const [head, tail] = address.split("::");
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  const missing = 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: missing }, () => 0), ...after];
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) {
    throw new RangeError(`not an IPv6 address: ${address}`);
  }
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** As RFC 5952 writes it. */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16),
  ).join(":");
  const runs = [...groups.matchAll(/(?<![0-9a-f])0(:0)+(?![0-9a-f])/g)];
  if (runs.length === 0) return groups;
  const longest = runs.reduce((best, run) => (run[0].length > best[0].length ? run : best));
  const head = groups.slice(0, longest.index).replace(/:$/, "");
  const tail = groups.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${head}::${tail}`;
}

export function isIpv6Text(address: string): boolean {
  return address.includes(":");
}

/** The bytes of an address as they lie in a packet: 4 or 16. */
export function ipBytes(address: string): Uint8Array {
  return isIpv6Text(address) ? ipv6Bytes(address) : ipv4Bytes(address);
}

/** The 16 bytes of an address; of an IPv4 one the mapped form (RFC 4291 section 2.5.5.2). */
export function mappedBytes(address: string): Uint8Array {
  if (isIpv6Text(address)) return ipv6Bytes(address);
  const bytes = new Uint8Array(16);
  bytes[10] = bytes[11] = 0xff;
  bytes.set(ipv4Bytes(address), 12);
  return bytes;
}

/** The address in 16 bytes. */
export function mappedText(bytes: Uint8Array): string {
  const prefix = Array.from(bytes.subarray(0, 12)).join();
  if (prefix === "0,0,0,0,0,0,0,0,0,0,255,255") return ipv4Text(bytes.subarray(12));
  return ipv6Text(bytes);
}

export function macBytes(address: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(address)) {
    throw new RangeError(`not a MAC address: ${address}`);
  }
  return Uint8Array.from(address.split(":"), (part) => parseInt(part, 16));
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The MAC of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7). */
export function groupMac(group: string): string {
  const bytes = ipBytes(group);
  return bytes.length === 4
    ? macText(Uint8Array.of(1, 0, 0x5e, bytes[1] & 0x7f, bytes[2], bytes[3]))
    : macText(Uint8Array.of(0x33, 0x33, ...bytes.subarray(12)));
}

/** The solicited-node group of an address (RFC 4291 section 2.7.1). */
export function solicitedGroup(address: string): string {
  const bytes = ipv6Bytes("ff02::1:ff00:0");
  bytes.set(ipv6Bytes(address).subarray(13), 13);
  return ipv6Text(bytes);
}

/** The link-local address made of a MAC (RFC 4291 appendix A). */
export function linkLocal(mac: string): string {
  const [a, b, c, d, e, f] = macBytes(mac);
  const bytes = ipv6Bytes("fe80::");
  bytes.set([a ^ 2, b, c, 0xff, 0xfe, d, e, f], 8);
  return ipv6Text(bytes);
}
