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

/** The 16 bytes of an IPv4-mapped address (RFC 4291 section 2.5.5.2). */
export function mappedBytes(address: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[10] = bytes[11] = 0xff;
  bytes.set(ipv4Bytes(address), 12);
  return bytes;
}

/** The IPv4 address in 16 mapped bytes; anything else is shown as hex groups. */
export function mappedText(bytes: Uint8Array): string {
  const prefix = Array.from(bytes.subarray(0, 12)).join();
  if (prefix === "0,0,0,0,0,0,0,0,0,0,255,255") return ipv4Text(bytes.subarray(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
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
