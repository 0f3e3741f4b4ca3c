/** A whole frame, parsed strictly from Ethernet up to TCP, UDP or ICMP. */
import { parseArp, type ArpPacket } from "./arp.ts";
import { must } from "./error.ts";
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  parseEthernet,
  type EthernetHeader,
} from "./ethernet.ts";
import { parseIcmp, type IcmpMessage } from "./icmp.ts";
import { parseIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, type Ipv4Header } from "./ipv4.ts";
import { parseIcmpv6, type Icmpv6Message } from "./icmpv6.ts";
import { NEXT_ICMPV6, parseIpv6, type Ipv6Header } from "./ipv6.ts";
import { parseTcp, type TcpHeader } from "./tcp.ts";
import { parseUdp, type UdpHeader } from "./udp.ts";

export interface Packet {
  readonly frame: Uint8Array;
  readonly ethernet: EthernetHeader;
  readonly arp?: ArpPacket;
  readonly ip?: Ipv4Header;
  readonly ip6?: Ipv6Header;
  readonly icmp?: IcmpMessage;
  readonly icmp6?: Icmpv6Message;
  readonly udp?: UdpHeader;
  readonly tcp?: TcpHeader;
  /** Bytes behind the innermost header that was parsed. */
  readonly payload: Uint8Array;
}

/** Parses a frame; throws `MalformedPacket` with the layer and the reason when anything is wrong. */
export function parseFrame(frame: Uint8Array): Packet {
  const { header: ethernet, payload } = parseEthernet(frame);
  if (ethernet.type === ETHERTYPE_ARP) return { frame, ethernet, arp: parseArp(payload), payload };
  if (ethernet.type === ETHERTYPE_IPV6) return parseFrame6(frame, ethernet, payload);
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

function parseFrame6(frame: Uint8Array, ethernet: EthernetHeader, packet: Uint8Array): Packet {
  const { header: ip6, payload: data } = parseIpv6(packet);
  const base = { frame, ethernet, ip6 };
  if (ip6.fragment) return { ...base, payload: data };
  switch (ip6.protocol) {
    case PROTOCOL_TCP: {
      const { header, payload } = parseTcp(data, ip6);
      return { ...base, tcp: header, payload };
    }
    case PROTOCOL_UDP: {
      const { header, payload } = parseUdp(data, ip6);
      must(header.checksummed, "udp", "no checksum over IPv6 (RFC 8200 section 8.1)");
      return { ...base, udp: header, payload };
    }
    case NEXT_ICMPV6: {
      const icmp6 = parseIcmpv6(data, ip6);
      return { ...base, icmp6, payload: icmp6.data };
    }
    default:
      return { ...base, payload: data };
  }
}

/** Where a packet is from and where it goes, by whichever IP it has. */
export function addressesIn(packet: Packet): { source: string; destination: string } | undefined {
  return packet.ip ?? packet.ip6;
}

export type TcpPacket = Packet & { readonly tcp: TcpHeader };

export function isTcp(packet: Packet): packet is TcpPacket {
  return packet.tcp !== undefined;
}

export function asTcp(packet: Packet): TcpPacket {
  must(isTcp(packet), "tcp", "not a TCP segment");
  return packet;
}
