/** One line per packet, close to what tcpdump prints: for the messages of failing tests. */
import { toHex } from "../bytes.ts";
import { ARP_REQUEST } from "./arp.ts";
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_UNREACHABLE } from "./icmp.ts";
import type { Ipv6Header } from "./ipv6.ts";
import type { Packet } from "./parse.ts";
import { formatOption } from "./tcp-options.ts";

export function formatPacket(packet: Packet): string {
  const { ethernet, arp, ip, icmp, udp, tcp, payload } = packet;
  if (arp) {
    return arp.operation === ARP_REQUEST
      ? `ARP who-has ${arp.targetIp} tell ${arp.senderIp}`
      : `ARP reply ${arp.senderIp} is-at ${arp.senderMac} to ${arp.targetIp}`;
  }
  if (packet.ip6) return formatIpv6(packet, packet.ip6);
  if (!ip) {
    return `${ethernet.source} > ${ethernet.destination} type 0x${ethernet.type.toString(16)}`;
  }
  const fragment =
    ip.moreFragments || ip.fragmentOffset > 0
      ? ` frag ${ip.id}@${ip.fragmentOffset}${ip.moreFragments ? "+" : ""}`
      : "";
  if (tcp) {
    const flags = tcp.flags.replace("A", ".") || "none";
    const range =
      payload.length > 0 ? `${tcp.seq}:${(tcp.seq + payload.length) >>> 0}` : `${tcp.seq}`;
    const ack = tcp.flags.includes("A") ? ` ack ${tcp.ack}` : "";
    const options = tcp.options.map(formatOption).join(",");
    return (
      `IP ${ip.source}.${tcp.sourcePort} > ${ip.destination}.${tcp.destinationPort}: ` +
      `[${flags}] seq ${range}${ack} win ${tcp.window}` +
      `${options === "" ? "" : ` <${options}>`} length ${payload.length}`
    );
  }
  if (udp) {
    return (
      `IP ${ip.source}.${udp.sourcePort} > ${ip.destination}.${udp.destinationPort}: ` +
      `UDP, length ${payload.length}`
    );
  }
  if (icmp) {
    const names: Record<number, string> = {
      [ICMP_ECHO_REQUEST]: "echo request",
      [ICMP_ECHO_REPLY]: "echo reply",
      [ICMP_UNREACHABLE]: "unreachable",
    };
    return (
      `IP ${ip.source} > ${ip.destination}: ICMP ${names[icmp.type] ?? `type ${icmp.type}`} ` +
      `code ${icmp.code} id ${icmp.id} seq ${icmp.sequence} length ${icmp.data.length}`
    );
  }
  return `IP ${ip.source} > ${ip.destination}: protocol ${ip.protocol}${fragment} ${toHex(payload.subarray(0, 16))}`;
}

function formatIpv6(packet: Packet, ip: Ipv6Header): string {
  const { tcp, udp, icmp6, payload } = packet;
  const fragment = ip.fragment
    ? ` frag ${ip.fragment.id}@${ip.fragment.offset}${ip.fragment.more ? "+" : ""}`
    : "";
  const from = `IP6 ${ip.source} > ${ip.destination}:`;
  if (tcp) {
    const flags = tcp.flags.replace("A", ".") || "none";
    return (
      `${from} ${tcp.sourcePort} > ${tcp.destinationPort} [${flags}] seq ${tcp.seq} ` +
      `ack ${tcp.ack} win ${tcp.window} <${tcp.options.map(formatOption).join(",")}> ` +
      `length ${payload.length}`
    );
  }
  if (udp) {
    return `${from} UDP ${udp.sourcePort} > ${udp.destinationPort} length ${payload.length}`;
  }
  if (icmp6) return `${from} ICMP6 type ${icmp6.type} code ${icmp6.code} word ${icmp6.word}`;
  return `${from} protocol ${ip.protocol}${fragment} length ${payload.length}`;
}
