/**
 * SEGMENT ARRIVES for everything but the common case, in the steps and words of RFC 9293 section
 * 3.10.7, with the checks of RFC 5961 against blind attacks.
 */
import {
  CNT_DROP_TCP_AFTER_CLOSE,
  CNT_DROP_TCP_BAD_ACK,
  CNT_DROP_TCP_BAD_RST,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_PAWS,
  CNT_DROP_TCP_PRESSURE,
  CNT_DROP_TCP_SYN_IN_WINDOW,
  CNT_DROP_TCP_WINDOW,
  CNT_TCP_NO_TIMESTAMP,
  CNT_TCP_RESETS_IN,
  CNT_TCP_TIME_WAIT_REUSED,
  RC_REFUSED,
  RC_RESET,
} from "../abi";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { Buffer, framesShort, release } from "../mem/buffers";
import { ACK, FIN, RST, SYN } from "../wire/tcp";
import {
  optionHasTimestamps,
  optionSackBlocks,
  optionTsValue,
  parseTcpOptions,
} from "../wire/tcp-options";
import { acknowledge, duplicateAck } from "./ack";
import { scheduleOutput } from "./agenda";
import { challenge } from "./challenge";
import { clearDeadline } from "./deadlines";
import { deliver, deliverEnd } from "./deliver";
import { ecnArrives } from "./ecn";
import { sendSyn } from "./emit-syn";
import { enterTimeWait, finishOrderly, kill, limitFinWait2, orderlyEnd } from "./end";
import { completeHandshake, noteHalfOpenReset } from "./fast-open";
import { acknowledgeSyn, learnServer } from "./fast-open-client";
import { refuse } from "./input";
import { initialSequence } from "./isn";
import { noteHeard } from "./keep-alive";
import { findListener, hasBacklogRoom } from "./listeners";
import { reportSent } from "./notices";
import { establish, learnSyn, openPassively } from "./open";
import { output, sendAck } from "./output";
import { beginQuickAcks } from "./quick-acks";
import { drain, HAS_FIN, keep, keptTwiceFrom, keptTwiceTo, runEnd } from "./reassembly";
import { sendDuplicateReport } from "./sack-blocks";
import { acknowledgeSelectively } from "./selective";
import { seqAfter, seqAfterEq, seqBefore, seqBeforeEq, seqMax, seqMin } from "./seq";
import {
  CAN_RECEIVE,
  CLOSE_WAIT,
  CLOSING,
  C_ECN,
  C_KEEP_ALIVE,
  coldOf,
  ESTABLISHED,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_APP_CLOSED,
  F_DEFER,
  F_FIN_QUEUED,
  F_FIN_SENT,
  F_OUT_OF_ORDER,
  F_PASSIVE,
  F_PERSIST,
  F_RESENDING,
  F_SCOREBOARD,
  FIN_WAIT_1,
  FIN_WAIT_2,
  LAST_ACK,
  R_COOKIE,
  R_HALF_OPEN,
  R_SACK,
  R_SYN_DATA,
  SYN_RECEIVED,
  SYN_SENT,
  Tcb,
  TcbCold,
  TIME_WAIT,
} from "./tcb";
import { localWord, remoteSecret, setSender } from "./tuple";
import { echoLater, isStale, noteTimestamp } from "./timestamps";

/** Distance of a reused tuple's first sequence number from the last one used: a whole old window. */
const REUSE_GAP: u32 = 65536 + 1;

/** Processes a segment of an existing connection; takes over the packet's buffer. */
export function segmentArrives(tcb: Tcb, packet: Packet): void {
  if (tcb.state == SYN_SENT) {
    if (!inSynSent(tcb, packet)) release(packet.buffer);
    return;
  }
  if (tcb.state == TIME_WAIT && reopens(tcb, packet)) {
    release(packet.buffer);
    return;
  }
  // The payload stays with the connection only when the last step has taken it.
  if (!inOtherStates(tcb, packet)) release(packet.buffer);
}

/** Section 3.10.7.3. Returns true when the packet's buffer was kept. */
function inSynSent(tcb: Tcb, packet: Packet): bool {
  const flags = packet.flags;
  const cold = coldOf(tcb);
  // First, check the ACK bit.
  const acceptable = acknowledgesSyn(tcb, packet.ack);
  if (flags & ACK && !acceptable) {
    count(CNT_DROP_TCP_BAD_ACK);
    refuse(packet);
    return false;
  }
  // Second, check the RST bit.
  if (flags & RST) {
    if (flags & ACK) {
      count(CNT_TCP_RESETS_IN);
      kill(tcb, RC_REFUSED);
    } else {
      count(CNT_DROP_TCP_BAD_RST);
    }
    return false;
  }
  // Fourth, check the SYN bit.
  if (!(flags & SYN)) return false;
  learnSyn(tcb, packet);
  if (flags & ACK) {
    const fast = (cold.repair & (R_COOKIE | R_SYN_DATA)) != 0;
    if (fast) learnServer(tcb, packet.ack);
    synAcknowledged(tcb, packet.ack);
    // What the application sends now answers it, as far as quick ACKs are concerned.
    const waits = fast && tcb.txNext == 0;
    tcb.flags |= waits ? F_ACK_NOW | F_ACK_PENDING : F_ACK_NOW;
    scheduleOutput(tcb);
    return fast && textOfSynAck(tcb, packet);
  }
  // Both sides opened at once (section 3.5, figure 7).
  tcb.state = <u16>SYN_RECEIVED;
  cold.synCount++;
  sendSyn(tcb, tcb.sndUna, SYN | ACK);
  return false;
}

/** Whether an ACK covers our SYN, perhaps with data that went along, and nothing that was never sent. */
function acknowledgesSyn(tcb: Tcb, ack: u32): bool {
  return seqAfter(ack, tcb.sndUna) && seqBeforeEq(ack, coldOf(tcb).sndMax);
}

/** Both SYNs are acknowledged now, and perhaps data of ours with them. */
function synAcknowledged(tcb: Tcb, ack: u32): void {
  const bytes = acknowledgeSyn(tcb, ack);
  establish(tcb);
  if (bytes != 0) reportSent(tcb, bytes);
}

/** The server may answer data of our SYN in its SYN-ACK (RFC 7413 section 4.2.2). */
function textOfSynAck(tcb: Tcb, packet: Packet): bool {
  packet.seq++;
  return textArrives(tcb, packet);
}

/** Section 3.10.7.4. Returns true when the packet's buffer was kept. */
function inOtherStates(tcb: Tcb, packet: Packet): bool {
  const flags = packet.flags;
  parseTcpOptions(packet.l4, packet.options);
  if (tcb.optionBytes != 0 && !timestampFits(tcb, packet)) return false;
  // First, check the sequence number.
  if (!inWindow(tcb, packet)) {
    outsideWindow(tcb, packet);
    return false;
  }
  if (tcb.controlFlags & C_KEEP_ALIVE) noteHeard(tcb);
  // Second, check the RST bit.
  if (flags & RST) {
    resetArrives(tcb, packet);
    return false;
  }
  // Fourth, check the SYN bit (RFC 5961 section 4.2: a challenge instead of a reset).
  if (flags & SYN) {
    synArrives(tcb, packet);
    return false;
  }
  // Fifth, check the ACK field.
  if (!(flags & ACK)) {
    count(CNT_DROP_TCP_BAD_ACK);
    return false;
  }
  if (!ackArrives(tcb, packet)) return false;
  // Seventh, process the segment text, and eighth, check the FIN bit.
  return textArrives(tcb, packet);
}

/**
 * RFC 7323 section 5.3, R1. False when a timestamp makes the segment unacceptable; a RST is judged by its
 * sequence number alone. A segment without one is taken: section 3.2 would have it dropped, which Linux
 * and FreeBSD do not do, because middleboxes strip options.
 */
function timestampFits(tcb: Tcb, packet: Packet): bool {
  if (packet.flags & RST) return true;
  if (!optionHasTimestamps) {
    if (!(packet.flags & SYN)) count(CNT_TCP_NO_TIMESTAMP);
    return true;
  }
  if (!isStale(coldOf(tcb), optionTsValue)) return true;
  count(CNT_DROP_TCP_PAWS);
  answerOld(tcb, packet);
  return false;
}

/** An ACK says where we are, and which of the segment's bytes had been received before (RFC 2883). */
function answerOld(tcb: Tcb, packet: Packet): void {
  const seq = packet.seq;
  const end = seqMin(seq + segmentLength(packet), tcb.rcvNxt);
  if (seqBefore(seq, end)) sendDuplicateReport(tcb, seq, end);
  else sendAck(tcb);
}

/** The acceptability test of section 3.4, table 6. */
function inWindow(tcb: Tcb, packet: Packet): bool {
  const window = tcb.rcvAdv - tcb.rcvNxt;
  const seq = packet.seq;
  const length = segmentLength(packet);
  if (length == 0) {
    // The right edge itself is where a peer stands that has filled the window: its ACKs count, though
    // the table leaves them out.
    return seqAfterEq(seq, tcb.rcvNxt) && seqBeforeEq(seq, tcb.rcvAdv);
  }
  // A full window still takes the ACK of a segment at its very edge; its text is trimmed away below.
  if (window == 0) return seq == tcb.rcvNxt;
  return seqBefore(seq, tcb.rcvAdv) && seqAfter(seq + length, tcb.rcvNxt);
}

function segmentLength(packet: Packet): u32 {
  let length = packet.length;
  if (packet.flags & SYN) length++;
  if (packet.flags & FIN) length++;
  return length;
}

/** Unacceptable: an ACK says where we are, unless it is a RST. */
function outsideWindow(tcb: Tcb, packet: Packet): void {
  const flags = packet.flags;
  if (flags & RST) {
    count(CNT_DROP_TCP_BAD_RST);
    return;
  }
  if (tcb.state == SYN_RECEIVED && (flags & (SYN | ACK)) == SYN && packet.seq == tcb.rcvNxt - 1) {
    // The SYN again: our answer was lost, or is still the application's decision.
    if (tcb.optionBytes != 0 && optionHasTimestamps) noteTimestamp(coldOf(tcb), optionTsValue);
    if (!(tcb.flags & F_DEFER)) sendSyn(tcb, tcb.sndUna, SYN | ACK);
    return;
  }
  if (isRepeatedSyn(tcb, packet)) {
    if (tcb.optionBytes != 0 && optionHasTimestamps) noteTimestamp(coldOf(tcb), optionTsValue);
    sendSyn(tcb, tcb.sndUna - 1, SYN | ACK);
    return;
  }
  const crossing = (flags & (SYN | ACK)) == (SYN | ACK) && packet.seq == tcb.rcvNxt - 1;
  if (flags & SYN && (tcb.state != SYN_RECEIVED || crossing)) {
    synArrives(tcb, packet);
    return;
  }
  count(seqBefore(packet.seq, tcb.rcvNxt) ? CNT_DROP_TCP_DUPLICATE : CNT_DROP_TCP_WINDOW);
  // A retransmitted FIN restarts 2 MSL.
  if (tcb.state == TIME_WAIT && flags & FIN) enterTimeWait(tcb);
  answerOld(tcb, packet);
}

/** The SYN that opened the connection; nothing else can have come before the handshake is over. */
function isRepeatedSyn(tcb: Tcb, packet: Packet): bool {
  if (!(coldOf(tcb).repair & R_HALF_OPEN) || packet.seq != tcb.sndWl1) return false;
  return (packet.flags & (SYN | ACK)) == SYN;
}

/** RFC 5961 section 3.2: only the exact next sequence number resets. */
function resetArrives(tcb: Tcb, packet: Packet): void {
  if (packet.seq != tcb.rcvNxt) {
    count(CNT_DROP_TCP_BAD_RST);
    challenge(tcb);
    return;
  }
  count(CNT_TCP_RESETS_IN);
  if (tcb.state == TIME_WAIT) {
    finishOrderly(tcb);
    return;
  }
  if (coldOf(tcb).repair & R_HALF_OPEN) noteHalfOpenReset(tcb);
  // A passive open goes back to LISTEN without a word; an active one was refused.
  kill(tcb, tcb.state == SYN_RECEIVED && !(tcb.flags & F_PASSIVE) ? RC_REFUSED : RC_RESET);
}

function synArrives(tcb: Tcb, packet: Packet): void {
  // The other half of a simultaneous open: the SYN is the one already known, now with an ACK.
  if (
    tcb.state == SYN_RECEIVED &&
    !(tcb.flags & F_PASSIVE) &&
    packet.flags & ACK &&
    packet.seq == tcb.rcvNxt - 1
  ) {
    if (acknowledgesSyn(tcb, packet.ack)) {
      tcb.sndWnd = packet.window;
      synAcknowledged(tcb, packet.ack);
    }
    // The peer's SYN has come twice (RFC 2883).
    sendDuplicateReport(tcb, packet.seq, packet.seq + 1);
    scheduleOutput(tcb);
    return;
  }
  count(CNT_DROP_TCP_SYN_IN_WINDOW);
  challenge(tcb);
}

/** Fifth step. False when the segment goes no further. */
function ackArrives(tcb: Tcb, packet: Packet): bool {
  const cold = coldOf(tcb);
  const ack = packet.ack;
  if (tcb.state == SYN_RECEIVED) {
    if (!acknowledgesSyn(tcb, ack) || tcb.flags & F_DEFER) {
      count(CNT_DROP_TCP_BAD_ACK);
      refuse(packet);
      return false;
    }
    takeTimestamp(tcb, packet);
    tcb.sndWnd = packet.window << tcb.sndShift;
    tcb.sndWl1 = packet.seq;
    cold.sndWndMax = max<u32>(cold.sndWndMax, tcb.sndWnd);
    synAcknowledged(tcb, ack);
    if (tcb.txNext != 0) output(tcb);
    return true;
  }
  if (cold.repair & R_HALF_OPEN) {
    if (seqBefore(ack, tcb.sndUna) || seqAfter(ack, cold.sndMax)) {
      count(CNT_DROP_TCP_BAD_ACK);
      refuse(packet);
      return false;
    }
    completeHandshake(tcb, cold);
  }
  if (seqAfter(ack, cold.sndMax)) {
    // It acknowledges what was never sent.
    count(CNT_DROP_TCP_BAD_ACK);
    challenge(tcb);
    return false;
  }
  if (seqBefore(ack, tcb.sndUna - cold.sndWndMax)) {
    // RFC 5961 section 5.2: so old that no honest peer would send it.
    count(CNT_DROP_TCP_BAD_ACK);
    challenge(tcb);
    return false;
  }
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
  if (tcb.flags & F_SCOREBOARD || (optionSackBlocks != 0 && cold.repair & R_SACK)) {
    acknowledgeSelectively(tcb, ack);
  } else if (advanced) {
    acknowledge(tcb, ack);
  } else if (
    !(cold.repair & R_SACK) &&
    packet.length == 0 &&
    !(packet.flags & FIN) &&
    before == tcb.sndWnd &&
    tcb.sndUna != cold.sndMax
  ) {
    duplicateAck(tcb);
  }
  if (advanced && tcb.flags & F_FIN_SENT && ack == cold.sndEnd + 1) return finAcknowledged(tcb);
  if (tcb.txNext != 0 || tcb.flags & F_SCOREBOARD || finIsNext(tcb)) output(tcb);
  return true;
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

/** Seventh and eighth step. Returns true when the packet's buffer was kept. */
function textArrives(tcb: Tcb, packet: Packet): bool {
  const fin: bool = (packet.flags & FIN) != 0;
  if (packet.length == 0 && !fin) return false;
  if (!(tcb.state & CAN_RECEIVE)) {
    // Data behind the peer's own FIN, or the FIN again.
    if (tcb.state == TIME_WAIT && fin) enterTimeWait(tcb);
    count(CNT_DROP_TCP_AFTER_CLOSE);
    sendAck(tcb);
    return false;
  }
  // What was received before is cut off, and what lies beyond the window too.
  let seq = packet.seq;
  let address = packet.payload;
  let length = packet.length;
  let takesFin: bool = fin;
  if (seqBefore(seq, tcb.rcvNxt)) {
    const old = tcb.rcvNxt - seq;
    seq = tcb.rcvNxt;
    address += old;
    length -= min<u32>(old, length);
  }
  const room = tcb.rcvAdv - seq;
  if (length > room) {
    length = room;
    takesFin = false;
  }
  if (length != 0 && tcb.flags & F_APP_CLOSED) {
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
  if (seq != tcb.rcvNxt) {
    // A gap: keep it and say at once where it begins (RFC 5681 section 4.2).
    if (length == 0 && !takesFin) return false;
    const buffer = packet.buffer;
    buffer.seq = seq;
    buffer.address = address;
    buffer.length = length;
    buffer.flags = takesFin ? HAS_FIN : 0;
    keep(tcb, buffer);
    beginQuickAcks(tcb);
    sendDuplicateReport(tcb, keptTwiceFrom, keptTwiceTo);
    return true;
  }
  // Of a segment that came from before the window, or reaches what is kept, some comes a second time.
  let twiceFrom = packet.seq;
  let twiceTo = seq;
  let kept = false;
  if (length != 0) {
    tcb.rcvNxt += length;
    deliver(tcb, packet.buffer, address, length);
    kept = true;
  }
  tcb.flags |= F_ACK_PENDING;
  scheduleOutput(tcb);
  if (tcb.flags & F_OUT_OF_ORDER && !takesFin) {
    const early = changetype<Buffer>(coldOf(tcb).outOfOrder);
    if (twiceFrom == twiceTo && seqBefore(early.seq, tcb.rcvNxt)) {
      twiceFrom = early.seq;
      twiceTo = seqMin(tcb.rcvNxt, runEnd(early));
    }
    takesFin = drain(tcb);
    // A segment that fills a gap is acknowledged at once (RFC 5681 section 4.2).
    tcb.flags |= F_ACK_NOW;
  } else if (length == 0 && packet.length != 0) {
    // Nothing of it was new or fitted.
    tcb.flags |= F_ACK_NOW;
  }
  if (takesFin) finArrives(tcb);
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

/** Whether a SYN in TIME-WAIT is newer than the old connection's last segment (RFC 6191 section 2). */
function isBeyond(tcb: Tcb, packet: Packet): bool {
  if (tcb.optionBytes != 0) {
    parseTcpOptions(packet.l4, packet.options);
    const newer = i32(optionTsValue - coldOf(tcb).tsRecent);
    if (optionHasTimestamps && newer != 0) return newer > 0;
  }
  return seqAfter(packet.seq, tcb.rcvNxt);
}

/**
 * A SYN in TIME-WAIT with a timestamp or a sequence number beyond the old connection's opens a new one
 * (RFC 9293 section 3.10.7.4, MAY-2).
 */
function reopens(tcb: Tcb, packet: Packet): bool {
  if ((packet.flags & (SYN | ACK | RST | FIN)) != SYN) return false;
  if (!isBeyond(tcb, packet)) return false;
  const listener = findListener(bswap<u16>(<u16>(packet.ports >> 16)));
  if (listener == null) return false;
  // Without room for the new one the old one stays.
  if (!hasBacklogRoom(listener)) return true;
  count(CNT_TCP_TIME_WAIT_REUSED);
  // The new sequence numbers lie beyond all that the old connection used (MAY-2).
  setSender(packet);
  const clock = initialSequence(localWord, remoteSecret(), packet.ports);
  const iss = seqMax(clock, coldOf(tcb).sndMax + REUSE_GAP);
  finishOrderly(tcb);
  setSender(packet);
  openPassively(packet, listener, iss);
  return true;
}
