/**
 * The receiver's side of SACK: which runs of early data the next ACK reports (RFC 2018 section 4), and
 * in front of them a range that came twice (RFC 2883).
 */
import { CNT_TCP_DSACKS_OUT } from "../abi";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import {
  emitSackBlock,
  emitSackHead,
  SACK_BLOCK_BYTES,
  SACK_HEAD_BYTES,
} from "../wire/tcp-options";
import { sendAck } from "./output";
import { runEnd } from "./reassembly";
import { RECENT, recentOf } from "./recent";
import { coldOf, F_OUT_OF_ORDER, R_SACK, Tcb, TcbCold } from "./tcb";

// What the ACK in the making reports as received twice: [duplicateFrom, duplicateTo).
export let duplicateFrom: u32 = 0;
export let duplicateTo: u32 = 0;

/** Acknowledges at once, reporting [from, to) as received twice. */
export function sendDuplicateReport(tcb: Tcb, from: u32, to: u32): void {
  if (from != to && coldOf(tcb).repair & R_SACK) {
    duplicateFrom = from;
    duplicateTo = to;
    count(CNT_TCP_DSACKS_OUT);
  }
  sendAck(tcb);
  duplicateFrom = 0;
  duplicateTo = 0;
}

/** Bytes of the SACK option that a segment with `room` bytes left is to carry; 0: none. */
export function sackBytes(tcb: Tcb, room: u32): u32 {
  const cold = coldOf(tcb);
  if (!(cold.repair & R_SACK)) return 0;
  let blocks: u32 = duplicateFrom != duplicateTo ? 1 : 0;
  if (tcb.flags & F_OUT_OF_ORDER) blocks += recentRuns(cold);
  if (blocks == 0 || room < SACK_HEAD_BYTES + SACK_BLOCK_BYTES) return 0;
  blocks = min<u32>(blocks, (room - SACK_HEAD_BYTES) / SACK_BLOCK_BYTES);
  return SACK_HEAD_BYTES + blocks * SACK_BLOCK_BYTES;
}

/** Writes the option in the size that `sackBytes` gave. */
export function emitSack(tcb: Tcb, at: u32, bytes: u32): void {
  const blocks = (bytes - SACK_HEAD_BYTES) / SACK_BLOCK_BYTES;
  emitSackHead(at, blocks);
  let block = at + SACK_HEAD_BYTES;
  const end = at + bytes;
  if (duplicateFrom != duplicateTo) {
    emitSackBlock(block, duplicateFrom, duplicateTo);
    block += SACK_BLOCK_BYTES;
  }
  let recent = recentOf(coldOf(tcb));
  while (block != end) {
    const run = changetype<Buffer>(load<u32>(recent));
    emitSackBlock(block, run.seq, runEnd(run));
    block += SACK_BLOCK_BYTES;
    recent += 4;
  }
}

/** A run is no longer, or begins with another buffer. */
export function forgetRun(cold: TcbCold, run: u32): void {
  const recent = recentOf(cold);
  let to = recent;
  for (let i: u32 = 0; i < RECENT; i++) {
    const was = load<u32>(recent + 4 * i);
    if (was == run) continue;
    store<u32>(to, was);
    to += 4;
  }
  while (to != recent + 4 * RECENT) {
    store<u32>(to, 0);
    to += 4;
  }
}

/** The run that grew last, or 0. */
export function latestRun(cold: TcbCold): u32 {
  return cold.sackRecent0;
}

function recentRuns(cold: TcbCold): u32 {
  const recent = recentOf(cold);
  let runs: u32 = 0;
  while (runs < RECENT && load<u32>(recent + 4 * runs) != 0) runs++;
  return runs;
}
