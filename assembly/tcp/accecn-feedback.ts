/**
 * The receiver of accurate ECN (RFC 9768 sections 3.2.2 and 3.2.3): every segment's mark is counted, and every
 * segment sent tells in its ACE field how many there were of CE, modulo 8, and in its option, where it has one,
 * the bytes of each kind. An ACK goes out at once where the marks change, and before the ACE field could run
 * around (section 3.2.2.5).
 */
import {
  ACCECN_FAIL_ACE_RECEIVE,
  ACCECN_FAIL_ACE_SEND,
  ACCECN_FAIL_OPTION_SEND,
  CFG_ECN_BEACON,
  CFG_ECN_OPTION,
  CNT_TCP_CE_IN,
  ECN_OPTION_FULL,
  ECN_OPTION_OFF,
  ECN_OPTION_PERSISTENT,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Packet } from "../core/packet";
import { now } from "../time/clock";
import {
  ACCECN_FIELD_BYTES,
  ACCECN_FIELDS,
  ACCECN_HEAD_BYTES,
  ACE_START,
  aceOfEcn,
  emitAccecn,
  fieldsFor,
  fieldStart,
  setAce,
} from "../wire/accecn";
import { CE } from "../wire/ipv4";
import { TCP_HEADER_SIZE } from "../wire/tcp";
import { OPTIONS_MAX, SACK_BLOCK_BYTES, SACK_HEAD_BYTES } from "../wire/tcp-options";
import { Accecn, accecnOf, receivedBytes, reserveRoom } from "./accecn";
import { scheduleOutput } from "./agenda";
import { ecnArrives, ecnOf } from "./ecn";
import { challenge } from "./challenge";
import { sendAck } from "./output";
import { duplicateFrom, duplicateTo } from "./sack-blocks";
import { FIN_WAIT_2, TIME_WAIT } from "./states";
import { coldOf, C_ECT, F_ACK_NOW, F_APP_CLOSED, Tcb } from "./tcb";

/** Marks without an ACK that bring one: with data, and from ACKs alone, lest ACKs answer ACKs for ever. */
const UNTOLD_WITH_DATA: u32 = 2;
const UNTOLD_OF_ACKS: u32 = 3;
const UNTOLD_MAX: u32 = 15;

/** A counter that has come so far since the last option, in bytes, is told (section 3.2.3.3). */
const BYTES_TOLD_SHIFT: u32 = 22;

/** The ACK in the making answers a SYN-ACK: its ACE field says how that arrived. */
let reflects: bool = false;

/** What `fitOption` has found, where there is room: fields of the option, and bytes of the SACK option that it leaves. */
export let fittedFields: u32 = 0;
export let fittedSack: u32 = 0;

/** A segment that is acceptable has come: counts its mark, and sees to it that the peer hears of it. */
export function countMark(tcb: Tcb, record: Accecn, packet: Packet): void {
  const ecn = ecnOf(packet);
  const length = packet.length;
  const changed = ecn != u32(record.lastEcn);
  record.lastEcn = <u8>ecn;
  if (ecn == CE) {
    count(CNT_TCP_CE_IN);
    record.receivedCe++;
    if (u32(record.untold) < UNTOLD_MAX) record.untold++;
  }
  if (ecn != 0 && length != 0) countBytes(record, ecn, length);
  if (changed || ecn == CE) record.demand = 2;
  const untold: u32 = record.untold;
  if (length != 0) {
    if (changed || untold >= UNTOLD_WITH_DATA) tcb.flags |= F_ACK_NOW;
  } else if (untold >= UNTOLD_OF_ACKS && ecn == CE) {
    tcb.flags |= F_ACK_NOW;
    scheduleOutput(tcb);
  }
}

function countBytes(record: Accecn, ecn: u32, length: u32): void {
  const counter = receivedBytes(record, ecn);
  const before = load<u32>(counter);
  const after = before + length;
  store<u32>(counter, after);
  const needed = fieldsFor(ecn);
  if (u32(record.fields) < needed) record.fields = <u8>needed;
  if ((before ^ after) >> BYTES_TOLD_SHIFT != 0 && record.demand == 0) record.demand = 1;
}

/**
 * What was received before comes again, up to `end`. As far as it may be what the last ACK was about its mark
 * counts. If that ACK had an option and reported the same before, it is ACKs with options that are lost
 * (section 3.2.3.2.2).
 */
export function repeatArrives(tcb: Tcb, packet: Packet, end: u32): void {
  const record = accecnOf(tcb);
  // Beyond what was received anybody may have sent it.
  if (end - tcb.rcvAcked <= tcb.rcvNxt - tcb.rcvAcked) ecnArrives(tcb, packet);
  if (record.dsackSent == 0 || packet.seq != record.dsackFrom) return;
  record.failures |= <u8>ACCECN_FAIL_OPTION_SEND;
  reserveRoom(tcb, record);
}

/** Acknowledges a SYN-ACK, and says how it arrived (section 3.2.2.1). */
export function reflectSynAck(tcb: Tcb): void {
  reflects = true;
  sendAck(tcb);
  reflects = false;
}

/** The same for one that comes late, as a challenge. */
export function reflectAsChallenge(tcb: Tcb): void {
  reflects = true;
  challenge(tcb);
  reflects = false;
}

/**
 * Whether the peer can have nothing more in flight but its FIN, which our application no longer waits for: as
 * with Linux, whose TIME-WAIT has no counters, nothing more is told.
 */
export function isOver(tcb: Tcb): bool {
  return (tcb.flags & F_APP_CLOSED) != 0 && (tcb.state & (FIN_WAIT_2 | TIME_WAIT)) != 0;
}

/** Whether what is sent is ECN-capable: everything, pure ACKs too, unless the bits are changed on the way. */
export function marksSent(tcb: Tcb): bool {
  if (accecnOf(tcb).failures & (ACCECN_FAIL_ACE_SEND | ACCECN_FAIL_ACE_RECEIVE)) return false;
  return (tcb.controlFlags & C_ECT) != 0;
}

/**
 * Bytes that the option takes of a segment with so much payload and SACK option, 0 for none. Where there is
 * little room it gets shorter as long as it tells what is new, and may take the place of all SACK blocks but
 * two, or of the NOPs before the first.
 */
export function fitOption(tcb: Tcb, length: u32, sack: u32): u32 {
  const record = accecnOf(tcb);
  if (!wantsOption(tcb, record)) return 0;
  fittedSack = sack;
  let space = OPTIONS_MAX - u32(tcb.optionBytes) - sack;
  if (length != 0) {
    const most = u32(tcb.mss) + record.reserved;
    const used = length + sack;
    space = min<u32>(space, most > used ? most - used : 0);
  }
  const least: u32 = record.fields;
  for (;;) {
    for (let fields = i32(ACCECN_FIELDS); fields >= i32(least); fields--) {
      const bytes = ACCECN_HEAD_BYTES + u32(fields) * ACCECN_FIELD_BYTES;
      const aligned = fittedSack != 0 && (bytes & 3) <= 2 ? bytes & ~3 : (bytes + 3) & ~3;
      if (aligned > space) continue;
      // Without fields in the NOPs of SACK it would say nothing.
      fittedFields = u32(fields);
      return aligned;
    }
    if (least == 0 || fittedSack <= SACK_HEAD_BYTES + 2 * SACK_BLOCK_BYTES) break;
    fittedSack -= SACK_BLOCK_BYTES;
    space += SACK_BLOCK_BYTES;
  }
  return 0;
}

function wantsOption(tcb: Tcb, record: Accecn): bool {
  const mode = config(CFG_ECN_OPTION);
  if (mode == ECN_OPTION_OFF || record.optionSeen == 0) return false;
  if (record.failures & ACCECN_FAIL_OPTION_SEND && mode < ECN_OPTION_PERSISTENT) return false;
  return mode >= ECN_OPTION_FULL || record.demand != 0 || isBeaconDue(tcb, record);
}

/** So often in a round trip an option is sent in any case. */
function isBeaconDue(tcb: Tcb, record: Accecn): bool {
  const beacons = config(CFG_ECN_BEACON);
  if (beacons == 0) return false;
  return u64(now - record.optionAt) * u64(beacons) >= u64(coldOf(tcb).srtt8 >> 3);
}

/** Writes the ACE field, and the option as it was fitted into `space` bytes; 0: none. */
export function tellMarks(tcb: Tcb, header: u32, space: u32): void {
  const record = accecnOf(tcb);
  if (reflects) {
    setAce(header, aceOfEcn(record.synEcn));
  } else {
    setAce(header, (record.receivedCe + ACE_START) & 7);
    record.untold = 0;
  }
  const twice = duplicateFrom != duplicateTo;
  record.dsackSent = <u8>(space != 0 && twice ? 1 : 0);
  record.dsackFrom = duplicateFrom;
  if (space == 0) return;
  const e1 = record.receivedE1Bytes + fieldStart(1);
  const e0 = record.receivedE0Bytes + fieldStart(2);
  const at = header + TCP_HEADER_SIZE + tcb.optionBytes;
  emitAccecn(at, space, fittedFields, e1, record.receivedCeBytes, e0);
  record.fields = 0;
  record.optionAt = now;
  if (record.demand != 0) record.demand--;
}
