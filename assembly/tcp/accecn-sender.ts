/**
 * The sender of accurate ECN (RFC 9768): how many of its segments arrived with CE, by the ACE field of an ACK,
 * which runs around after 8, and by the bytes that the peer's options tell of (section 3.2.2.5.2, appendix A.2).
 * Only ACKs that are not older than others are believed: those that cover something new, or have a newer timestamp.
 */
import {
  ACCECN_FAIL_ACE_RECEIVE,
  ACCECN_FAIL_OPTION_RECEIVE,
  ACCECN_OPTION_UNSEEN,
  CNT_TCP_ECN_MARKS,
  CONTROL_DCTCP,
} from "../abi";
import { countBy } from "../core/counters";
import { Packet } from "../core/packet";
import { Buffer } from "../mem/buffers";
import { accecnField, ACE_START, aceOf, ecnOfField, fieldStart } from "../wire/accecn";
import { optionAccecnAt, optionAccecnFields } from "../wire/tcp-options";
import { Accecn, accecnOf, deliveredBytes, reserveRoom } from "./accecn";
import { failOption, noteOption } from "./accecn-handshake";
import { onEcnEcho } from "./congestion";
import { dctcpMark } from "./dctcp";
import { seqBefore } from "./seq";
import { coldOf, C_ECT, R_SACK, Tcb } from "./tcb";

const ACE_MASK: u32 = 7;
/** A peer whose first option comes when so much was sent may have counted around: it comes too late. */
const LATEST_OPTION: u32 = (1 << 23) - 1;
/** Segments an ACK from which on ACKs are thinned out on the way, in 64ths; and how slowly the average moves. */
const THINNED: u32 = 4 << 6;
const AVERAGE_SHIFT: u32 = 6;

/** The ACK in hand says, by its options, how many bytes arrived how. */
let hasDeltas: bool = false;

/**
 * An ACK was worked on.
 *
 * @param segments, bytes that it says have arrived, and others had not said
 * @param options the packet's were read
 */
export function marksAreTold(
  tcb: Tcb,
  packet: Packet,
  segments: u32,
  bytes: u32,
  options: bool,
): void {
  const record = accecnOf(tcb);
  const ceBytes = record.deliveredCeBytes;
  if (options && optionAccecnAt != 0) readOption(tcb, record);
  else estimate(tcb, record, bytes);
  if (segments != 0) averageCovered(record, segments);
  if (record.heard == 0) {
    record.heard = 1;
    // The first segment after the handshake (section 3.2.2.4).
    if (aceOf(packet.l4) == 0) record.failures |= <u8>ACCECN_FAIL_ACE_RECEIVE;
  }
  const ce = record.deliveredCeBytes - ceBytes;
  const marks = newMarks(tcb, record, aceOf(packet.l4), segments, bytes, ce);
  if (marks == 0) return;
  record.deliveredCe += marks;
  countBy(CNT_TCP_ECN_MARKS, marks);
  if (!(tcb.controlFlags & C_ECT)) return;
  if (tcb.control == CONTROL_DCTCP) {
    dctcpMark(coldOf(tcb), hasDeltas ? ce : marks * u32(tcb.mss));
  }
  onEcnEcho(tcb, packet.ack);
}

/** Segments in flight that an ACK up to `ack` covers; before they are taken off the queue. */
export function coveredSegments(tcb: Tcb, ack: u32): u32 {
  let segments: u32 = 0;
  for (let at = tcb.txHead; at != 0; at = changetype<Buffer>(at).next) {
    if (!seqBefore(changetype<Buffer>(at).seq, ack)) break;
    segments++;
  }
  return segments;
}

/** No option: the bytes count for the codepoint that the options before told of, if that was always one. */
function estimate(tcb: Tcb, record: Accecn, bytes: u32): void {
  hasDeltas = false;
  if (record.failures & ACCECN_FAIL_OPTION_RECEIVE) return;
  if (record.optionSeen == ACCECN_OPTION_UNSEEN) {
    if (coldOf(tcb).sndMax - record.first >= LATEST_OPTION) failOption(record);
    return;
  }
  const ecn: u32 = record.estimate;
  if (ecn == 0) return;
  const counter = deliveredBytes(record, ecn);
  store<u32>(counter, load<u32>(counter) + bytes);
  hasDeltas = true;
}

function readOption(tcb: Tcb, record: Accecn): void {
  hasDeltas = false;
  if (record.failures & ACCECN_FAIL_OPTION_RECEIVE) return;
  if (record.optionSeen == ACCECN_OPTION_UNSEEN) {
    noteOption(tcb, record);
    reserveRoom(tcb, record);
  } else {
    noteOption(tcb, record);
  }
  const before: u32 = record.estimate;
  const kind: u32 = load<u8>(optionAccecnAt);
  let other: u32 = 0;
  let ambiguous = false;
  for (let i: u32 = 0; i < optionAccecnFields; i++) {
    const ecn = ecnOfField(kind, i);
    const delta = takeField(record, ecn, accecnField(optionAccecnAt, i));
    if (delta == 0) continue;
    if (delta < 0 || (ecn != before && other != 0)) ambiguous = true;
    if (ecn != before && other == 0) other = ecn;
  }
  hasDeltas = before != 0 && !ambiguous;
  if (other != 0) record.estimate = <u8>other;
  if (ambiguous) record.estimate = 0;
}

/** Takes a counter of 24 bits over. Returns by how much it has grown. */
function takeField(record: Accecn, ecn: u32, value: u32): i32 {
  const counter = deliveredBytes(record, ecn);
  const delta = i32((value - fieldStart(ecn) - load<u32>(counter)) << 8) >> 8;
  store<u32>(counter, load<u32>(counter) + u32(delta));
  return delta;
}

function averageCovered(record: Accecn, segments: u32): void {
  const sample = min<u32>(segments, 1023) << 6;
  const before: u32 = record.covered;
  const after =
    before == 0 ? sample : before + (sample >> AVERAGE_SHIFT) - (before >> AVERAGE_SHIFT);
  record.covered = <u16>min<u32>(after, u16.MAX_VALUE);
}

/**
 * Marks that the ACE field tells of. Where the ACK covers so many segments that the field may have run around, as
 * many as there may have been at most, unless the bytes say that there were fewer, or ACKs are thinned out
 * so much that this happens all the time.
 */
function newMarks(tcb: Tcb, record: Accecn, ace: u32, segments: u32, bytes: u32, ce: u32): u32 {
  const least = (ace - ACE_START - record.deliveredCe) & ACE_MASK;
  if (segments <= ACE_MASK) return least;
  const most = segments - ((segments - least) & ACE_MASK);
  if (!hasDeltas) return u32(record.covered) > THINNED ? least : most;
  if (ce == 0) return least;
  const mss: u32 = tcb.mss;
  if (segments >= 2 * (ACE_MASK + 1) && coldOf(tcb).repair & R_SACK) {
    if (bytes <= ce) return most;
    const share = (u64(ce) * u64(segments) + u64(bytes) - 1) / u64(bytes);
    return min<u32>(most, least + (u32(share) & ~ACE_MASK));
  }
  if (ce > least * mss) return most;
  return ce < (most * mss) >> 1 ? least : most;
}
