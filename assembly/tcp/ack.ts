/**
 * What an acknowledgment does (RFC 9293 section 3.10.7.4, fifth step): frees what it covers, samples
 * the round trip, moves the congestion window, detects loss by duplicates, tells the application.
 */
import {
  CALL_A,
  CALL_B,
  CALL_HANDLE,
  CALL_OP,
  CNT_TCP_DUPLICATE_ACKS,
  CNT_TCP_FAST_RETRANSMITS,
  EV_SENT,
} from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { confirmNeighbour } from "../net/neighbours";
import { now } from "../time/clock";
import { hasSpareRoom, lastEvent, pushEvent } from "../user/events";
import { scheduleNotice } from "./agenda";
import { deflate, enterRecovery, growWindow, leaveRecovery } from "./congestion";
import { clearDeadline, setDeadline } from "./deadlines";
import { output, retransmitHead, SENT_AGAIN } from "./output";
import { backedOffRto, sampleRtt } from "./rtt";
import { acceptable } from "./send";
import { seqAfterEq, seqBefore } from "./seq";
import {
  coldOf,
  F_BLOCKED,
  F_KNOWN,
  F_PARTIAL,
  F_PERSIST,
  F_QUIET,
  F_RECOVERY,
  F_REFERENCES,
  F_RESENDING,
  F_UNREPORTED,
  Tcb,
} from "./tcb";

/** An ACK that covers something new, up to `ack`: sndUna < ack <= sndMax. */
export function acknowledge(tcb: Tcb, ack: u32): void {
  const cold = coldOf(tcb);
  const flight = tcb.sndNxt - tcb.sndUna;
  const acked = ack - tcb.sndUna;
  const bytes = releaseAcknowledged(tcb, ack);
  tcb.sndUna = ack;
  cold.retries = 0;
  if (tcb.flags & F_RESENDING) skipResent(tcb, ack);
  let restart = true;
  if (tcb.flags & F_RECOVERY) {
    if (seqAfterEq(ack, cold.recover)) {
      leaveRecovery(tcb);
    } else {
      // The impatient variant (RFC 6582 section 4): many losses in one flight end in a timeout, which
      // repairs them in fewer round trips than one partial ACK each.
      restart = !(tcb.flags & F_PARTIAL);
      tcb.flags |= F_PARTIAL;
      retransmitHead(tcb);
      deflate(tcb, acked);
    }
  } else {
    tcb.dupAcks = 0;
    growWindow(tcb, acked, flight);
  }
  confirmNeighbour(tcb.neighbour);
  // RFC 6298 section 5.2 and 5.3.
  if (ack == cold.sndMax) clearDeadline(tcb);
  else if (restart) setDeadline(tcb, now + backedOffRto(tcb, cold));
  tcb.flags &= ~F_PERSIST;
  if (bytes != 0) reportSent(tcb, bytes);
}

/**
 * An ACK that covers nothing new, carries no data, leaves the window alone while data is in flight:
 * a sign that a later segment arrived (RFC 5681 section 2).
 */
export function duplicateAck(tcb: Tcb): void {
  count(CNT_TCP_DUPLICATE_ACKS);
  const flags = tcb.flags;
  if (flags & F_RECOVERY) {
    // Each duplicate is a segment that left the network (RFC 6582 section 3.2 step 3).
    tcb.cwnd += tcb.mss;
    output(tcb);
    return;
  }
  if (flags & F_RESENDING) return;
  if (tcb.dupAcks < 255) tcb.dupAcks++;
  if (tcb.dupAcks == 3) {
    if (isFreshLoss(tcb)) {
      count(CNT_TCP_FAST_RETRANSMITS);
      enterRecovery(tcb);
      retransmitHead(tcb);
      setDeadline(tcb, now + backedOffRto(tcb, coldOf(tcb)));
      output(tcb);
    }
  } else if (tcb.dupAcks < 3) {
    limitedTransmit(tcb);
  }
}

/**
 * False for duplicates of segments from before an earlier loss (RFC 6582 section 3.2 step 1): while
 * `recover` lies within what is in flight. Asked this way it may be any distance behind.
 */
function isFreshLoss(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  return cold.recover - tcb.sndUna > cold.sndMax - tcb.sndUna;
}

/** RFC 3042: the first two duplicates each let one new segment out, without growing cwnd. */
function limitedTransmit(tcb: Tcb): void {
  if (tcb.txNext == 0) return;
  const cwnd = tcb.cwnd;
  const cold = coldOf(tcb);
  if (tcb.dupAcks == 1) cold.limitedBytes = 0;
  const before = tcb.sndNxt;
  if (before - tcb.sndUna > cwnd + cold.limitedBytes) return;
  tcb.cwnd = cwnd + cold.limitedBytes + tcb.mss;
  output(tcb);
  tcb.cwnd = cwnd;
  cold.limitedBytes += tcb.sndNxt - before;
}

/** Takes covered buffers off the queue, samples the round trip; returns stream bytes covered. */
function releaseAcknowledged(tcb: Tcb, ack: u32): u32 {
  let at = tcb.txHead;
  let sentAt: u32 = 0;
  let clean = at != 0;
  let bytes: u32 = 0;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (!seqBefore(buffer.seq, ack)) break;
    // A hole that a repeated segment filled held up the ACK of all behind it.
    if (buffer.flags & SENT_AGAIN) clean = false;
    sentAt = buffer.sentAt;
    const left = i32(buffer.seq + buffer.length - ack);
    if (left > 0) {
      const covered = buffer.length - left;
      buffer.seq = ack;
      buffer.address += covered;
      buffer.length = left;
      bytes += covered;
      break;
    }
    bytes += buffer.length;
    if (tcb.txNext == at) tcb.txNext = buffer.next;
    at = buffer.next;
    release(buffer);
  }
  tcb.txHead = at;
  if (at == 0) tcb.txTail = 0;
  if (clean) {
    // Only a fresh sample ends the back-off (RFC 6298 section 5.7, Karn).
    tcb.backoff = 0;
    sampleRtt(coldOf(tcb), now - sentAt);
  }
  return bytes;
}

/** After a timeout pulled sndNxt back, an ACK may cover bytes that were about to be sent again. */
function skipResent(tcb: Tcb, ack: u32): void {
  if (seqBefore(tcb.sndNxt, ack)) tcb.sndNxt = ack;
  if (ack == coldOf(tcb).sndMax) tcb.flags &= ~F_RESENDING;
}

/**
 * Tells the application how far the peer has received. Several ACKs of a batch make one event when
 * they follow one another; a quiet connection hears only what it can act on. Without room in the event
 * array it is told from the notices.
 */
function reportSent(tcb: Tcb, bytes: u32): void {
  const flags = tcb.flags;
  if (!(flags & F_KNOWN)) return;
  const cold = coldOf(tcb);
  const total = cold.unreported + bytes;
  if (flags & F_QUIET && !isNews(tcb)) {
    cold.unreported = total;
    return;
  }
  if (!hasSpareRoom()) {
    cold.unreported = total;
    tcb.flags = flags | F_UNREPORTED;
    scheduleNotice(tcb);
    return;
  }
  cold.unreported = 0;
  const room = acceptable(tcb);
  const event = lastEvent();
  if (
    event != 0 &&
    load<u32>(event, CALL_HANDLE) == tcb.handle &&
    load<u32>(event, CALL_OP) == EV_SENT
  ) {
    store<u32>(event, load<u32>(event, CALL_A) + total, CALL_A);
    store<u32>(event, room, CALL_B);
  } else {
    pushEvent(EV_SENT, tcb.handle, tcb.cookie, 0, total, room);
  }
  settleSent(tcb, room);
}

/** Whether a quiet connection's application can act on what was acknowledged. */
function isNews(tcb: Tcb): bool {
  if (tcb.flags & F_REFERENCES) return true;
  return (tcb.flags & F_BLOCKED) != 0 && acceptable(tcb) != 0;
}

/** Forgets what a `sent` with that much room has told the application. */
export function settleSent(tcb: Tcb, room: u32): void {
  let told = F_UNREPORTED;
  if (room != 0) told |= F_BLOCKED;
  if (tcb.txHead == 0) told |= F_REFERENCES;
  tcb.flags &= ~told;
}
