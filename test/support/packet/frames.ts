/** Whole frames between two hosts on one Ethernet. */
import { BROADCAST_MAC, isIpv6Text, ZERO_MAC } from "./addresses.ts";
import { ARP_REPLY, ARP_REQUEST, buildArp } from "./arp.ts";
import { buildEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./ethernet.ts";
import { buildIcmp, type IcmpFields } from "./icmp.ts";
import { buildIpv4, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, type Ipv4Fields } from "./ipv4.ts";
import { buildIcmpv6, type Icmpv6Fields } from "./icmpv6.ts";
import { buildIpv6, NEXT_ICMPV6, type Ipv6Fields } from "./ipv6.ts";
import { buildTcp, type TcpFields } from "./tcp.ts";
import { buildUdp, type UdpFields } from "./udp.ts";

export interface Host {
  readonly mac: string;
  readonly ip: string;
}

/** Where a frame comes from and goes to, and IP fields that differ from the usual. */
export interface Path {
  readonly from: Host;
  readonly to: Host;
  readonly ip?: Partial<Ipv4Fields>;
  readonly ip6?: Partial<Ipv6Fields>;
}

export function ipFrame(path: Path, fields: Partial<Ipv4Fields>, payload: Uint8Array): Uint8Array {
  const { from, to } = path;
  if (isIpv6Text(from.ip)) {
    return ip6Frame(path, { protocol: fields.protocol, trafficClass: fields.tos }, payload);
  }
  return buildEthernet(
    { source: from.mac, destination: to.mac, type: ETHERTYPE_IPV4 },
    buildIpv4({ source: from.ip, destination: to.ip, ...fields, ...path.ip }, payload),
  );
}

export function ip6Frame(path: Path, fields: Partial<Ipv6Fields>, payload: Uint8Array): Uint8Array {
  const { from, to } = path;
  return buildEthernet(
    { source: from.mac, destination: to.mac, type: ETHERTYPE_IPV6 },
    buildIpv6({ source: from.ip, destination: to.ip, ...fields, ...path.ip6 }, payload),
  );
}

export function icmpv6Frame(path: Path, fields: Icmpv6Fields): Uint8Array {
  return ip6Frame(path, { protocol: NEXT_ICMPV6 }, buildIcmpv6(fields, addressesOf(path)));
}

export function tcpFrame(
  path: Path,
  fields: TcpFields,
  payload: Uint8Array = new Uint8Array(),
  tos = 0,
): Uint8Array {
  const segment = buildTcp(fields, payload, addressesOf(path));
  return ipFrame(path, { protocol: PROTOCOL_TCP, tos }, segment);
}

export function udpFrame(
  path: Path,
  fields: UdpFields,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const datagram = buildUdp(fields, payload, addressesOf(path));
  return ipFrame(path, { protocol: PROTOCOL_UDP }, datagram);
}

export function icmpFrame(path: Path, fields: IcmpFields): Uint8Array {
  return ipFrame(path, { protocol: PROTOCOL_ICMP }, buildIcmp(fields));
}

export function arpRequestFrame(from: Host, targetIp: string): Uint8Array {
  return buildEthernet(
    { source: from.mac, destination: BROADCAST_MAC, type: ETHERTYPE_ARP },
    buildArp({
      operation: ARP_REQUEST,
      senderMac: from.mac,
      senderIp: from.ip,
      targetMac: ZERO_MAC,
      targetIp,
    }),
  );
}

export function arpReplyFrame(from: Host, to: Host): Uint8Array {
  return buildEthernet(
    { source: from.mac, destination: to.mac, type: ETHERTYPE_ARP },
    buildArp({
      operation: ARP_REPLY,
      senderMac: from.mac,
      senderIp: from.ip,
      targetMac: to.mac,
      targetIp: to.ip,
    }),
  );
}

function addressesOf(path: Path): { source: string; destination: string } {
  return {
    source: path.ip?.source ?? path.ip6?.source ?? path.from.ip,
    destination: path.ip?.destination ?? path.ip6?.destination ?? path.to.ip,
  };
}
