/**
 * What of the send queue goes out now: limited by the peer's window, by congestion, by Nagle's rule
 * and by silly-window avoidance (RFC 9293 sections 3.7.4 and 3.8.6.2.1).
 */
import { CNT_TCP_RETRANSMITS } from "../abi";
import { rtoMax } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { now } from "../time/clock";
import { ACK, FIN, PSH } from "../wire/tcp";
import { scheduleOutput } from "./agenda";
import { endsAggregate } from "./aggregate";
import { onDataEnd, onIdleRestart, onSend } from "./congestion";
import { setDeadline, waitForPace } from "./deadlines";
import { bareSequence, sendBare, sendPayload } from "./emit";
import { noteProbeLost, probeUpward } from "./mtu-probe";
import { mayCut, waitsForMore } from "./nagle";
import { openState } from "./open-state";
import { paceAllows } from "./pacing";
import { noteAnswer } from "./quick-acks";
import { backedOffRto } from "./rtt";
import { inFlight, noteCut, noteResent } from "./scoreboard";
import { cut, MORE_FOLLOWS, RECORD_END, SENT_AGAIN, WITH_FIN } from "./send-queue";
import { seqAfter, seqBefore } from "./seq";
import { CAN_SEND, SYN_RECEIVED, SYN_SENT } from "./states";
import { armRetransmission, probeLead } from "./tail-probe";
import {
  coldOf,
  C_CORKED,
  C_LOWERED,
  C_PACED,
  C_PACE_WAIT,
  C_QUICK,
  C_SAMPLED,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_DEADLINE,
  F_FIN_QUEUED,
  F_FIN_SENT,
  F_MORE,
  F_NAGLE,
  F_PERSIST,
  F_RECOVERY,
  F_RESENDING,
  F_SCOREBOARD,
  R_HALF_OPEN,
  R_REORDERING_TIMER,
  R_SACK,
  Tcb,
  TcbCold,
} from "./tcb";

/** Sends whatever may be sent, and an ACK if one is due and nothing carried it. */
export function output(tcb: Tcb): void {
  if (tcb.state & (SYN_SENT | SYN_RECEIVED)) return;
  const controlFlags: u32 = tcb.controlFlags;
  // What is not in the network, because it has arrived or was lost, takes nothing of the window.
  let gone: u32 = 0;
  if (tcb.flags & F_SCOREBOARD) {
    const cold = coldOf(tcb);
    if (cold.nextLost != 0) resendLost(tcb, cold);
    gone = cold.sackedBytes + cold.lostBytes;
  }
  if (controlFlags & C_LOWERED) probeUpward(tcb);
  let at = tcb.txNext;
  let run: u32 = 0;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    const flight = tcb.sndNxt - tcb.sndUna;
    const window = min<u32>(tcb.sndWnd, tcb.cwnd + gone);
    const room = flight < window ? window - flight : 0;
    if (buffer.length > room || buffer.length > tcb.mss) {
      if (!mayCut(tcb, room)) break;
      if (!cut(buffer, min<u32>(room, tcb.mss), tcb)) {
        retryLater(tcb);
        break;
      }
    } else if (buffer.next == 0 && buffer.length < tcb.mss && waitsForMore(tcb, flight)) {
      break;
    }
    if (controlFlags & C_PACED && !paceAllows(tcb)) {
      waitForPace(tcb);
      break;
    }
    run++;
    const push = run != 1 && endsAggregate(tcb, buffer, room, run) ? PSH : 0;
    if (!transmit(tcb, buffer, push)) {
      retryLater(tcb);
      break;
    }
    at = buffer.next;
    tcb.txNext = at;
  }
  if (at == 0) {
    if (controlFlags & C_SAMPLED) onDataEnd(tcb);
    if (tcb.flags & F_FIN_QUEUED) outputFin(tcb);
  }
  if (at != 0 && tcb.sndNxt == tcb.sndUna && !(tcb.flags & F_DEADLINE)) startPersist(tcb);
  if (tcb.flags & F_ACK_NOW) sendAck(tcb);
}

/** Sends what the application has held back, once. */
export function uncork(tcb: Tcb): void {
  const corked = tcb.controlFlags & (<u16>C_CORKED);
  tcb.flags &= ~F_MORE;
  tcb.controlFlags &= ~(<u16>C_CORKED);
  if (tcb.txNext != 0) output(tcb);
  tcb.controlFlags |= corked;
}

/**
 * What may go finds no frame, no room in the TX ring, or its frame still there: it is tried again at
 * the end of the batch, and by the retransmission timer, which gives up in the end. No window is to
 * blame, so nothing is probed.
 */
function retryLater(tcb: Tcb): void {
  scheduleOutput(tcb);
  if (!(tcb.flags & F_DEADLINE)) setDeadline(tcb, now + backedOffRto(tcb, coldOf(tcb)));
}

/** Sends a pure ACK, now or, with no room for it, at the end of the batch. */
export function sendAck(tcb: Tcb): void {
  if (sendBare(tcb, bareSequence(tcb), ACK)) return;
  tcb.flags |= F_ACK_NOW;
  scheduleOutput(tcb);
}

/** Sends again what is lost, oldest first, as far as the congestion window and the peer's reach. */
function resendLost(tcb: Tcb, cold: TcbCold): void {
  while (cold.nextLost != 0) {
    const buffer = changetype<Buffer>(cold.nextLost);
    const flight = inFlight(tcb, cold);
    const length = min<u32>(buffer.length, tcb.mss);
    if (flight >= tcb.cwnd || (flight + length > tcb.cwnd && flight >= tcb.mss)) return;
    const end = buffer.seq + length;
    if (cold.nextLost != tcb.txHead && seqAfter(end, tcb.sndUna + tcb.sndWnd)) return;
    if (tcb.controlFlags & C_PACED && !paceAllows(tcb)) {
      waitForPace(tcb);
      return;
    }
    if (!resend(tcb, cold, buffer)) {
      retryLater(tcb);
      return;
    }
  }
}

/** A segment went out that had gone out before. */
export function countResent(tcb: Tcb): void {
  count(CNT_TCP_RETRANSMITS);
  const cold = coldOf(tcb);
  if (cold.resent != u16.MAX_VALUE) cold.resent++;
}

/** Sends a segment again, by the scoreboard. False when nothing could be sent. */
export function resend(tcb: Tcb, cold: TcbCold, buffer: Buffer): bool {
  if (buffer.length > tcb.mss) {
    // A path that takes less than when it was cut.
    if (!cut(buffer, tcb.mss, tcb)) return false;
    if (tcb.controlFlags & C_LOWERED) noteProbeLost(cold);
    noteCut(cold, buffer);
  }
  if (!sendAgain(tcb, buffer)) return false;
  countResent(tcb);
  if (tcb.controlFlags & (C_PACED | C_SAMPLED)) onSend(tcb, buffer);
  noteResent(cold, buffer);
  if (tcb.flags & F_RECOVERY) cold.prrOut += buffer.length;
  if (tcb.txHead == changetype<u32>(buffer) && !(cold.repair & R_REORDERING_TIMER)) {
    setDeadline(tcb, now + backedOffRto(tcb, cold));
  }
  return true;
}

/** Sends one segment of new data beyond the congestion window. False when there is none that may go. */
export function sendNext(tcb: Tcb): bool {
  const at = tcb.txNext;
  if (at == 0) return false;
  const buffer = changetype<Buffer>(at);
  const flight = tcb.sndNxt - tcb.sndUna;
  const room = flight < tcb.sndWnd ? tcb.sndWnd - flight : 0;
  if (buffer.length > room) return false;
  if (buffer.length > tcb.mss && !cut(buffer, tcb.mss, tcb)) return false;
  if (!transmit(tcb, buffer, 0)) return false;
  tcb.txNext = buffer.next;
  return true;
}

/** Sends the oldest unacknowledged segment again, whatever the windows say. */
export function retransmitHead(tcb: Tcb): void {
  const at = tcb.txHead;
  if (at == 0) {
    if (tcb.flags & F_FIN_SENT) {
      countResent(tcb);
      sendBare(tcb, coldOf(tcb).sndEnd, FIN | ACK);
    }
    return;
  }
  retransmit(tcb, changetype<Buffer>(at));
}

/** Sends everything in flight before `end` again, whatever the windows say, as far as there is room for it. */
export function retransmitUpTo(tcb: Tcb, end: u32): void {
  let at = tcb.txHead;
  while (at != 0 && seqBefore(changetype<Buffer>(at).seq, end)) {
    if (!retransmit(tcb, changetype<Buffer>(at))) return;
    at = changetype<Buffer>(at).next;
  }
}

function sendAgain(tcb: Tcb, buffer: Buffer): bool {
  return sendPayload(tcb, buffer, payloadFlags(buffer, (tcb.flags & F_FIN_SENT) != 0));
}

function retransmit(tcb: Tcb, buffer: Buffer): bool {
  // A path that takes less than when it was cut: only the first part.
  if (buffer.length > tcb.mss) {
    if (!cut(buffer, tcb.mss, tcb)) return false;
    if (tcb.controlFlags & C_LOWERED) noteProbeLost(coldOf(tcb));
  }
  if (!sendAgain(tcb, buffer)) return false;
  countResent(tcb);
  buffer.flags |= SENT_AGAIN;
  buffer.sentAt = now;
  if (tcb.controlFlags & (C_PACED | C_SAMPLED)) onSend(tcb, buffer);
  return true;
}

/** Sends one buffer in its turn, with PSH if `push` is that, and moves sndNxt. */
function transmit(tcb: Tcb, buffer: Buffer, push: u32): bool {
  const fin = (tcb.flags & F_FIN_QUEUED) != 0;
  const answers = (tcb.flags & F_ACK_PENDING) != 0;
  if (!sendPayload(tcb, buffer, payloadFlags(buffer, fin) | push)) return false;
  if (tcb.controlFlags & C_QUICK) noteAnswer(tcb, answers);
  // What a SYN carried before is no new write.
  if (tcb.flags & F_NAGLE && buffer.length < tcb.mss && !(buffer.flags & SENT_AGAIN)) {
    openState(tcb).partialEnd = buffer.seq + buffer.length;
  }
  if (tcb.flags & F_RESENDING && seqBefore(buffer.seq, coldOf(tcb).sndMax)) {
    buffer.flags |= SENT_AGAIN;
    countResent(tcb);
  }
  buffer.sentAt = now;
  if (tcb.controlFlags & (C_PACED | C_SAMPLED)) onSend(tcb, buffer);
  if (tcb.flags & F_RECOVERY) coldOf(tcb).prrOut += buffer.length;
  const end = buffer.seq + buffer.length;
  if (fin && buffer.next == 0) {
    tcb.flags |= F_FIN_SENT;
    buffer.flags |= WITH_FIN;
    advance(tcb, end + 1);
  } else {
    advance(tcb, end);
  }
  return true;
}

/** Sends the next buffer in its turn, as it is. False when there was no room. */
export function sendInTurn(tcb: Tcb, buffer: Buffer): bool {
  return transmit(tcb, buffer, 0);
}

/** PSH where the queue or a record ends; FIN too, where the stream does. */
function payloadFlags(buffer: Buffer, fin: bool): u32 {
  if (buffer.next != 0) return buffer.flags & RECORD_END ? ACK | PSH : ACK;
  if (fin) return ACK | PSH | FIN;
  return buffer.flags & MORE_FOLLOWS ? ACK : ACK | PSH;
}

/** Sends the FIN when the data before it has gone without it. */
function outputFin(tcb: Tcb): void {
  const end = coldOf(tcb).sndEnd;
  if (tcb.sndNxt != end) return;
  if (!sendBare(tcb, end, FIN | ACK)) {
    scheduleOutput(tcb);
    return;
  }
  if (tcb.flags & F_FIN_SENT) countResent(tcb);
  tcb.flags |= F_FIN_SENT;
  advance(tcb, end + 1);
  // What is asked for by a probe is answered no sooner than a round trip after the FIN.
  const cold = coldOf(tcb);
  const timed = (cold.repair & (R_SACK | R_HALF_OPEN)) == R_SACK;
  if (timed && !(tcb.flags & F_SCOREBOARD)) armRetransmission(tcb, cold);
}

/** Moves sndNxt after a send and times the flight. */
function advance(tcb: Tcb, end: u32): void {
  const cold = coldOf(tcb);
  const flight = tcb.sndNxt - tcb.sndUna;
  tcb.sndNxt = end;
  if (seqAfter(end, cold.sndMax)) {
    cold.sndMax = end;
    tcb.flags &= ~F_RESENDING;
  }
  if (!(tcb.flags & F_DEADLINE) || tcb.flags & F_PERSIST) {
    tcb.flags &= ~F_PERSIST;
    restartAfterIdle(tcb, cold);
    armRetransmission(tcb, cold);
  } else if (
    flight <= tcb.mss &&
    (cold.repair & (R_SACK | R_HALF_OPEN)) == R_SACK &&
    !(tcb.flags & F_SCOREBOARD)
  ) {
    // More than one segment is in flight now, so that no delayed ACK needs to be waited for.
    armRetransmission(tcb, cold);
  }
}

/** Has congestion control start anew when the last timeout has long run out (RFC 5681 section 4.1). */
function restartAfterIdle(tcb: Tcb, cold: TcbCold): void {
  // Further ahead than any can be means behind.
  if (tcb.deadline - now <= rtoMax) return;
  const due = tcb.deadline + probeLead(tcb, cold);
  if (due - now > rtoMax) onIdleRestart(tcb, due);
}

/**
 * Unsent data, nothing in flight, and the window does not let it go, or the application: probe until it
 * does, or send what it has held back.
 */
function startPersist(tcb: Tcb): void {
  if (tcb.controlFlags & C_PACE_WAIT) return;
  tcb.flags |= F_PERSIST;
  setDeadline(tcb, now + backedOffRto(tcb, coldOf(tcb)));
}

/** Bytes that a send would accept now: at least a segment's while an ACK is to come that makes room. */
export function sendRoom(tcb: Tcb, bufferMax: u32): u32 {
  if (!(tcb.state & CAN_SEND) || tcb.flags & F_FIN_QUEUED) return 0;
  const cold = coldOf(tcb);
  const queued = cold.sndEnd - tcb.sndUna;
  // The window that the network takes now and as much again, so that it never runs dry; behind a gap it
  // takes more than the window.
  const gone = tcb.flags & F_SCOREBOARD ? cold.sackedBytes + cold.lostBytes : 0;
  const window = min<u32>(tcb.cwnd + gone, max<u32>(tcb.sndWnd, tcb.mss));
  const limit = min<u32>(max<u32>(window << 1, 65536), bufferMax);
  if (queued >= limit) return 0;
  const room = limit - queued;
  return room < u32(tcb.mss) && tcb.sndNxt != tcb.sndUna ? 0 : room;
}
