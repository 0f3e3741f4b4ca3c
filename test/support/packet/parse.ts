/** A whole frame, parsed strictly from Ethernet up to TCP, UDP or ICMP. */
import { parseArp, type ArpPacket } from "./arp.ts";
import { must } from "./error.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet, type EthernetHeader } from "./ethernet.ts";
import { parseIcmp, type IcmpMessage } from "./icmp.ts";
import { parseIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, type Ipv4Header } from "./ipv4.ts";
import { parseTcp, type TcpHeader } from "./tcp.ts";
import { parseUdp, type UdpHeader } from "./udp.ts";

export interface Packet {
  readonly frame: Uint8Array;
  readonly ethernet: EthernetHeader;
  readonly arp?: ArpPacket;
  readonly ip?: Ipv4Header;
  readonly icmp?: IcmpMessage;
  readonly udp?: UdpHeader;
  readonly tcp?: TcpHeader;
  /** Bytes behind the innermost header that was parsed. */
  readonly payload: Uint8Array;
}

/** Parses a frame; throws `MalformedPacket` with the layer and the reason when anything is wrong. */
export function parseFrame(frame: Uint8Array): Packet {
  const { header: ethernet, payload } = parseEthernet(frame);
  if (ethernet.type === ETHERTYPE_ARP) return { frame, ethernet, arp: parseArp(payload), payload };
  if (ethernet.type !== ETHERTYPE_IPV4) return { frame, ethernet, payload };
  const { header: ip, payload: data } = parseIpv4(payload);
  const base = { frame, ethernet, ip };
  if (ip.moreFragments || ip.fragmentOffset > 0) return { ...base, payload: data };
  switch (ip.protocol) {
    case PROTOCOL_TCP: {
      const { header, payload: stream } = parseTcp(data, ip);
      return { ...base, tcp: header, payload: stream };
    }
    case PROTOCOL_UDP: {
      const { header, payload: datagram } = parseUdp(data, ip);
      return { ...base, udp: header, payload: datagram };
    }
    case PROTOCOL_ICMP: {
      const icmp = parseIcmp(data);
      return { ...base, icmp, payload: icmp.data };
    }
    default:
      return { ...base, payload: data };
  }
}

export type TcpPacket = Packet & { readonly ip: Ipv4Header; readonly tcp: TcpHeader };

export function isTcp(packet: Packet): packet is TcpPacket {
  return packet.tcp !== undefined;
}

export function asTcp(packet: Packet): TcpPacket {
  must(isTcp(packet), "tcp", "not a TCP segment");
  return packet;
}
