/**
 * Neighbour discovery on the way out (RFC 4861 sections 7.2.2, 7.2.4, 6.3.7): solicitations of
 * neighbours and routers, probes for addresses of our own, and advertisements.
 */
import { CNT_ND_OUT, CNT_TX_NO_FRAME } from "../abi";
import { macHead, macTail } from "../core/config";
import { count } from "../core/counters";
import { allocControlFrame, Buffer, packetOf, release } from "../mem/buffers";
import { txPut, txRoom } from "../nic/rings";
import { foldChecksum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import {
  emitEthernetHeader,
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_IPV6,
  ipv6GroupHead,
  ipv6GroupTail,
} from "../wire/ethernet";
import {
  emitIcmpv6,
  ICMPV6_CHECKSUM,
  ICMPV6_PROTOCOL,
  LINK_HOP_LIMIT,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  ROUTER_SOLICITATION,
} from "../wire/icmpv6";
import {
  ALL_NODES,
  ALL_ROUTERS,
  emitIpv6,
  IPV6_HEADER_SIZE,
  LINK_GROUP,
  solicitedLow,
} from "../wire/ipv6";
import {
  ADVERTISED_OVERRIDE,
  ADVERTISED_SOLICITED,
  emitMacOption,
  MAC_OPTION_SIZE,
  OPTION_SOURCE_MAC,
  OPTION_TARGET_MAC,
  ROUTER_SOLICITATION_SIZE,
  SOLICITATION_SIZE,
} from "../wire/ndp";
import { chooseSource, sourceHigh, sourceLow } from "./interface";
import { Neighbour } from "./neighbour-table";

const MESSAGE: u32 = ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE;

/** Asks a neighbour for its MAC: at the known one, or all that may have its address. */
export function sendSolicitation(n: Neighbour, known: bool): void {
  if (!chooseSource(n.high, n.low)) return;
  const buffer = newMessage();
  if (buffer == null) return;
  const message = packetOf(buffer) + MESSAGE;
  emitIcmpv6(message, NEIGHBOUR_SOLICITATION, 0, 0);
  store<u64>(message, n.high, 8);
  store<u64>(message, n.low, 16);
  emitMacOption(message + SOLICITATION_SIZE, OPTION_SOURCE_MAC, macHead, macTail);
  const length = SOLICITATION_SIZE + MAC_OPTION_SIZE;
  if (known) {
    send(buffer, sourceHigh, sourceLow, n.high, n.low, n.macHead, n.macTail, length);
  } else {
    sendToGroup(buffer, sourceHigh, sourceLow, solicitedLow(n.low), length);
  }
}

/** Asks whether anybody has an address that we would like to have (RFC 4862 section 5.4.2). */
export function sendProbe(high: u64, low: u64): void {
  const buffer = newMessage();
  if (buffer == null) return;
  const message = packetOf(buffer) + MESSAGE;
  emitIcmpv6(message, NEIGHBOUR_SOLICITATION, 0, 0);
  store<u64>(message, high, 8);
  store<u64>(message, low, 16);
  sendToGroup(buffer, 0, 0, solicitedLow(low), SOLICITATION_SIZE);
}

/** Asks for routers; from no address before we have one, and then without our MAC. */
export function sendRouterSolicitation(): void {
  const buffer = newMessage();
  if (buffer == null) return;
  const message = packetOf(buffer) + MESSAGE;
  emitIcmpv6(message, ROUTER_SOLICITATION, 0, 0);
  if (!chooseSource(LINK_GROUP, ALL_ROUTERS)) {
    sendToGroup(buffer, 0, 0, ALL_ROUTERS, ROUTER_SOLICITATION_SIZE);
    return;
  }
  emitMacOption(message + ROUTER_SOLICITATION_SIZE, OPTION_SOURCE_MAC, macHead, macTail);
  const length = ROUTER_SOLICITATION_SIZE + MAC_OPTION_SIZE;
  sendToGroup(buffer, sourceHigh, sourceLow, ALL_ROUTERS, length);
}

/**
 * Says that an address of ours is at our MAC: to whoever asked, or to all nodes when that was somebody
 * without an address.
 *
 * @param head, tail MAC of whoever asked
 */
export function sendAdvertisement(
  high: u64,
  low: u64,
  toHigh: u64,
  toLow: u64,
  head: u32,
  tail: u32,
): void {
  const buffer = newMessage();
  if (buffer == null) return;
  const message = packetOf(buffer) + MESSAGE;
  const anonymous = (toHigh | toLow) == 0;
  const flags = anonymous ? ADVERTISED_OVERRIDE : ADVERTISED_OVERRIDE | ADVERTISED_SOLICITED;
  emitIcmpv6(message, NEIGHBOUR_ADVERTISEMENT, 0, flags);
  store<u64>(message, high, 8);
  store<u64>(message, low, 16);
  emitMacOption(message + SOLICITATION_SIZE, OPTION_TARGET_MAC, macHead, macTail);
  const length = SOLICITATION_SIZE + MAC_OPTION_SIZE;
  if (anonymous) sendToGroup(buffer, high, low, ALL_NODES, length);
  else send(buffer, high, low, toHigh, toLow, head, tail, length);
}

function newMessage(): Buffer | null {
  const buffer = allocControlFrame();
  if (buffer == null) count(CNT_TX_NO_FRAME);
  return buffer;
}

/** Sends to a group of the link. */
function sendToGroup(buffer: Buffer, high: u64, low: u64, group: u64, length: u32): void {
  const head = ipv6GroupHead(group);
  send(buffer, high, low, LINK_GROUP, group, head, ipv6GroupTail(group), length);
}

/** Completes a message that lies in its frame, sends it and gives the buffer back. */
function send(
  buffer: Buffer,
  fromHigh: u64,
  fromLow: u64,
  toHigh: u64,
  toLow: u64,
  head: u32,
  tail: u32,
  length: u32,
): void {
  const frame = packetOf(buffer);
  const message = frame + MESSAGE;
  const pseudo = pseudoHeaderSum6(fromHigh, fromLow, toHigh, toLow, ICMPV6_PROTOCOL, length);
  store<u16>(message, foldChecksum(sumBytes(message, length, pseudo)), ICMPV6_CHECKSUM);
  const ip = frame + ETHERNET_HEADER_SIZE;
  emitIpv6(ip, fromHigh, fromLow, toHigh, toLow, ICMPV6_PROTOCOL, length, LINK_HOP_LIMIT);
  emitEthernetHeader(frame, head, tail, macHead, macTail, ETHERTYPE_IPV6);
  if (txRoom(1)) {
    txPut(buffer, frame, MESSAGE + length, 0);
    count(CNT_ND_OUT);
  }
  release(buffer);
}
