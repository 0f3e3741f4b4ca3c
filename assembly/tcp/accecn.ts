/**
 * Accurate ECN (RFC 9768): what each side keeps of it, in a table beside the TCBs that is there only where the
 * configuration allows for it. A record lives as long as its connection and stays where it is when that moves to
 * another core, so it is neither allocated nor freed; it counts from the SYN that agreed on it.
 *
 *   handshake   accecn-handshake.ts   who speaks what; the marks of the SYNs
 *   receiver    accecn-feedback.ts    marks that come are counted, and told in the ACE field and the option
 *   sender      accecn-sender.ts      what the peer tells is read, and answered by less
 */
import {
  ACCECN_FAIL_OPTION_SEND,
  CFG_ECN_OPTION,
  CFG_TCB_ACCECN,
  CFG_TCB_HOT,
  ECN_OPTION_FULL,
  TCB_ACCECN_SIZE,
  TCB_HOT_SIZE,
} from "../abi";
import { config } from "../core/config";
import { ACCECN_BYTES } from "../wire/accecn";
import { coldOf, C_ACCURATE, C_LOWERED, Tcb } from "./tcb";

/** Bytes of the counters at the beginning of a record, in the order of TCP_INFO_RECEIVED_CE and what follows it. */
export const ACCECN_COUNTERS: u32 = 32;

@final
@unmanaged
export class Accecn {
  /** Segments with CE that came (r.cep), and those of ours that arrived so (s.cep), since the handshake. */
  receivedCe: u32;
  deliveredCe: u32;
  /** Payload bytes that came with ECT(1), ECT(0) and CE, and those of ours that arrived so. */
  receivedE1Bytes: u32;
  receivedE0Bytes: u32;
  receivedCeBytes: u32;
  deliveredE1Bytes: u32;
  deliveredE0Bytes: u32;
  deliveredCeBytes: u32;
  /** When an option was sent last, µs. */
  optionAt: u32;
  /** Sequence number of our first byte. */
  first: u32;
  /** With `dsackSent`: where what the last ACK reported as received twice begins. */
  dsackFrom: u32;
  /** Segments that an ACK covers, a moving average, in 64ths. */
  covered: u16;
  /** `ACCECN_FAIL_*` and `ACCECN_OPTION_*`. */
  failures: u8;
  optionSeen: u8;
  /** Codepoints: of the peer's last SYN, and of the last segment. */
  synEcn: u8;
  lastEcn: u8;
  /** Segments with CE that no ACK has told of, up to 15. */
  untold: u8;
  /** How many segments more are to carry the option, and the fields that the next one needs at least. */
  demand: u8;
  fields: u8;
  /** Codepoint that what arrives is taken to have where the peer's option does not say; 0: none. */
  estimate: u8;
  /** SYN-ACKs sent. */
  synAcks: u8;
  /** A segment without SYN has come since the handshake. */
  heard: u8;
  /** The last ACK had an option, and reported what came twice. */
  dsackSent: u8;
  /** Bytes that segments are shorter by, for the option. */
  reserved: u8;
}

let hotBase: u32 = 0;
let records: u32 = 0;

/** Binds this instance to the table. */
export function bindAccecn(): void {
  hotBase = config(CFG_TCB_HOT);
  records = config(CFG_TCB_ACCECN);
}

/** Whether there is a table, without which nothing here is agreed on. */
export function hasAccecn(): bool {
  return records != 0;
}

/** The record of a connection with C_ACCURATE. */
export function accecnOf(tcb: Tcb): Accecn {
  const index = (changetype<u32>(tcb) - hotBase) / TCB_HOT_SIZE;
  return changetype<Accecn>(records + index * TCB_ACCECN_SIZE);
}

/** Counters of bytes by codepoint, which is not 0. */
export function receivedBytes(record: Accecn, ecn: u32): u32 {
  return changetype<u32>(record) + offsetof<Accecn>("receivedE1Bytes") + (ecn - 1) * 4;
}

export function deliveredBytes(record: Accecn, ecn: u32): u32 {
  return changetype<u32>(record) + offsetof<Accecn>("deliveredE1Bytes") + (ecn - 1) * 4;
}

/** Bytes that segments are shorter by, for the option; of any connection. */
export function reservedBytes(tcb: Tcb): u32 {
  return tcb.controlFlags & C_ACCURATE ? u32(accecnOf(tcb).reserved) : 0;
}

/** Leaves room for the option in every segment where every segment is to have it, and only there. */
export function reserveRoom(tcb: Tcb, record: Accecn): void {
  const always: bool = config(CFG_ECN_OPTION) >= ECN_OPTION_FULL && record.optionSeen != 0;
  const needed: u32 = always && !(record.failures & ACCECN_FAIL_OPTION_SEND) ? ACCECN_BYTES : 0;
  const reserved: u32 = record.reserved;
  if (needed == reserved) return;
  record.reserved = <u8>needed;
  tcb.mss = <u16>(u32(tcb.mss) + reserved - needed);
  const cold = coldOf(tcb);
  if (tcb.controlFlags & C_LOWERED) cold.mssFull = <u16>(u32(cold.mssFull) + reserved - needed);
}
