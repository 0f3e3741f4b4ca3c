/**
 * SEGMENT ARRIVES, fifth step: the ACK field (RFC 9293 section 3.10.7.4). What it may say, the window that comes
 * with it, and what it ends: the handshake, the flight of data, our side of the connection.
 */
import { CNT_DROP_TCP_BAD_ACK } from "../abi";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { aceOf } from "../wire/accecn";
import { FIN } from "../wire/tcp";
import { optionHasTimestamps, optionSackBlocks, optionTsValue } from "../wire/tcp-options";
import { thirdAckArrives } from "./accecn-handshake";
import { coveredSegments, marksAreTold } from "./accecn-sender";
import { acknowledge, duplicateAck } from "./ack";
import { challenge } from "./challenge";
import { clearDeadline } from "./deadlines";
import { ecnArrives } from "./ecn";
import { enterTimeWait, finishOrderly, limitFinWait2, orderlyEnd } from "./end";
import { completeHandshake } from "./fast-open";
import { refuse } from "./input";
import { output } from "./output";
import { arrived, arrivedSegments } from "./scoreboard";
import { acknowledgeSelectively } from "./selective";
import { seqAfter, seqBefore, seqBeforeEq } from "./seq";
import { CLOSING, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, SYN_RECEIVED } from "./states";
import { acknowledgesSyn, synAcknowledged } from "./syn-sent";
import {
  coldOf,
  C_ACCURATE,
  C_ECN,
  F_APP_CLOSED,
  F_DEFER,
  F_FIN_QUEUED,
  F_FIN_SENT,
  F_PERSIST,
  F_RESENDING,
  F_SCOREBOARD,
  R_HALF_OPEN,
  R_SACK,
  Tcb,
  TcbCold,
} from "./tcb";
import { echoLater } from "./timestamps";

/** Returns false when the segment goes no further. */
export function ackArrives(tcb: Tcb, packet: Packet): bool {
  if (tcb.state == SYN_RECEIVED) return endHandshake(tcb, packet);
  const cold = coldOf(tcb);
  const ack = packet.ack;
  let accurate: bool = (tcb.controlFlags & C_ACCURATE) != 0;
  if (cold.repair & R_HALF_OPEN) {
    if (!endHalfOpen(tcb, cold, packet)) return false;
    if (accurate) {
      thirdAckArrives(tcb, packet);
      // As long as it covers nothing else, what the ACE field says is about our SYN.
      accurate = ack != tcb.sndUna;
    }
  } else if (!isPlausible(tcb, cold, ack)) {
    count(CNT_DROP_TCP_BAD_ACK);
    challenge(tcb);
    return false;
  }
  const stamp = cold.tsRecent;
  takeTimestamp(tcb, packet);
  if (tcb.controlFlags & C_ECN) ecnArrives(tcb, packet);
  if (seqBefore(ack, tcb.sndUna)) {
    oldAck(tcb, cold, ack);
    return true;
  }
  const before = tcb.sndWnd;
  updateWindow(tcb, packet);
  // Whoever answers probes is alive, however long its window stays shut; it may have shut over data.
  if (tcb.flags & F_PERSIST || tcb.sndWnd == 0) cold.retries = 0;
  const advanced: bool = ack != tcb.sndUna;
  let bytes = ack - tcb.sndUna;
  let segments = accurate && advanced ? coveredSegments(tcb, ack) : 0;
  if (tcb.flags & F_SCOREBOARD || (optionSackBlocks != 0 && cold.repair & R_SACK)) {
    acknowledgeSelectively(tcb, ack);
    bytes = arrived;
    segments = arrivedSegments;
  } else if (advanced) {
    acknowledge(tcb, ack);
  } else if (before == tcb.sndWnd && isDuplicate(tcb, cold, packet)) {
    duplicateAck(tcb);
  }
  const ends = advanced && (tcb.flags & F_FIN_SENT) != 0 && ack == cold.sndEnd + 1;
  if (accurate && (advanced || bytes != 0 || cold.tsRecent != stamp)) {
    // A peer in TIME-WAIT counts no more, and tells 0.
    const counts = !ends || tcb.state != LAST_ACK || aceOf(packet.l4) != 0;
    if (counts) marksAreTold(tcb, packet, segments, bytes, true);
  }
  if (ends) return finAcknowledged(tcb);
  if (tcb.txNext != 0 || tcb.flags & F_SCOREBOARD || finIsNext(tcb)) output(tcb);
  return true;
}

/** In SYN-RECEIVED: the handshake ends with the ACK of our SYN, and with nothing else. */
function endHandshake(tcb: Tcb, packet: Packet): bool {
  const ack = packet.ack;
  if (!acknowledgesSyn(tcb, ack) || tcb.flags & F_DEFER) {
    count(CNT_DROP_TCP_BAD_ACK);
    refuse(packet);
    return false;
  }
  const cold = coldOf(tcb);
  takeTimestamp(tcb, packet);
  tcb.sndWnd = packet.window << tcb.sndShift;
  tcb.sndWl1 = packet.seq;
  cold.sndWndMax = max<u32>(cold.sndWndMax, tcb.sndWnd);
  synAcknowledged(tcb, ack);
  if (tcb.controlFlags & C_ACCURATE) {
    thirdAckArrives(tcb, packet);
    ecnArrives(tcb, packet);
  }
  if (tcb.txNext != 0) output(tcb);
  return true;
}

/** The same for a connection that its SYN opened, which goes on to the rest of the step. */
function endHalfOpen(tcb: Tcb, cold: TcbCold, packet: Packet): bool {
  if (seqBefore(packet.ack, tcb.sndUna) || seqAfter(packet.ack, cold.sndMax)) {
    count(CNT_DROP_TCP_BAD_ACK);
    refuse(packet);
    return false;
  }
  completeHandshake(tcb, cold);
  return true;
}

/** Whether an ACK covers nothing that was never sent, and is none so old that no honest peer would send it. */
function isPlausible(tcb: Tcb, cold: TcbCold, ack: u32): bool {
  // RFC 5961 section 5.2.
  return seqBeforeEq(ack, cold.sndMax) && !seqBefore(ack, tcb.sndUna - cold.sndWndMax);
}

/** Without SACK: whether an ACK that left the window as it was counts as a sign of loss (RFC 5681 section 2). */
function isDuplicate(tcb: Tcb, cold: TcbCold, packet: Packet): bool {
  if (cold.repair & R_SACK || packet.length != 0 || packet.flags & FIN) return false;
  return tcb.sndUna != cold.sndMax;
}

/** An ACK that others have overtaken may still tell of what has arrived. */
function oldAck(tcb: Tcb, cold: TcbCold, ack: u32): void {
  if (optionSackBlocks == 0 || !(cold.repair & R_SACK)) return;
  acknowledgeSelectively(tcb, ack);
  if (tcb.txNext != 0 || tcb.flags & F_SCOREBOARD) output(tcb);
}

/** The timestamp of a segment that is acceptable in all it says; a forged ACK must not move the echo. */
function takeTimestamp(tcb: Tcb, packet: Packet): void {
  if (tcb.optionBytes != 0 && optionHasTimestamps) echoLater(tcb, packet.seq, optionTsValue);
}

/**
 * Whether the FIN may be to be sent with no data before it: the ACK after a timeout can have taken the
 * last of what was to be sent again.
 */
function finIsNext(tcb: Tcb): bool {
  const flags = tcb.flags;
  return (flags & F_FIN_QUEUED) != 0 && (flags & (F_FIN_SENT | F_RESENDING)) != F_FIN_SENT;
}

/** SND.WND from the newest segment. WL2 is not needed: an ACK that gets here is not older than UNA. */
function updateWindow(tcb: Tcb, packet: Packet): void {
  if (seqAfter(tcb.sndWl1, packet.seq)) return;
  const window = packet.window << tcb.sndShift;
  tcb.sndWl1 = packet.seq;
  if (window == tcb.sndWnd) return;
  tcb.sndWnd = window;
  const cold = coldOf(tcb);
  if (window > cold.sndWndMax) cold.sndWndMax = window;
  // The peer lives: probing starts over from the beginning.
  if (tcb.sndNxt != tcb.sndUna) return;
  tcb.backoff = 0;
  if (tcb.flags & F_PERSIST) clearDeadline(tcb);
}

/** Our FIN is acknowledged. False when that ends the connection's part in this segment. */
function finAcknowledged(tcb: Tcb): bool {
  clearDeadline(tcb);
  const state = tcb.state;
  if (state == FIN_WAIT_1) {
    tcb.state = <u16>FIN_WAIT_2;
    if (tcb.flags & F_APP_CLOSED) orderlyEnd(tcb);
    limitFinWait2(tcb);
    return true;
  }
  if (state == CLOSING) {
    enterTimeWait(tcb);
    return false;
  }
  if (state == LAST_ACK) {
    finishOrderly(tcb);
    return false;
  }
  return true;
}
