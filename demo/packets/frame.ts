/**
 * What a frame of the demo's network says at a glance: Ethernet, ARP or IPv4, TCP. Enough to draw it and
 * to know it again; `decode.ts` reads it for people.
 */
import { hashIpv4, toeplitzTables } from "../../host/index.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export interface Glance {
  readonly protocol: "tcp" | "arp" | "other";
  /** Of TCP; 0 for all else. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** Bytes of TCP's payload, and where its options are. */
  readonly payload: number;
  readonly options: readonly [from: number, to: number];
  /** Of IPv4, as numbers in network order; 0 for all else. */
  readonly source: number;
  readonly destination: number;
}

const IP = 14;
const NOTHING: Glance = {
  protocol: "other",
  sourcePort: 0,
  destinationPort: 0,
  seq: 0,
  ack: 0,
  flags: 0,
  payload: 0,
  options: [0, 0],
  source: 0,
  destination: 0,
};

/** Reads the headers of a frame; whatever does not fit is "other". */
export function glance(bytes: Uint8Array): Glance {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < IP) return NOTHING;
  const type = view.getUint16(12);
  if (type === 0x0806) return { ...NOTHING, protocol: "arp" };
  if (type !== 0x0800 || bytes.length < IP + 20) return NOTHING;
  const addresses = { source: view.getUint32(IP + 12), destination: view.getUint32(IP + 16) };
  const tcp = IP + (bytes[IP] & 15) * 4;
  if (bytes[IP + 9] !== 6 || bytes.length < tcp + 20) return { ...NOTHING, ...addresses };
  const header = (bytes[tcp + 12] >>> 4) * 4;
  const end = IP + view.getUint16(IP + 2);
  return {
    ...addresses,
    protocol: "tcp",
    sourcePort: view.getUint16(tcp),
    destinationPort: view.getUint16(tcp + 2),
    seq: view.getUint32(tcp + 4),
    ack: view.getUint32(tcp + 8),
    flags: bytes[tcp + 13],
    payload: Math.max(end - tcp - header, 0),
    options: [tcp + 20, Math.min(tcp + header, bytes.length)],
  };
}

/** The blocks of a SACK option (RFC 2018), absolute sequence numbers; none without one. */
export function sackBlocks(bytes: Uint8Array, { options }: Glance): [from: number, to: number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [first, end] = options;
  for (let at = first; at < end && bytes[at] !== 0;) {
    if (bytes[at] === 1) {
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (length < 2 || at + length > end) break;
    if (bytes[at] === 5) {
      const count = (length - 2) >> 3;
      return Array.from({ length: count }, (_, i) => [
        view.getUint32(at + 2 + i * 8),
        view.getUint32(at + 6 + i * 8),
      ]);
    }
    at += length;
  }
  return [];
}

/** The shift of a window-scale option (RFC 7323); 0 without one. */
export function windowShift(bytes: Uint8Array, { options: [first, end] }: Glance): number {
  for (let at = first; at + 1 < end && bytes[at] !== 0; at += bytes[at] === 1 ? 1 : bytes[at + 1]) {
    if (bytes[at] === 3) return bytes[at + 2];
    if (bytes[at] !== 1 && bytes[at + 1] < 2) break;
  }
  return 0;
}

const TABLES = new Int32Array(toeplitzTables().buffer as ArrayBuffer);
const scratch = new Uint8Array(12);

/** The server's NIC's hash of the connection, whichever way the frame goes; 0 of what has no ports. */
export function hashOf(bytes: Uint8Array, { protocol }: Glance, way: "in" | "out"): number {
  if (protocol !== "tcp") return 0;
  const at = IP + 12;
  if (way === "in") return hashIpv4(TABLES, bytes, at, at + 8) >>> 0;
  scratch.set(bytes.subarray(at + 4, at + 8));
  scratch.set(bytes.subarray(at, at + 4), 4);
  scratch.set(bytes.subarray(at + 10, at + 12), 8);
  scratch.set(bytes.subarray(at + 8, at + 10), 10);
  return hashIpv4(TABLES, scratch, 0, 8) >>> 0;
}

/**
 * A number by which a frame that was sent is known again where it arrives: of its first bytes, but for
 * those that the network may change (the checksums, and ECN's bits).
 */
export function fingerprint(bytes: Uint8Array): number {
  const end = Math.min(bytes.length, 90);
  let hash = 0x811c9dc5 ^ bytes.length;
  for (let i = 0; i < end; i++) {
    if (i === 15 || i === 24 || i === 25) continue;
    hash = Math.imul(hash ^ bytes[i], 0x01000193);
  }
  return hash >>> 0;
}
