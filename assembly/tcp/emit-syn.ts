/**
 * SYNs and SYN-ACKs as bytes: what both sides tell each other once, in options, and with Fast Open a cookie
 * and the first data (RFC 7413). For all other segments see emit.ts.
 */
import {
  CFG_RECEIVE_WINDOW,
  CFG_TCP_OPTIONS,
  CNT_TX_NO_FRAME,
  TCP_OPTION_SACK,
  TCP_OPTION_TIMESTAMPS,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { allocControlFrame, Buffer, frameOf, release } from "../mem/buffers";
import { sendPacket } from "../net/neighbours";
import { txRoom } from "../nic/rings";
import { aceOf, aceOfEcn, setAce } from "../wire/accecn";
import { ACK, emitTcp, SYN, TCP_HEADER_SIZE } from "../wire/tcp";
import {
  cookieOptionBytes,
  emitCookie,
  emitSynOptions,
  OPTIONS_MAX,
  optionTsValue,
  synOptionBytes,
} from "../wire/tcp-options";
import { accecnOf } from "./accecn";
import { emitSynAckOption, noteSynAck, synAckOptionBytes } from "./accecn-handshake";
import { ecnOf, grantsAccurate, synAce } from "./ecn";
import { finish, markAcknowledged, metadataOption, PLAIN_PAYLOAD, swapPorts } from "./emit";
import { SYN_SENT } from "./states";
import { coldOf, C_ACCURATE, F_SCALED, R_HALF_OPEN, R_SACK, Tcb } from "./tcb";
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

// The Fast Open option of the SYN in the making: its kind, 0 for none; where its cookie lies, and its bytes.
let optionKind: u32 = 0;
let cookieAt: u32 = 0;
let cookieBytes: u32 = 0;

/** Sends the connection's SYN, or its SYN-ACK once the peer's SYN was received. False when that did not go. */
export function sendSyn(tcb: Tcb): bool {
  if (!txRoom(1)) return false;
  const buffer = allocControlFrame();
  if (buffer == null) {
    count(CNT_TX_NO_FRAME);
    return false;
  }
  emitSyn(tcb, buffer, frameOf(buffer) + PLAIN_PAYLOAD, 0);
  release(buffer);
  return true;
}

/**
 * The same with a Fast Open option.
 *
 * @param kind of the option, or 0 for none
 * @param cookie, length where it lies; length 0 asks for one
 */
export function sendSynWithCookie(tcb: Tcb, kind: u32, cookie: u32, length: u32): bool {
  optionKind = kind;
  cookieAt = cookie;
  cookieBytes = length;
  const sent = sendSyn(tcb);
  optionKind = 0;
  return sent;
}

/** The same with the data in `buffer`, which remains the caller's. False when the TX ring is full. */
export function sendSynWithData(
  tcb: Tcb,
  buffer: Buffer,
  kind: u32,
  cookie: u32,
  length: u32,
): bool {
  if (!txRoom(1)) return false;
  optionKind = kind;
  cookieAt = cookie;
  cookieBytes = length;
  emitSyn(tcb, buffer, buffer.address, buffer.length);
  optionKind = 0;
  return true;
}

/** Headers that end at `end`, where `length` bytes of data follow, and their way out. */
function emitSyn(tcb: Tcb, buffer: Buffer, end: u32, length: u32): void {
  // A SYN offers what is configured; a SYN-ACK agrees only to what was offered (RFC 7323 section 2.2).
  const cold = coldOf(tcb);
  const offers = tcb.state == SYN_SENT;
  const offered = config(CFG_TCP_OPTIONS);
  const scale = offers || (tcb.flags & F_SCALED) != 0;
  const sack = offers ? (offered & TCP_OPTION_SACK) != 0 : (cold.repair & R_SACK) != 0;
  const timestamps = offers ? (offered & TCP_OPTION_TIMESTAMPS) != 0 : tcb.optionBytes != 0;
  const fast = optionKind != 0 ? cookieOptionBytes(optionKind, cookieBytes) : 0;
  const usual = synOptionBytes(sack, timestamps, scale);
  const accurate = !offers && (tcb.controlFlags & C_ACCURATE) != 0;
  const accecn = accurate ? synAckOptionBytes(accecnOf(tcb), OPTIONS_MAX - usual - fast) : 0;
  const plainBytes = usual + accecn;
  const optionBytes = plainBytes + fast;
  setConnection(tcb);
  const headerLength = TCP_HEADER_SIZE + optionBytes;
  const header = end - headerLength;
  // Where the SYN itself has opened the connection sndUna lies behind ours (fast-open.ts).
  const seq = cold.repair & R_HALF_OPEN ? tcb.sndUna - 1 : tcb.sndUna;
  const ack = offers ? 0 : tcb.rcvNxt;
  const flags = offers ? SYN : SYN | ACK;
  emitTcp(header, swapPorts(tcb.ports), seq, ack, flags, synWindow(tcb), optionBytes);
  setAce(header, synAce(tcb, !offers));
  const value = timestampNow(cold);
  // As Linux, a SYN names what the path is known to take, since the way back is likely to be no wider. A
  // SYN-ACK names what we take in (RFC 9293 section 3.7.1).
  const mss = offers ? min<u32>(localMss(), pathMss()) : localMss();
  const recent = cold.tsRecent;
  const shift: u32 = tcb.rcvShift;
  const gap = emitSynOptions(header, mss, sack, timestamps, scale, shift, value, recent, accecn);
  if (accecn != 0) emitSynAckOption(gap, accecn);
  if (accurate) noteSynAck(accecnOf(tcb));
  if (optionKind != 0) {
    emitCookie(header + TCP_HEADER_SIZE + plainBytes, optionKind, cookieAt, cookieBytes);
  }
  const start = finish(header, headerLength, end, length, tcb.localIp, tcb.remoteIp);
  sendPacket(tcb.neighbour, buffer, start, end + length - start, metadataOption());
  markAcknowledged(tcb, flags);
}

/**
 * Answers a SYN of no connection, whose options were just read and whose sender is in hand, with a SYN-ACK.
 * False when it could not be sent.
 *
 * @param value our timestamp, with `timestamps`
 */
export function sendSynAck(
  packet: Packet,
  seq: u32,
  sack: bool,
  timestamps: bool,
  scale: bool,
  value: u32,
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
  const window = min<u32>(config(CFG_RECEIVE_WINDOW), 65535);
  emitTcp(header, swapPorts(packet.ports), seq, packet.seq + 1, SYN | ACK, window, optionBytes);
  const shift = windowShift();
  emitSynOptions(header, localMss(), sack, timestamps, scale, shift, value, optionTsValue, 0);
  if (grantsAccurate(aceOf(packet.l4))) setAce(header, aceOfEcn(ecnOf(packet)));
  const start = finish(header, length, 0, 0, localWord, remoteWord);
  sendPacket(neighbour, buffer, start, header + length - start, metadataOption());
  release(buffer);
  return true;
}
