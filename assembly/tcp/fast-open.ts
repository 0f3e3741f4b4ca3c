/**
 * Fast Open as server (RFC 7413 section 4.2): a SYN with a cookie of ours opens its connection, whose data
 * the application gets, and may answer, before the handshake is over. How many such connections a listener
 * has is limited (section 5.1); beyond that, and without a cookie, it is the ordinary handshake.
 *
 * While R_HALF_OPEN is set sndUna already lies behind our SYN, and the deadline is the SYN-ACK's. Any
 * acceptable ACK ends that.
 */
import {
  CFG_FAST_OPEN,
  CNT_TCP_FAST_OPENS_BACKUP_KEY,
  CNT_TCP_FAST_OPENS_IN,
  CNT_TCP_FAST_OPEN_COOKIES_BAD,
  CNT_TCP_FAST_OPEN_LIMITED,
  CNT_TCP_FAST_OPEN_REQUESTS,
  FAST_OPEN_SERVER,
  FAST_OPEN_SERVER_BARE,
} from "../abi";
import { config, rtoInitial } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { hold } from "../mem/buffers";
import { now, seconds } from "../time/clock";
import {
  optionCookieBytes,
  optionCookieKind,
  optionHasTimestamps,
  optionTsEcho,
} from "../wire/tcp-options";
import { onInit } from "./congestion";
import { clearDeadline } from "./deadlines";
import { deliver } from "./deliver";
import { sendSynWithCookie } from "./emit-syn";
import { COOKIE_SIZE, keyOfCookie, makeCookie } from "./fast-open-cookies";
import { findListener, Listener, listenerOfHandle, noteReady } from "./listeners";
import { beginOpenState, halfOpenState } from "./open-state";
import { beginQuickAcks } from "./quick-acks";
import { sampleRtt } from "./rtt";
import { ESTABLISHED, FAST_OPENED } from "./states";
import { armRetransmission } from "./tail-probe";
import { coldOf, R_HALF_OPEN, R_SYN_DATA, Tcb, TcbCold } from "./tcb";
import { echoedRtt } from "./timestamps";

/** How long a connection that was reset half open goes on counting, s: resets cost an attacker nothing. */
const RESET_COUNTS: u32 = 60;

/** What a SYN gets; `answer` is the option of the SYN-ACK: its kind, 0 for none, and where the cookie lies. */
let answerKind: u32 = 0;
let answerCookie: u32 = 0;

/**
 * Looks at a SYN for a listener, whose options were just read and whose sender is in hand. True when it opens
 * its connection. In both cases `answerSyn` is to follow.
 */
export function opensFast(listener: Listener, packet: Packet): bool {
  answerKind = 0;
  const allowed = config(CFG_FAST_OPEN);
  if (listener.fastOpenLimit == 0 || !(allowed & FAST_OPEN_SERVER)) return false;
  const bytes = optionCookieBytes;
  if (bytes == 0) count(CNT_TCP_FAST_OPEN_REQUESTS);
  if (bytes < 0 && packet.length == 0) return false;
  if (!hasRoom(listener)) {
    count(CNT_TCP_FAST_OPEN_LIMITED);
    return false;
  }
  if (allowed & FAST_OPEN_SERVER_BARE) return true;
  if (bytes < 0) return false;
  const key = bytes > 0 ? keyOfCookie(listener) : -1;
  if (key < 0 && bytes > 0) count(CNT_TCP_FAST_OPEN_COOKIES_BAD);
  if (key > 0) count(CNT_TCP_FAST_OPENS_BACKUP_KEY);
  // Whoever has none, or a wrong one, or one of the backup key, is given the right one.
  if (key != 0) {
    answerKind = optionCookieKind;
    answerCookie = makeCookie(listener);
  }
  return key >= 0;
}

/** Sends the first SYN-ACK, with a cookie if `opensFast` has found that one is wanted. */
export function answerSyn(tcb: Tcb): void {
  sendSynWithCookie(tcb, answerKind, answerCookie, COOKIE_SIZE);
}

/** Opens a connection in SYN-RECEIVED and takes the data of its SYN; the application has to be told of it. */
export function openHalf(tcb: Tcb, listener: Listener): void {
  const cold = coldOf(tcb);
  const sentAt = cold.synSentAt;
  cold.repair |= R_HALF_OPEN;
  tcb.sndUna++;
  tcb.state = <u16>FAST_OPENED;
  // What a SYN-ACK can offer; the rest opens as the application reads.
  tcb.rcvWindow = min<u32>(tcb.rcvWindow, 65535);
  noteReady(tcb);
  beginOpenState(tcb);
  const half = halfOpenState(tcb);
  half.synSentAt = sentAt;
  half.listener = listener.handle;
  listener.fastOpen++;
  onInit(tcb);
  beginQuickAcks(tcb);
  cold.tuneStart = now;
  count(CNT_TCP_FAST_OPENS_IN);
}

/** The data of the SYN that opened a connection; the caller keeps its own hold of the buffer. */
export function takeSynData(tcb: Tcb, packet: Packet): void {
  const length = min<u32>(packet.length, tcb.rcvAdv - tcb.rcvNxt);
  if (length == 0) return;
  hold(packet.buffer);
  tcb.rcvNxt += length;
  coldOf(tcb).repair |= R_SYN_DATA;
  deliver(tcb, packet.buffer, packet.payload, length);
}

/** Our SYN is acknowledged by a segment whose options were just read: nothing is special any more. */
export function completeHandshake(tcb: Tcb, cold: TcbCold): void {
  const sentAt = halfOpenState(tcb).synSentAt;
  const echoed = optionHasTimestamps && tcb.optionBytes != 0 ? echoedRtt(cold, optionTsEcho) : 0;
  leaveHalfOpen(tcb);
  cold.repair &= ~R_HALF_OPEN;
  if (tcb.state == FAST_OPENED) tcb.state = <u16>ESTABLISHED;
  tcb.backoff = 0;
  cold.retries = 0;
  if (cold.synCount == 1) sampleRtt(cold, now - sentAt);
  else if (echoed != 0) sampleRtt(cold, echoed);
  // RFC 6298 section 5.7: a SYN that timed out leaves 3 s without a sample.
  else cold.rto = max<u32>(cold.rto, rtoInitial * 3);
  if (tcb.sndUna == cold.sndMax) clearDeadline(tcb);
  else armRetransmission(tcb, cold);
}

/** The connection is half open no more, or on this core no more; the listener may be gone by now. */
export function leaveHalfOpen(tcb: Tcb): void {
  const listener = listenerOfHandle(halfOpenState(tcb).listener);
  if (listener != null) listener.fastOpen--;
  halfOpenState(tcb).listener = 0;
}

/** A half-open connection has come to this core. */
export function joinHalfOpen(tcb: Tcb): void {
  const listener = findListener(bswap<u16>(<u16>(tcb.ports >> 16)));
  halfOpenState(tcb).listener = listener != null ? listener.handle : 0;
  if (listener != null) listener.fastOpen++;
}

/** The peer resets a connection that is half open. */
export function noteHalfOpenReset(tcb: Tcb): void {
  const listener = listenerOfHandle(halfOpenState(tcb).listener);
  if (listener == null) return;
  forgiveResets(listener);
  listener.fastOpenResets++;
  listener.fastOpenResetAt = seconds();
}

function hasRoom(listener: Listener): bool {
  forgiveResets(listener);
  return listener.fastOpen + listener.fastOpenResets < listener.fastOpenLimit;
}

function forgiveResets(listener: Listener): void {
  if (seconds() - listener.fastOpenResetAt >= RESET_COUNTS) listener.fastOpenResets = 0;
}
