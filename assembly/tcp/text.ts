/** SEGMENT ARRIVES, seventh and eighth step: the text, and the FIN behind it (RFC 9293 section 3.10.7.4). */
import { CNT_DROP_TCP_AFTER_CLOSE, CNT_DROP_TCP_PRESSURE, RC_RESET } from "../abi";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { Buffer, framesShort } from "../mem/buffers";
import { FIN } from "../wire/tcp";
import { scheduleOutput } from "./agenda";
import { deliver, deliverEnd } from "./deliver";
import { enterTimeWait, kill } from "./end";
import { refuse } from "./input";
import { sendAck } from "./output";
import { beginQuickAcks } from "./quick-acks";
import { drain, HAS_FIN, keep, keptTwiceFrom, keptTwiceTo, runEnd } from "./reassembly";
import { sendDuplicateReport } from "./sack-blocks";
import { seqBefore, seqMin } from "./seq";
import {
  CAN_RECEIVE,
  CLOSE_WAIT,
  CLOSING,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  TIME_WAIT,
} from "./states";
import { coldOf, F_ACK_NOW, F_ACK_PENDING, F_APP_CLOSED, F_OUT_OF_ORDER, R_SACK, Tcb } from "./tcb";

/** Takes in what an acceptable segment brings. Returns true when the packet's buffer was kept. */
export function textArrives(tcb: Tcb, packet: Packet): bool {
  const length = packet.length;
  if (length == 0 && !(packet.flags & FIN)) return false;
  if (!(tcb.state & CAN_RECEIVE)) {
    arrivesBehindFin(tcb, packet);
    return false;
  }
  const seq = packet.seq;
  trim(tcb, packet);
  if (packet.length != 0 && tcb.flags & F_APP_CLOSED) {
    // Nobody will read this (RFC 2525 section 2.17): answered as if there were no connection.
    count(CNT_DROP_TCP_AFTER_CLOSE);
    refuse(packet);
    kill(tcb, RC_RESET);
    return false;
  }
  if (framesShort() && tcb.rxHead != tcb.rxTail) {
    // An application that lags behind must not take the frames that all others live on.
    count(CNT_DROP_TCP_PRESSURE);
    return false;
  }
  if (packet.seq != tcb.rcvNxt) return keepEarly(tcb, packet);
  // Nothing of it was new or fitted: the peer is to know at once.
  if (packet.length == 0 && length != 0) tcb.flags |= F_ACK_NOW;
  return takeNext(tcb, packet, seq);
}

/** Data behind the peer's own FIN, or the FIN again. */
function arrivesBehindFin(tcb: Tcb, packet: Packet): void {
  if (tcb.state == TIME_WAIT && packet.flags & FIN) enterTimeWait(tcb);
  count(CNT_DROP_TCP_AFTER_CLOSE);
  sendAck(tcb);
}

/** Cuts off what was received before, and what lies beyond the window, with the FIN behind that. */
function trim(tcb: Tcb, packet: Packet): void {
  if (seqBefore(packet.seq, tcb.rcvNxt)) {
    const old = tcb.rcvNxt - packet.seq;
    packet.seq = tcb.rcvNxt;
    packet.payload += old;
    packet.length -= min<u32>(old, packet.length);
  }
  const room = tcb.rcvAdv - packet.seq;
  if (packet.length <= room) return;
  packet.length = room;
  packet.flags &= ~FIN;
}

/** A gap: keeps what lies behind it, and says at once where it begins (RFC 5681 section 4.2). */
function keepEarly(tcb: Tcb, packet: Packet): bool {
  const fin: bool = (packet.flags & FIN) != 0;
  if (packet.length == 0 && !fin) return false;
  const buffer = packet.buffer;
  buffer.seq = packet.seq;
  buffer.address = packet.payload;
  buffer.length = packet.length;
  buffer.flags = fin ? HAS_FIN : 0;
  keep(tcb, buffer);
  beginQuickAcks(tcb);
  sendDuplicateReport(tcb, keptTwiceFrom, keptTwiceTo);
  return true;
}

/**
 * Takes in a trimmed segment that is the next in sequence, and what it connects to.
 *
 * @param begin where the segment began before it was trimmed
 */
function takeNext(tcb: Tcb, packet: Packet, begin: u32): bool {
  const kept = packet.length != 0;
  let fin: bool = (packet.flags & FIN) != 0;
  // Of a segment that came from before the window, or reaches what is kept, some comes a second time.
  let twiceFrom = begin;
  let twiceTo = packet.seq;
  if (kept) {
    tcb.rcvNxt += packet.length;
    deliver(tcb, packet.buffer, packet.payload, packet.length);
  }
  tcb.flags |= F_ACK_PENDING;
  scheduleOutput(tcb);
  if (tcb.flags & F_OUT_OF_ORDER && !fin) {
    const early = changetype<Buffer>(coldOf(tcb).outOfOrder);
    if (twiceFrom == twiceTo && seqBefore(early.seq, tcb.rcvNxt)) {
      twiceFrom = early.seq;
      twiceTo = seqMin(tcb.rcvNxt, runEnd(early));
    }
    fin = drain(tcb);
    // A segment that fills a gap is acknowledged at once (RFC 5681 section 4.2).
    tcb.flags |= F_ACK_NOW;
  }
  if (fin) finArrives(tcb);
  else if (twiceFrom != twiceTo && coldOf(tcb).repair & R_SACK) {
    sendDuplicateReport(tcb, twiceFrom, twiceTo);
  }
  return kept;
}

/** Eighth step: the peer will send no more. */
function finArrives(tcb: Tcb): void {
  tcb.rcvNxt++;
  if (seqBefore(tcb.rcvAdv, tcb.rcvNxt)) tcb.rcvAdv = tcb.rcvNxt;
  tcb.flags |= F_ACK_NOW;
  scheduleOutput(tcb);
  if (!(tcb.flags & F_APP_CLOSED)) deliverEnd(tcb);
  const state = tcb.state;
  if (state == ESTABLISHED) {
    // FIN in ESTABLISHED: CLOSE-WAIT.
    tcb.state = <u16>CLOSE_WAIT;
  } else if (state == FIN_WAIT_1) {
    // FIN before the ACK of ours: both sides closed at once.
    tcb.state = <u16>CLOSING;
  } else if (state == FIN_WAIT_2) {
    // FIN after the ACK of ours: done but for late segments.
    sendAck(tcb);
    enterTimeWait(tcb);
  }
}
