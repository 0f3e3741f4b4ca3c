/** Ethernet II (RFC 894): destination, source, type, payload. */
import { concat, readU16, u16 } from "../bytes.ts";
import { macBytes, macText } from "./addresses.ts";
import { must } from "./error.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERNET_HEADER = 14;
/** Shortest frame on the wire without its check sequence; shorter ones are padded. */
export const ETHERNET_MINIMUM = 60;

export interface EthernetHeader {
  readonly destination: string;
  readonly source: string;
  readonly type: number;
}

export function buildEthernet(header: EthernetHeader, payload: Uint8Array): Uint8Array {
  return concat(macBytes(header.destination), macBytes(header.source), u16(header.type), payload);
}

/** Pads a frame with zeros to the shortest length Ethernet carries. */
export function padded(frame: Uint8Array): Uint8Array {
  if (frame.length >= ETHERNET_MINIMUM) return frame;
  return concat(frame, new Uint8Array(ETHERNET_MINIMUM - frame.length));
}

export function parseEthernet(frame: Uint8Array): { header: EthernetHeader; payload: Uint8Array } {
  must(frame.length >= ETHERNET_HEADER, "ethernet", `frame of ${frame.length} bytes`);
  return {
    header: {
      destination: macText(frame.subarray(0, 6)),
      source: macText(frame.subarray(6, 12)),
      type: readU16(frame, 12),
    },
    payload: frame.subarray(ETHERNET_HEADER),
  };
}
