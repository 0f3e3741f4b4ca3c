/** ARP for IPv4 over Ethernet (RFC 826). */
import { concat, readU16, u16 } from "../bytes.ts";
import { ipv4Bytes, ipv4Text, macBytes, macText } from "./addresses.ts";
import { must } from "./error.ts";

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
export const ARP_LENGTH = 28;

export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

/** Fields that say what kind of addresses follow; for tests, any value can be forced. */
export interface ArpOverrides {
  readonly hardware?: number;
  readonly protocol?: number;
  readonly hardwareLength?: number;
  readonly protocolLength?: number;
}

export function buildArp(arp: ArpPacket, overrides: ArpOverrides = {}): Uint8Array {
  return concat(
    u16(overrides.hardware ?? 1),
    u16(overrides.protocol ?? 0x0800),
    Uint8Array.of(overrides.hardwareLength ?? 6, overrides.protocolLength ?? 4),
    u16(arp.operation),
    macBytes(arp.senderMac),
    ipv4Bytes(arp.senderIp),
    macBytes(arp.targetMac),
    ipv4Bytes(arp.targetIp),
  );
}

export function parseArp(bytes: Uint8Array): ArpPacket {
  must(bytes.length >= ARP_LENGTH, "arp", `${bytes.length} bytes`);
  must(readU16(bytes, 0) === 1, "arp", "hardware is not Ethernet");
  must(readU16(bytes, 2) === 0x0800, "arp", "protocol is not IPv4");
  must(bytes[4] === 6 && bytes[5] === 4, "arp", "address lengths are not 6 and 4");
  const operation = readU16(bytes, 6);
  must(operation === ARP_REQUEST || operation === ARP_REPLY, "arp", `operation ${operation}`);
  return {
    operation,
    senderMac: macText(bytes.subarray(8)),
    senderIp: ipv4Text(bytes.subarray(14)),
    targetMac: macText(bytes.subarray(18)),
    targetIp: ipv4Text(bytes.subarray(24)),
  };
}
