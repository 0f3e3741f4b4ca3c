/**
 * SYNs and SYN-ACKs as bytes: what both sides tell each other once, in options, and with Fast Open a cookie
 * and the first data (RFC 7413). For all other segments see emit.ts.
 */
import { CFG_TCP_OPTIONS, CNT_TX_NO_FRAME, TCP_OPTION_SACK, TCP_OPTION_TIMESTAMPS } from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { allocControlFrame, Buffer, frameOf, release } from "../mem/buffers";
import { sendPacket } from "../net/neighbours";
import { txRoom } from "../nic/rings";
import { ACK, emitTcp, SYN, TCP_HEADER_SIZE } from "../wire/tcp";
import { cookieOptionBytes, emitCookie, emitSynOptions, synOptionBytes } from "../wire/tcp-options";
import { ecnSynFlags } from "./ecn";
import { finish, markAcknowledged, metadataOption, PLAIN_PAYLOAD, swapPorts } from "./emit";
import { coldOf, F_SCALED, R_SACK, SYN_SENT, Tcb } from "./tcb";
import { timestampNow } from "./timestamps";
import {
  hopNeighbour,
  isRoutable,
  localMss,
  localWord,
  pathMss,
  remoteWord,
  setConnection,
} from "./tuple";
import { synWindow, windowShift } from "./window";

/** Sends a SYN or SYN-ACK with its options. */
export function sendSyn(tcb: Tcb, seq: u32, flags: u32): bool {
  return sendSynWithCookie(tcb, seq, flags, 0, 0, 0);
}

/**
 * The same with a Fast Open option.
 *
 * @param kind of the option, or 0 for none
 * @param cookie, length where it lies; length 0 asks for one
 */
export function sendSynWithCookie(
  tcb: Tcb,
  seq: u32,
  flags: u32,
  kind: u32,
  cookie: u32,
  length: u32,
): bool {
  if (!txRoom(1)) return false;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return false;
  }
  const end = frameOf(buffer) + PLAIN_PAYLOAD;
  emitSyn(tcb, buffer, end, 0, seq, flags, kind, cookie, length);
  release(buffer);
  return true;
}

/** Sends a SYN with the data in `buffer`, which remains the caller's. False when the TX ring is full. */
export function sendSynWithData(
  tcb: Tcb,
  buffer: Buffer,
  kind: u32,
  cookie: u32,
  length: u32,
): bool {
  if (!txRoom(1)) return false;
  emitSyn(tcb, buffer, buffer.address, buffer.length, buffer.seq - 1, SYN, kind, cookie, length);
  return true;
}

/** Headers that end at `end`, where `length` bytes of data follow, and their way out. */
function emitSyn(
  tcb: Tcb,
  buffer: Buffer,
  end: u32,
  length: u32,
  seq: u32,
  flags: u32,
  kind: u32,
  cookie: u32,
  cookieLength: u32,
): void {
  // A SYN offers what is configured; a SYN-ACK agrees only to what was offered (RFC 7323 section 2.2).
  const cold = coldOf(tcb);
  const offers = tcb.state == SYN_SENT;
  const offered = config(CFG_TCP_OPTIONS);
  const scale = offers || (tcb.flags & F_SCALED) != 0;
  const sack = offers ? (offered & TCP_OPTION_SACK) != 0 : (cold.repair & R_SACK) != 0;
  const timestamps = offers ? (offered & TCP_OPTION_TIMESTAMPS) != 0 : tcb.optionBytes != 0;
  const plainBytes = synOptionBytes(sack, timestamps, scale);
  const optionBytes = plainBytes + (kind != 0 ? cookieOptionBytes(kind, cookieLength) : 0);
  setConnection(tcb);
  const headerLength = TCP_HEADER_SIZE + optionBytes;
  const header = end - headerLength;
  const ack = flags & ACK ? tcb.rcvNxt : 0;
  const bits = flags | ecnSynFlags(tcb, flags);
  emitTcp(header, swapPorts(tcb.ports), seq, ack, bits, synWindow(tcb), optionBytes);
  const value = timestampNow(cold);
  // As Linux, a SYN names what the path is known to take, since the way back is likely to be no wider. A
  // SYN-ACK names what we take in (RFC 9293 section 3.7.1).
  const mss = offers ? min<u32>(localMss(), pathMss()) : localMss();
  emitSynOptions(header, mss, sack, timestamps, scale, tcb.rcvShift, value, cold.tsRecent);
  if (kind != 0) emitCookie(header + TCP_HEADER_SIZE + plainBytes, kind, cookie, cookieLength);
  const start = finish(header, headerLength, end, length, tcb.localIp, tcb.remoteIp);
  sendPacket(tcb.neighbour, buffer, start, end + length - start, metadataOption());
  markAcknowledged(tcb, flags);
}

/**
 * Answers a SYN of no connection, whose sender is in hand, with a SYN-ACK. False when it could not be sent.
 *
 * @param value, echo timestamps, with `timestamps`
 */
export function sendSynAck(
  packet: Packet,
  seq: u32,
  window: u32,
  sack: bool,
  timestamps: bool,
  scale: bool,
  value: u32,
  echo: u32,
): bool {
  if (!isRoutable()) return false;
  const neighbour = hopNeighbour();
  if (neighbour == null || !txRoom(1)) return false;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return false;
  }
  const optionBytes = synOptionBytes(sack, timestamps, scale);
  const length = TCP_HEADER_SIZE + optionBytes;
  const header = frameOf(buffer) + PLAIN_PAYLOAD - length;
  emitTcp(header, swapPorts(packet.ports), seq, packet.seq + 1, SYN | ACK, window, optionBytes);
  emitSynOptions(header, localMss(), sack, timestamps, scale, windowShift(), value, echo);
  const start = finish(header, length, 0, 0, localWord, remoteWord);
  sendPacket(neighbour, buffer, start, header + length - start, metadataOption());
  release(buffer);
  return true;
}
