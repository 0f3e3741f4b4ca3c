/**
 * Where a congestion control keeps what it knows of a connection: the last CONTROL_STATE_SIZE bytes of
 * the TCB's cold part, a cache line of its own. Every control overlays them with its own record, whose
 * first words are these; all are zero before `onInit`.
 */
import { TCB_COLD_SIZE } from "../abi";
import { CONTROL_STATE_SIZE, TcbCold } from "./tcb";

/** What any control has. */
@unmanaged
export class ControlState {
  /** The window before the last reduction. */
  priorCwnd: u32;
}

/** A control that answers losses by a slow-start threshold. */
@unmanaged
export class WindowState extends ControlState {
  /** The threshold before the last reduction. */
  priorSsthresh: u32;
}

/** Address of the record. */
export function controlState(cold: TcbCold): u32 {
  return changetype<u32>(cold) + (TCB_COLD_SIZE - CONTROL_STATE_SIZE);
}

export function windowState(cold: TcbCold): WindowState {
  return changetype<WindowState>(controlState(cold));
}
