/**
 * SEGMENT ARRIVES for everything but the common case, in the steps and words of RFC 9293 section
 * 3.10.7, with the checks of RFC 5961 against blind attacks.
 */
import {
  CNT_DROP_TCP_BAD_ACK,
  CNT_DROP_TCP_BAD_RST,
  CNT_DROP_TCP_DUPLICATE,
  CNT_DROP_TCP_PAWS,
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
import { release } from "../mem/buffers";
import { ACK, FIN, RST, SYN } from "../wire/tcp";
import { optionHasTimestamps, optionTsValue, parseTcpOptions } from "../wire/tcp-options";
import { reflectAsChallenge, repeatArrives } from "./accecn-feedback";
import { synRepeats } from "./accecn-handshake";
import { ackArrives } from "./ack-field";
import { scheduleOutput } from "./agenda";
import { challenge } from "./challenge";
import { sendSyn } from "./emit-syn";
import { enterTimeWait, finishOrderly, kill } from "./end";
import { noteHalfOpenReset } from "./fast-open";
import { initialSequence } from "./isn";
import { noteHeard } from "./keep-alive";
import { findListener, hasBacklogRoom } from "./listeners";
import { openPassively } from "./open";
import { sendAck } from "./output";
import { sendDuplicateReport } from "./sack-blocks";
import { seqAfter, seqAfterEq, seqBefore, seqBeforeEq, seqMax, seqMin } from "./seq";
import { SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./states";
import { acknowledgesSyn, inSynSent, synAcknowledged } from "./syn-sent";
import { coldOf, C_ACCURATE, C_KEEP_ALIVE, F_DEFER, F_PASSIVE, R_HALF_OPEN, Tcb } from "./tcb";
import { textArrives } from "./text";
import { isStale, noteTimestamp } from "./timestamps";
import { localWord, remoteSecret, setSender } from "./tuple";

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
  if (isRepeatedSyn(tcb, packet)) {
    // Our answer was lost, or is still the application's decision.
    if (tcb.optionBytes != 0 && optionHasTimestamps) noteTimestamp(coldOf(tcb), optionTsValue);
    if (tcb.controlFlags & C_ACCURATE) synRepeats(tcb, packet);
    if (!(tcb.flags & F_DEFER)) sendSyn(tcb);
    return;
  }
  if (flags & SYN && (tcb.state != SYN_RECEIVED || isRepeatedSynAck(tcb, packet))) {
    synArrives(tcb, packet);
    return;
  }
  count(seqBefore(packet.seq, tcb.rcvNxt) ? CNT_DROP_TCP_DUPLICATE : CNT_DROP_TCP_WINDOW);
  // A retransmitted FIN restarts 2 MSL.
  if (tcb.state == TIME_WAIT && flags & FIN) enterTimeWait(tcb);
  if (tcb.controlFlags & C_ACCURATE) {
    repeatArrives(tcb, packet, packet.seq + segmentLength(packet));
  }
  answerOld(tcb, packet);
}

/** The SYN that opened the connection; nothing else can have come before the handshake is over. */
function isRepeatedSyn(tcb: Tcb, packet: Packet): bool {
  if ((packet.flags & (SYN | ACK)) != SYN) return false;
  if (tcb.state == SYN_RECEIVED) return packet.seq == tcb.rcvNxt - 1;
  return (coldOf(tcb).repair & R_HALF_OPEN) != 0 && packet.seq == tcb.sndWl1;
}

/** The SYN-ACK of who has sent nothing else yet that we have received. */
function isRepeatedSynAck(tcb: Tcb, packet: Packet): bool {
  return (packet.flags & (SYN | ACK)) == (SYN | ACK) && packet.seq == tcb.rcvNxt - 1;
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
  const repeated = isRepeatedSynAck(tcb, packet);
  // The other half of a simultaneous open: the SYN is the one already known, now with an ACK.
  if (repeated && tcb.state == SYN_RECEIVED && !(tcb.flags & F_PASSIVE)) {
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
  // To anyone else nothing is said of a mark: it would be taken for one that the peer's segments had.
  if (repeated && tcb.controlFlags & C_ACCURATE && tcb.state > SYN_RECEIVED) {
    synRepeats(tcb, packet);
    reflectAsChallenge(tcb);
  } else {
    challenge(tcb);
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
