/**
 * Where a congestion control keeps what it knows of a connection: the last CONTROL_STATE_SIZE bytes of
 * the TCB's cold part, a cache line of its own. Every control overlays them with its own record, whose
 * first words are these; they are zero until `onInit`.
 */
import { TCB_COLD_SIZE } from "../abi";
import { CONTROL_STATE_SIZE, TcbCold } from "./tcb";

@unmanaged
export class ControlState {
  /** Before the last reduction, for when it proves wrong. */
  priorCwnd: u32;
  priorSsthresh: u32;
}

/** Address of the record. */
export function controlState(cold: TcbCold): u32 {
  return changetype<u32>(cold) + (TCB_COLD_SIZE - CONTROL_STATE_SIZE);
}

export function stateOf(cold: TcbCold): ControlState {
  return changetype<ControlState>(controlState(cold));
}
