/**
 * ARP for IPv4 (RFC 826): asking for neighbours, answering for ourselves, and learning from what
 * others say. The reception algorithm is that of the RFC's "Packet Reception".
 */
import { CNT_ARP_IN, CNT_ARP_OUT, CNT_DROP_ARP_MALFORMED, CNT_TX_NO_FRAME } from "../abi";
import { localIp, macHead, macTail } from "../core/config";
import { count } from "../core/counters";
import { allocControlFrame, Buffer, packetOf, release } from "../mem/buffers";
import { txPut, txRoom } from "../nic/rings";
import {
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SIZE,
  arpOperation,
  arpSenderHead,
  arpSenderIp,
  arpSenderTail,
  arpTargetIp,
  emitArp,
  isArp,
} from "../wire/arp";
import {
  BROADCAST_HEAD,
  BROADCAST_TAIL,
  emitEthernetHeader,
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_ARP,
  isGroupMac,
} from "../wire/ethernet";
import { isIpv4Unicast } from "../wire/ipv4";
import { mappedLow } from "../wire/ipv6";
import { learnForAll } from "./learned";
import { LINK_NEIGHBOUR, NOTE_ANSWER, NOTE_CREATE } from "./notices";
import { isAttached, isBroadcast } from "./routes";

/** An ARP packet as the payload of a received frame; takes the buffer over. */
export function arpInput(buffer: Buffer, frame: u32, length: u32): void {
  const packet = frame + ETHERNET_HEADER_SIZE;
  if (!isArp(packet, length - ETHERNET_HEADER_SIZE) || !handle(buffer, frame, packet)) {
    count(CNT_DROP_ARP_MALFORMED);
  }
  release(buffer);
}

/** Asks who has `ip`: everybody by broadcast, or the neighbour that had it when last heard of. */
export function sendArpRequest(ip: u32, destinationHead: u32, destinationTail: u32): void {
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const frame = packetOf(buffer);
  const packet = frame + ETHERNET_HEADER_SIZE;
  emitArp(packet, ARP_REQUEST, macHead, macTail, localIp, 0, 0, ip);
  send(buffer, frame, destinationHead, destinationTail);
  release(buffer);
}

/** Tells everybody on the link our addresses (gratuitous ARP, RFC 5227 section 3). */
export function announce(): void {
  sendArpRequest(localIp, BROADCAST_HEAD, BROADCAST_TAIL);
}

/** False when the packet makes no sense. */
function handle(buffer: Buffer, frame: u32, packet: u32): bool {
  const operation = arpOperation(packet);
  if (operation != ARP_REQUEST && operation != ARP_REPLY) return false;
  const senderHead = arpSenderHead(packet);
  const senderTail = arpSenderTail(packet);
  const senderIp = arpSenderIp(packet);
  if (isGroupMac(senderHead) || (senderHead | senderTail) == 0) return false;
  if (senderIp != 0 && (!isIpv4Unicast(senderIp) || isBroadcast(senderIp))) return false;
  count(CNT_ARP_IN);
  const toUs = arpTargetIp(packet) == localIp;
  // A probe's sender has no address yet (RFC 5227 section 1.1); nothing is to be learned from it.
  // Our own address in the sender's place is a conflict or an echo, and nothing to learn either.
  if (senderIp != 0 && senderIp != localIp) {
    const answer = toUs && operation == ARP_REPLY;
    // Whoever asks for us is about to send to us, and will want to be answered.
    const create = toUs && operation == ARP_REQUEST && isAttached(senderIp);
    const flags = (answer ? NOTE_ANSWER : 0) | (create ? NOTE_CREATE : 0);
    learnForAll(LINK_NEIGHBOUR, 0, mappedLow(senderIp), senderHead, senderTail, flags);
  }
  if (toUs && operation == ARP_REQUEST && senderIp != localIp) {
    emitArp(packet, ARP_REPLY, macHead, macTail, localIp, senderHead, senderTail, senderIp);
    send(buffer, frame, senderHead, senderTail);
  }
  return true;
}

/** Puts a frame with a complete ARP packet into the TX ring. */
function send(buffer: Buffer, frame: u32, destinationHead: u32, destinationTail: u32): void {
  if (!txRoom(1)) return;
  emitEthernetHeader(frame, destinationHead, destinationTail, macHead, macTail, ETHERTYPE_ARP);
  txPut(buffer, frame, ETHERNET_HEADER_SIZE + ARP_SIZE, 0);
  count(CNT_ARP_OUT);
}
