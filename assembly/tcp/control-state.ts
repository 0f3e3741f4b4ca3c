/**
 * Where a congestion control keeps what it knows of a connection: the last CONTROL_STATE_SIZE bytes of
 * the TCB's cold part, in one cache line. Every control overlays them with its own record, whose
 * first words are these; all are zero before `onInit`.
 */
import { TCB_COLD_SIZE } from "../abi";
import { CONTROL_STATE_SIZE, TcbCold } from "./tcb";

/** What any control has. */
@unmanaged
export class ControlState {
  /** The window before the last reduction. */
  priorCwnd: u32;
  /** With C_PACED (pacing.ts): bytes a second, and the bytes at `paceAt` (µs) that were sent too early. */
  pacingRate: u32;
  paceAt: u32;
  paceDebt: u32;
}

/** A control that measures the delivery rate (delivery-rate.ts, with C_SAMPLED). */
@unmanaged
export class RateState extends ControlState {
  /** Bytes delivered since the start, modulo 2^32, and when that was last more, µs. */
  delivered: u32;
  deliveredAt: u32;
  /** When the segment was sent that the last sample was taken from, µs: the start of the next flight. */
  firstSentAt: u32;
  /** Samples tell what the application had to send until `delivered` passes this; 0: they tell all. */
  appLimited: u32;
}

/** A control that answers losses by a slow-start threshold. */
@unmanaged
export class WindowState extends ControlState {
  /** The threshold before the last reduction. */
  priorSsthresh: u32;
  /** ECN: echoes up to this sequence number are of the flight that was reduced for. */
  ecnEnd: u32;
  /**
   * In recovery with SACK: bytes that arrived in it, and in flight when it began (RFC 6937). Otherwise the
   * control's, if it needs nothing there that was set before `onLoss`.
   */
  prrDelivered: u32;
  recoverFlight: u32;
}

/** Address of the record. */
export function controlState(cold: TcbCold): u32 {
  return changetype<u32>(cold) + (TCB_COLD_SIZE - CONTROL_STATE_SIZE);
}

export function baseState(cold: TcbCold): ControlState {
  return changetype<ControlState>(controlState(cold));
}

export function rateState(cold: TcbCold): RateState {
  return changetype<RateState>(controlState(cold));
}

export function windowState(cold: TcbCold): WindowState {
  return changetype<WindowState>(controlState(cold));
}
