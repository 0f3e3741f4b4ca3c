/**
 * ACKs without delay: at the start a sender in slow start needs every one, and behind a gap each shows how
 * far it has filled. A connection whose application answers what it receives stops that, because its data
 * carries the ACKs (as Linux does, where the two are called quick ACK and ping-pong mode).
 */
import { CFG_QUICK_ACKS } from "../abi";
import { config, delayedAck } from "../core/config";
import { isBefore, now } from "../time/clock";
import { openState } from "./open-state";
import { C_QUICK, coldOf, Tcb } from "./tcb";

/** The next ACKs go out at once. */
export function beginQuickAcks(tcb: Tcb): void {
  const acks = min<u32>(config(CFG_QUICK_ACKS), u8.MAX_VALUE);
  if (acks == 0) return;
  tcb.controlFlags |= <u16>C_QUICK;
  openState(tcb).quickAcks = <u8>acks;
  coldOf(tcb).ackDeadline = now;
}

/** An ACK is due, and it is a quick one: counts it. */
export function noteQuickAck(tcb: Tcb): void {
  const state = openState(tcb);
  if (--state.quickAcks == 0) tcb.controlFlags &= ~(<u16>C_QUICK);
  coldOf(tcb).ackDeadline = now + delayedAck;
}

/**
 * Data goes out. It answers what was received if the ACK of that would still have waited for it.
 *
 * @param carries it takes an ACK along
 */
export function noteAnswer(tcb: Tcb, carries: bool): void {
  if (carries || isBefore(now, coldOf(tcb).ackDeadline)) tcb.controlFlags &= ~(<u16>C_QUICK);
}
