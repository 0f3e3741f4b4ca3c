/**
 * What an acknowledgment does (RFC 9293 section 3.10.7.4, fifth step): frees what it covers, samples
 * the round trip, moves the congestion window, detects loss by duplicates, tells the application.
 */
import { CNT_TCP_DUPLICATE_ACKS, CNT_TCP_FAST_RETRANSMITS } from "../abi";
import { count } from "../core/counters";
import { Buffer, release } from "../mem/buffers";
import { confirmNeighbour } from "../net/neighbours";
import { now } from "../time/clock";
import { onAck } from "./congestion";
import { clearDeadline, setDeadline } from "./deadlines";
import { noteDelivered } from "./delivery-rate";
import { deflate, enterRecovery, inflate, leaveRecovery } from "./fast-recovery";
import { isProbeAwaited } from "./mtu-probe";
import { reportSent } from "./notices";
import { output, retransmitHead, retransmitUpTo } from "./output";
import { backedOffRto, clearSample, sampleRtt } from "./rtt";
import { SENT_ELSEWHERE } from "./send";
import { SENT_AGAIN, severBuffer } from "./send-queue";
import { seqAfterEq, seqBefore } from "./seq";
import { armRetransmission } from "./tail-probe";
import {
  coldOf,
  C_SAMPLED,
  F_MORE,
  F_PERSIST,
  F_RECOVERY,
  F_RESENDING,
  R_PARTIAL,
  Tcb,
  TcbCold,
} from "./tcb";

/** An ACK that covers something new, up to `ack`: sndUna < ack <= sndMax. */
export function acknowledge(tcb: Tcb, ack: u32): void {
  const cold = coldOf(tcb);
  const flight = tcb.sndNxt - tcb.sndUna;
  const acked = ack - tcb.sndUna;
  clearSample();
  const bytes = releaseAcknowledged(tcb, ack);
  tcb.sndUna = ack;
  cold.retries = 0;
  if (tcb.flags & F_RESENDING) skipResent(tcb, ack);
  onAck(tcb, cold.dupAcks == 0 ? acked : notCounted(tcb, cold, acked), flight);
  let restart = true;
  if (tcb.flags & F_RECOVERY) {
    if (seqAfterEq(ack, cold.recover)) {
      leaveRecovery(tcb);
    } else {
      // The impatient variant (RFC 6582 section 4): many losses in one flight end in a timeout, which
      // repairs them in fewer round trips than one partial ACK each.
      restart = !(cold.repair & R_PARTIAL);
      cold.repair |= R_PARTIAL;
      retransmitHead(tcb);
      deflate(tcb, acked);
    }
  } else {
    cold.dupAcks = 0;
  }
  confirmNeighbour(tcb.neighbour);
  // RFC 6298 section 5.2 and 5.3.
  if (ack == cold.sndMax) clearDeadline(tcb);
  else if (restart) armRetransmission(tcb, cold);
  tcb.flags &= ~(F_PERSIST | F_MORE);
  if (bytes != 0) reportSent(tcb, bytes);
}

/** What of an ACK's bytes duplicates have not announced before it, each a segment; at least one. */
function notCounted(tcb: Tcb, cold: TcbCold, acked: u32): u32 {
  const mss: u32 = tcb.mss;
  const announced = u32(cold.dupAcks) * mss;
  return min<u32>(acked, acked > announced + mss ? acked - announced : mss);
}

/**
 * An ACK that covers nothing new, carries no data, leaves the window alone while data is in flight:
 * a sign that a later segment arrived (RFC 5681 section 2).
 */
export function duplicateAck(tcb: Tcb): void {
  count(CNT_TCP_DUPLICATE_ACKS);
  const flags = tcb.flags;
  if (flags & F_RECOVERY) {
    inflate(tcb);
    output(tcb);
    return;
  }
  if (flags & F_RESENDING) return;
  const cold = coldOf(tcb);
  if (cold.dupAcks < 255) cold.dupAcks++;
  if (cold.dupAcks < 3) limitedTransmit(tcb);
  else if (cold.dupAcks == 3 && isFreshLoss(tcb)) fastRetransmit(tcb, cold);
}

function fastRetransmit(tcb: Tcb, cold: TcbCold): void {
  if (isProbeAwaited(tcb, cold)) {
    retransmitUpTo(tcb, cold.probeEnd);
  } else {
    count(CNT_TCP_FAST_RETRANSMITS);
    enterRecovery(tcb);
    retransmitHead(tcb);
  }
  setDeadline(tcb, now + backedOffRto(tcb, cold));
  output(tcb);
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
  if (cold.dupAcks == 1) cold.limitedBytes = 0;
  const before = tcb.sndNxt;
  if (before - tcb.sndUna > cwnd + cold.limitedBytes) return;
  tcb.cwnd = cwnd + cold.limitedBytes + tcb.mss;
  output(tcb);
  tcb.cwnd = cwnd;
  cold.limitedBytes += tcb.sndNxt - before;
}

/** Takes covered buffers off the queue, samples the round trip; returns how many bytes the application sent. */
export function releaseAcknowledged(tcb: Tcb, ack: u32): u32 {
  let at = tcb.txHead;
  let sentAt: u32 = 0;
  let clean = at != 0;
  const sampled: bool = (tcb.controlFlags & C_SAMPLED) != 0;
  let bytes: u32 = 0;
  while (at != 0) {
    const buffer = changetype<Buffer>(at);
    if (!seqBefore(buffer.seq, ack)) break;
    severBuffer(buffer);
    // A hole that a repeated segment filled held up the ACK of all behind it.
    if (buffer.flags & SENT_AGAIN) clean = false;
    sentAt = buffer.sentAt;
    const left = i32(buffer.seq + buffer.length - ack);
    if (left > 0) {
      const covered = buffer.length - left;
      if (sampled) noteDelivered(tcb, buffer, covered);
      buffer.seq = ack;
      buffer.address += covered;
      buffer.length = left;
      if (!(buffer.flags & SENT_ELSEWHERE)) bytes += covered;
      break;
    }
    if (!(buffer.flags & SENT_ELSEWHERE)) bytes += buffer.length;
    if (sampled) noteDelivered(tcb, buffer, buffer.length);
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
