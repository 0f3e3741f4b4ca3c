/**
 * How two ends agree on accurate ECN (RFC 9768 section 3.1), and what SYN and SYN-ACK tell of each other's marks
 * (section 3.2.2.1). Whoever learns that the way there loses or changes the bits does not mark what it sends any
 * more (sections 3.1.5, 3.2.2.3 and 3.2.2.4), but goes on to tell of what comes.
 */
import {
  ACCECN_FAIL_ACE_RECEIVE,
  ACCECN_FAIL_ACE_SEND,
  ACCECN_FAIL_OPTION_RECEIVE,
  ACCECN_OPTION_COUNTERS,
  ACCECN_OPTION_EMPTY,
  ACCECN_OPTION_FAILED,
  CFG_ECN_FALLBACK,
  CFG_ECN_OPTION,
  ECN_OPTION_OFF,
  TCB_ACCECN_SIZE,
} from "../abi";
import { config } from "../core/config";
import { Packet } from "../core/packet";
import { accecnField, ACCECN_BYTES, aceOf, aceOfEcn, ecnOfAce, emitAccecn } from "../wire/accecn";
import { CE } from "../wire/ipv4";
import { ACK } from "../wire/tcp";
import { optionAccecnAt, optionAccecnFields, optionSackBlocks } from "../wire/tcp-options";
import { Accecn, accecnOf, reserveRoom } from "./accecn";
import { ecnOf } from "./ecn";
import { SYN_SENT } from "./states";
import { C_ACCURATE, C_ECN, Tcb } from "./tcb";

/** SYN-ACKs that have the option, and that have an ACE field, before those which others lost. */
const OPTION_TRIES: u32 = 1;
const ACE_TRIES: u32 = 2;

/** The option's bytes in a SYN-ACK with and without its third field. */
const SHORT_BYTES: u32 = 8;

/**
 * Begins with the segment in hand, whose options were just read: a SYN that asks for accurate ECN, or a SYN-ACK
 * that grants it and says how our SYN has arrived.
 */
export function beginAccurate(tcb: Tcb, packet: Packet): void {
  const record = accecnOf(tcb);
  memory.fill(changetype<u32>(record), 0, TCB_ACCECN_SIZE);
  tcb.controlFlags |= <u16>(C_ECN | C_ACCURATE);
  record.synEcn = <u8>ecnOf(packet);
  if (tcb.state != SYN_SENT) {
    record.lastEcn = record.synEcn;
    return;
  }
  record.first = packet.ack;
  noteOption(tcb, record);
  if (record.optionSeen != 0) record.demand = 2;
  if (believes(record, aceOf(packet.l4)) && record.synEcn == CE) {
    record.receivedCe = 1;
    record.untold = 1;
  }
}

/** Whether our SYN, or SYN-ACK, which was Not-ECT, is said to have arrived so (section 3.2.2.3). */
function believes(record: Accecn, ace: u32): bool {
  // What a future version may say is taken as said of an unchanged SYN (section 3.1.2).
  if (ace == 5 || !config(CFG_ECN_FALLBACK)) return true;
  if (ecnOfAce(ace) == 0) return true;
  record.failures |= <u8>ACCECN_FAIL_ACE_RECEIVE;
  return false;
}

/**
 * A SYN or SYN-ACK comes again, whose options were just read: the latest one is answered (section 3.1.5). A SYN
 * that no longer asks may be one whose bits were cleared on the way.
 */
export function synRepeats(tcb: Tcb, packet: Packet): void {
  const record = accecnOf(tcb);
  record.synEcn = <u8>ecnOf(packet);
  if (packet.flags & ACK) {
    noteOption(tcb, record);
    if (record.demand == 0) record.demand = 1;
  } else if (aceOf(packet.l4) == 0) {
    record.failures |= <u8>ACCECN_FAIL_ACE_RECEIVE;
  }
}

/** The ACE field of the SYN-ACK to be sent now. */
export function synAckAce(record: Accecn): u32 {
  if (u32(record.synAcks) < ACE_TRIES || !config(CFG_ECN_FALLBACK)) return aceOfEcn(record.synEcn);
  record.failures |= <u8>ACCECN_FAIL_ACE_SEND;
  return 0;
}

/** Bytes of the option in it, with `room` bytes left. */
export function synAckOptionBytes(record: Accecn, room: u32): u32 {
  if (config(CFG_ECN_OPTION) == ECN_OPTION_OFF) return 0;
  if (u32(record.synAcks) >= OPTION_TRIES && config(CFG_ECN_FALLBACK)) return 0;
  return room >= ACCECN_BYTES ? ACCECN_BYTES : room >= SHORT_BYTES ? SHORT_BYTES : 0;
}

/** Writes the option in that size: nothing was counted yet. */
export function emitSynAckOption(at: u32, bytes: u32): void {
  emitAccecn(at, bytes, bytes == ACCECN_BYTES ? 3 : 2, 1, 0, 1);
}

/** One was sent. */
export function noteSynAck(record: Accecn): void {
  if (record.synAcks != u8.MAX_VALUE) record.synAcks++;
}

/**
 * The segment that ends the handshake of a passive open, whose options were just read. If it is a pure ACK of
 * nothing but our SYN it says how the SYN-ACK has arrived (section 3.2.2.1, tables 3 and 4).
 */
export function thirdAckArrives(tcb: Tcb, packet: Packet): void {
  const record = accecnOf(tcb);
  const ace = aceOf(packet.l4);
  record.first = tcb.sndUna;
  record.demand = 1;
  if (ace == 0) {
    record.failures |= <u8>ACCECN_FAIL_ACE_RECEIVE;
  } else if (!(ace & 1) || ace == 3) {
    const pure = packet.length == 0 && packet.ack == tcb.sndUna && optionSackBlocks == 0;
    if (pure && believes(record, ace) && ecnOfAce(ace) == CE) record.deliveredCe = 1;
  }
  record.heard = 1;
  noteOption(tcb, record);
  reserveRoom(tcb, record);
}

/** What the segment in hand shows of the peer's options; those that begin with zero were changed. */
export function noteOption(tcb: Tcb, record: Accecn): void {
  if (optionAccecnAt == 0 || u32(record.optionSeen) >= ACCECN_OPTION_COUNTERS) return;
  record.optionSeen = <u8>stateOfOption();
  if (record.optionSeen == ACCECN_OPTION_FAILED) failOption(record);
}

function stateOfOption(): u32 {
  const fields = optionAccecnFields;
  if (fields == 0) return ACCECN_OPTION_EMPTY;
  if (accecnField(optionAccecnAt, 0) == 0) return ACCECN_OPTION_FAILED;
  const zeroed = fields == 3 && accecnField(optionAccecnAt, 2) == 0;
  return zeroed ? ACCECN_OPTION_FAILED : ACCECN_OPTION_COUNTERS;
}

/** The peer's options are of no use, or none will be. */
export function failOption(record: Accecn): void {
  record.optionSeen = <u8>ACCECN_OPTION_FAILED;
  record.failures |= <u8>ACCECN_FAIL_OPTION_RECEIVE;
}
