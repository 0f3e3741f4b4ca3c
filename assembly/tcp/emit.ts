/**
 * Segments as bytes in frames, and their way into the TX ring. A segment's headers end where its
 * payload begins, and its payload begins where the connection's usual headers end:
 *
 *   frame | … | metadata | Ethernet | IP | TCP + options | payload …
 *                        ↑ FRAME_HEADROOM                ↑ payloadPlace
 *
 * So packets begin at the headroom, which is aligned for the NIC's copy, and the largest MTU fits; longer
 * headers, those with SACK, reach into it.
 *
 * A referenced payload stays where the application has it and follows as a second descriptor.
 */
import {
  CNT_TCP_OUT,
  CNT_TCP_RESETS_OUT,
  CNT_TX_NO_FRAME,
  DESC_METADATA,
  FRAME_HEADROOM,
  OFFLOAD_TX_CHECKSUM,
} from "../abi";
import { coreBlock, mtu, offloads } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { STATE_EMIT } from "../core/state";
import { allocControlFrame, allocFrame, Buffer, frameOf, hasFrame, release } from "../mem/buffers";
import { isDigest } from "../net/digest";
import { emitIpv4Header, requestChecksum, requestChecksumAt } from "../net/ipv4-output";
import { emitEthernet, isResolved, sendPacket } from "../net/neighbours";
import { hopLimit } from "../net/routers";
import { txPutReferring, txSever } from "../nic/references";
import { txPut, txRoom, txWasClear } from "../nic/rings";
import { now } from "../time/clock";
import { foldChecksum, pseudoHeaderSum, pseudoHeaderSum6, sumBytes } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { IPV4_HEADER_SIZE, markEct } from "../wire/ipv4";
import { emitIpv6, IPV6_HEADER_SIZE, markEct6 } from "../wire/ipv6";
import { ACK, emitTcp, RST, TCP_CHECKSUM, TCP_HEADER_SIZE, TCP_PROTOCOL } from "../wire/tcp";
import { emitTimestamps, OPTIONS_MAX } from "../wire/tcp-options";
import { reservedBytes } from "./accecn";
import { fitOption, fittedSack, isOver, marksSent, tellMarks } from "./accecn-feedback";
import { ecnFlags } from "./ecn";
import { emitSack, sackBytes } from "./sack-blocks";
import { seqMax, seqMin } from "./seq";
import { timestampNow } from "./timestamps";
import {
  C_ACCURATE,
  C_ECN,
  C_ECT,
  coldOf,
  F_ACK_DEADLINE,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_OUT_OF_ORDER,
  F_RESENDING,
  Tcb,
} from "./tcb";
import {
  hopNeighbour,
  isRoutable,
  localHigh,
  localLow,
  localWord,
  remoteHigh,
  remoteLow,
  remoteWord,
  setConnection,
  setSender,
} from "./tuple";
import { advertisedWindow } from "./window";

// Of the segment in the making, with C_ECN: whether it is marked, and the bytes of its AccECN option.
let isMarked: bool = false;
let accecnBytes: u32 = 0;

/** Where the payload of an IPv4 segment without options begins in its frame. */
export const PLAIN_PAYLOAD: u32 =
  FRAME_HEADROOM + ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE + TCP_HEADER_SIZE;

/** What emitting segments remembers; in the core's control block. */
@final
@unmanaged
class Emission {
  /** Identification of the last IPv4 packet; unimportant with DF set (RFC 6864). */
  identification: u32;
}

let emission = changetype<Emission>(0);

/** Binds this instance to the core. */
export function bindEmit(): void {
  emission = changetype<Emission>(coreBlock + STATE_EMIT);
}

/** Where payload begins in a frame of a connection's. */
export function payloadPlace(tcb: Tcb, buffer: Buffer): u32 {
  const place = frameOf(buffer) + PLAIN_PAYLOAD + tcb.optionBytes;
  return isDigest(tcb.localIp) ? place + (IPV6_HEADER_SIZE - IPV4_HEADER_SIZE) : place;
}

/**
 * Sequence number of a segment without payload. While bytes are sent again sndNxt lies behind what the
 * peer may have received, and it would ignore such an ACK as old: then the number after the last byte
 * sent, as far as the peer's window still reaches there.
 */
export function bareSequence(tcb: Tcb): u32 {
  if (!(tcb.flags & F_RESENDING)) return tcb.sndNxt;
  return seqMax(tcb.sndNxt, seqMin(coldOf(tcb).sndMax, tcb.sndUna + tcb.sndWnd));
}

/** Sends a segment without payload. False when there is no room or frame; nothing was sent then. */
export function sendBare(tcb: Tcb, seq: u32, flags: u32): bool {
  if (!txRoom(1)) return false;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return false;
  }
  const payload = payloadPlace(tcb, buffer);
  const sack = sackBytes(tcb, OPTIONS_MAX - tcb.optionBytes);
  const start = emit(tcb, payload, seq, flags, payload, 0, sack);
  sendPacket(tcb.neighbour, buffer, start, payload - start, metadataOption());
  release(buffer);
  markAcknowledged(tcb, flags);
  return true;
}

/**
 * Sends the payload that `buffer` describes. False when the TX ring or the frames are exhausted, or
 * when the NIC still holds an earlier copy of the same frame.
 */
export function sendPayload(tcb: Tcb, buffer: Buffer, flags: u32): bool {
  if (hasFrame(buffer)) {
    if (buffer.holds > 1 || !txRoom(1)) return false;
    const sack = payloadSackBytes(tcb, buffer.length);
    const start = emit(tcb, buffer.address, buffer.seq, flags, buffer.address, buffer.length, sack);
    const length = buffer.address + buffer.length - start;
    if (isResolved(tcb.neighbour)) {
      emitEthernet(start, tcb.neighbour);
      txPut(buffer, start, length, metadataOption());
    } else {
      sendPacket(tcb.neighbour, buffer, start, length, metadataOption());
    }
  } else {
    if (!txRoom(2)) return false;
    const header = allocFrame();
    if (header == null) {
      count(CNT_TX_NO_FRAME);
      return false;
    }
    const end = payloadPlace(tcb, header);
    const sack = payloadSackBytes(tcb, buffer.length);
    const start = emit(tcb, end, buffer.seq, flags, buffer.address, buffer.length, sack);
    if (isResolved(tcb.neighbour)) {
      emitEthernet(start, tcb.neighbour);
      const options = metadataOption();
      txPutReferring(header, start, end, options, buffer.address, buffer.length, now);
    } else {
      // Nothing but a frame can wait for the neighbour's address.
      memory.copy(end, buffer.address, buffer.length);
      const length = end - start + buffer.length;
      sendPacket(tcb.neighbour, header, start, length, metadataOption());
    }
    release(header);
  }
  markAcknowledged(tcb, flags);
  return true;
}

/** To be called before payload, last sent at `sentAt`, goes back to the application, which may change it. */
export function severPayloads(sentAt: u32): void {
  if (!txWasClear || sentAt == now) txSever(sentAt);
}

/** Sends a RST that belongs to no connection, to where a segment came from. */
export function sendReset(packet: Packet, seq: u32, ack: u32, flags: u32): void {
  setSender(packet);
  if (!isRoutable()) return;
  const neighbour = hopNeighbour();
  if (neighbour == null || !txRoom(1)) return;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return;
  }
  const header = frameOf(buffer) + PLAIN_PAYLOAD - TCP_HEADER_SIZE;
  emitTcp(header, swapPorts(packet.ports), seq, ack, flags | RST, 0, 0);
  const start = finish(header, TCP_HEADER_SIZE, 0, 0, localWord, remoteWord);
  sendPacket(neighbour, buffer, start, header + TCP_HEADER_SIZE - start, metadataOption());
  release(buffer);
  count(CNT_TCP_RESETS_OUT);
}

/** SACK goes along with data where it does not make the packet too large. */
function payloadSackBytes(tcb: Tcb, length: u32): u32 {
  if (!(tcb.flags & F_OUT_OF_ORDER)) return 0;
  const optionBytes: u32 = tcb.optionBytes;
  const ip: u32 = isDigest(tcb.localIp) ? IPV6_HEADER_SIZE : IPV4_HEADER_SIZE;
  const packet = ip + TCP_HEADER_SIZE + optionBytes + length + reservedBytes(tcb);
  if (packet >= mtu) return 0;
  const room = mtu - packet;
  return sackBytes(tcb, min<u32>(room, OPTIONS_MAX - optionBytes));
}

/**
 * Headers of an established connection's segment, ending at `end`.
 *
 * @param sack bytes of the SACK option, as `sackBytes` gave them
 * @returns where the packet begins: its Ethernet header, which is not written
 */
function emit(tcb: Tcb, end: u32, seq: u32, flags: u32, payload: u32, length: u32, sack: u32): u32 {
  const isEcn: bool = (tcb.controlFlags & C_ECN) != 0;
  let option: u32 = 0;
  if (isEcn) {
    flags |= prepareEcn(tcb, seq, length, sack);
    option = accecnBytes;
    if (option != 0) sack = fittedSack;
  }
  const optionBytes = u32(tcb.optionBytes) + option + sack;
  const headerLength = TCP_HEADER_SIZE + optionBytes;
  const header = end - headerLength;
  const ack = flags & ACK ? tcb.rcvNxt : 0;
  emitTcp(header, swapPorts(tcb.ports), seq, ack, flags, advertisedWindow(tcb), optionBytes);
  if (tcb.optionBytes != 0) {
    const cold = coldOf(tcb);
    emitTimestamps(header, timestampNow(cold), cold.tsRecent);
  }
  if (sack != 0) emitSack(tcb, end - sack, sack);
  if (isEcn && tcb.controlFlags & C_ACCURATE && !isOver(tcb)) tellMarks(tcb, header, option);
  if (isDigest(tcb.localIp)) setConnection(tcb);
  const start = finish(header, headerLength, payload, length, tcb.localIp, tcb.remoteIp);
  if (isEcn && isMarked) {
    if (isDigest(tcb.localIp)) markEct6(start + ETHERNET_HEADER_SIZE);
    else markEct(start + ETHERNET_HEADER_SIZE);
  }
  return start;
}

/**
 * Says whether the segment in the making, of a connection with C_ECN, is marked, and how many bytes its AccECN
 * option takes. Returns the bits of the classic ECN.
 */
function prepareEcn(tcb: Tcb, seq: u32, length: u32, sack: u32): u32 {
  accecnBytes = 0;
  if (tcb.controlFlags & C_ACCURATE) {
    isMarked = marksSent(tcb);
    if (!isOver(tcb)) accecnBytes = fitOption(tcb, length, sack);
    return 0;
  }
  // What is sent again is not marked, nor a pure ACK (RFC 3168 sections 6.1.4 and 6.1.5).
  const isNew: bool = length != 0 && seq == coldOf(tcb).sndMax;
  isMarked = isNew && (tcb.controlFlags & C_ECT) != 0;
  return ecnFlags(tcb, isNew);
}

/**
 * Checksum, by the NIC or here, and the IP header. Of IPv6 the addresses are those in hand (tuple.ts).
 *
 * @returns where the packet begins
 */
export function finish(
  header: u32,
  headerLength: u32,
  payload: u32,
  length: u32,
  source: u32,
  destination: u32,
): u32 {
  if (isDigest(source)) return finish6(header, headerLength, payload, length);
  const l4Length = headerLength + length;
  const ip = header - IPV4_HEADER_SIZE;
  const pseudo = pseudoHeaderSum(source, destination, TCP_PROTOCOL, l4Length);
  if (offloads & OFFLOAD_TX_CHECKSUM) {
    requestChecksum(ip - ETHERNET_HEADER_SIZE, TCP_CHECKSUM, pseudo);
  } else {
    sealSegment(header, headerLength, payload, length, pseudo);
  }
  const identification = (emission.identification + 1) & 0xffff;
  emission.identification = identification;
  emitIpv4Header(ip, source, destination, TCP_PROTOCOL, l4Length, identification);
  count(CNT_TCP_OUT);
  return ip - ETHERNET_HEADER_SIZE;
}

function finish6(header: u32, headerLength: u32, payload: u32, length: u32): u32 {
  const l4Length = headerLength + length;
  const ip = header - IPV6_HEADER_SIZE;
  const start = ip - ETHERNET_HEADER_SIZE;
  const pseudo = pseudoHeaderSum6(
    localHigh,
    localLow,
    remoteHigh,
    remoteLow,
    TCP_PROTOCOL,
    l4Length,
  );
  if (offloads & OFFLOAD_TX_CHECKSUM) {
    requestChecksumAt(start, header - start, TCP_CHECKSUM, pseudo);
  } else {
    sealSegment(header, headerLength, payload, length, pseudo);
  }
  const hops = hopLimit();
  emitIpv6(ip, localHigh, localLow, remoteHigh, remoteLow, TCP_PROTOCOL, l4Length, hops);
  count(CNT_TCP_OUT);
  return start;
}

function sealSegment(header: u32, headerLength: u32, payload: u32, length: u32, pseudo: u32): void {
  let sum = sumBytes(header, headerLength, pseudo);
  if (length != 0) sum = sumBytes(payload, length, sum);
  store<u16>(header, foldChecksum(sum), TCP_CHECKSUM);
}

/** Descriptor option that goes with the metadata. */
export function metadataOption(): u32 {
  return offloads & OFFLOAD_TX_CHECKSUM ? DESC_METADATA : 0;
}

/** Every segment with ACK set carries the newest acknowledgment: none is owed any more. */
export function markAcknowledged(tcb: Tcb, flags: u32): void {
  if (!(flags & ACK)) return;
  tcb.flags &= ~(F_ACK_NOW | F_ACK_PENDING | F_ACK_DEADLINE);
  tcb.rcvAcked = tcb.rcvNxt;
}

export function swapPorts(ports: u32): u32 {
  return rotl<u32>(ports, 16);
}
