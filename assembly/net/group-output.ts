/**
 * IGMP and MLD on the way out: reports and leaves, each of one group, with the router alert that they
 * must carry (RFC 3376 section 4, RFC 3810 section 5).
 */
import { CNT_GROUP_OUT, CNT_TX_NO_FRAME } from "../abi";
import { localIp } from "../core/config";
import { count } from "../core/counters";
import { allocControlFrame, packetOf, release } from "../mem/buffers";
import { foldChecksum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { HOP_BY_HOP } from "../wire/extension";
import {
  emitIgmp,
  emitIgmpV3Report,
  emitMld,
  emitMld2Report,
  IGMP_LEAVE,
  IGMP_PROTOCOL,
  IGMP_SIZE,
  IGMP_V2_REPORT,
  IGMP_V3_REPORT_SIZE,
  MLD2_REPORT_SIZE,
  MLD_SIZE,
  ROUTER_ALERT_HOP_BY_HOP,
  ROUTER_ALERT_OPTION,
  TO_INCLUDE,
} from "../wire/group";
import {
  ICMPV6_CHECKSUM,
  ICMPV6_PROTOCOL,
  MLD1_REPORT,
  MLD2_REPORT,
  MLD_DONE,
} from "../wire/icmpv6";
import { addIpv4Option, emitIpv4, IPV4_HEADER_SIZE } from "../wire/ipv4";
import {
  ALL_MLD_ROUTERS,
  ALL_ROUTERS,
  emitIpv6,
  IPV6_HEADER_SIZE,
  isMapped,
  LINK_GROUP,
  mappedIpv4,
  mappedLow,
} from "../wire/ipv6";
import { chooseSource, sourceHigh, sourceLow } from "./interface";
import { neighbourOf, sendPacket } from "./neighbours";

/** 224.0.0.22 and 224.0.0.2 as they lie in memory. */
const ALL_IGMP_ROUTERS: u32 = 0x160000e0;
const ALL_IPV4_ROUTERS: u32 = 0x020000e0;
const IGMP_V1_REPORT: u32 = 0x12;
const OPTION_SIZE: u32 = 4;
const HOP_BY_HOP_SIZE: u32 = 8;

/** Says that we are a member. `kind` of the record in the newest version. */
export function sendReport(high: u64, low: u64, version: u32, kind: u32): void {
  if (isMapped(high, low)) {
    const group = mappedIpv4(low);
    if (version == 3) sendIgmp(ALL_IGMP_ROUTERS, 0, group, kind);
    else sendIgmp(group, version == 2 ? IGMP_V2_REPORT : IGMP_V1_REPORT, group, 0);
  } else if (version == 2) {
    sendMld(LINK_GROUP, ALL_MLD_ROUTERS, 0, high, low, kind);
  } else {
    sendMld(high, low, MLD1_REPORT, high, low, 0);
  }
}

/** Says that we are none any more; IGMPv1 has no word for it. */
export function sendLeave(high: u64, low: u64, version: u32): void {
  if (isMapped(high, low)) {
    const group = mappedIpv4(low);
    if (version == 3) sendIgmp(ALL_IGMP_ROUTERS, 0, group, TO_INCLUDE);
    else if (version == 2) sendIgmp(ALL_IPV4_ROUTERS, IGMP_LEAVE, group, 0);
  } else if (version == 2) {
    sendMld(LINK_GROUP, ALL_MLD_ROUTERS, 0, high, low, TO_INCLUDE);
  } else {
    sendMld(LINK_GROUP, ALL_ROUTERS, MLD_DONE, high, low, 0);
  }
}

/** Sends an IGMP message; `type` 0 is a version 3 report with a record of that kind. */
function sendIgmp(to: u32, type: u32, group: u32, kind: u32): void {
  const neighbour = neighbourOf(0, mappedLow(to));
  if (neighbour == null) return;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const frame = packetOf(buffer);
  const ip = frame + ETHERNET_HEADER_SIZE;
  const message = ip + IPV4_HEADER_SIZE + OPTION_SIZE;
  const length = type == 0 ? IGMP_V3_REPORT_SIZE : IGMP_SIZE;
  if (type == 0) emitIgmpV3Report(message, kind, group);
  else emitIgmp(message, type, group);
  store<u16>(message, foldChecksum(sumBytes(message, length, 0)), 2);
  emitIpv4(ip, localIp, to, IGMP_PROTOCOL, OPTION_SIZE + length, 1, 0);
  addIpv4Option(ip, ROUTER_ALERT_OPTION);
  sendPacket(neighbour, buffer, frame, message + length - frame, 0);
  release(buffer);
  count(CNT_GROUP_OUT);
}

/** Sends an MLD message; `type` 0 is a version 2 report with a record of that kind. */
function sendMld(toHigh: u64, toLow: u64, type: u32, high: u64, low: u64, kind: u32): void {
  const neighbour = neighbourOf(toHigh, toLow);
  if (neighbour == null) return;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const frame = packetOf(buffer);
  const ip = frame + ETHERNET_HEADER_SIZE;
  const extension = ip + IPV6_HEADER_SIZE;
  const message = extension + HOP_BY_HOP_SIZE;
  const length = type == 0 ? MLD2_REPORT_SIZE : MLD_SIZE;
  // Before the link-local address is ours the unspecified one stands for it (RFC 3590).
  const known = chooseSource(LINK_GROUP, toLow);
  const fromHigh = known ? sourceHigh : 0;
  const fromLow = known ? sourceLow : 0;
  if (type == 0) emitMld2Report(message, MLD2_REPORT, kind, high, low);
  else emitMld(message, type, high, low);
  const pseudo = pseudoHeaderSum6(fromHigh, fromLow, toHigh, toLow, ICMPV6_PROTOCOL, length);
  store<u16>(message, foldChecksum(sumBytes(message, length, pseudo)), ICMPV6_CHECKSUM);
  store<u64>(extension, ROUTER_ALERT_HOP_BY_HOP | u64(ICMPV6_PROTOCOL));
  emitIpv6(ip, fromHigh, fromLow, toHigh, toLow, HOP_BY_HOP, HOP_BY_HOP_SIZE + length, 1);
  sendPacket(neighbour, buffer, frame, message + length - frame, 0);
  release(buffer);
  count(CNT_GROUP_OUT);
}
