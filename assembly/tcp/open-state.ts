/**
 * What a connection keeps while it is open, in the words of its control block where the handshake and
 * TIME-WAIT have what only they need (`synSentAt` to `timeWaitPrev`).
 */
import { Tcb, TcbCold, coldOf } from "./tcb";

@final
@unmanaged
export class OpenState {
  /** With C_QUICK: ACKs still to be sent at once. */
  quickAcks: u8;
  unused: u8;
  unused2: u16;
  /** With F_NAGLE: the end of the last segment sent that was not full. Not before the first data. */
  partialEnd: u32;
}

/** The state of a connection between its handshake and TIME-WAIT. */
export function openState(tcb: Tcb): OpenState {
  return changetype<OpenState>(changetype<u32>(coldOf(tcb)) + offsetof<TcbCold>("synSentAt"));
}

/** The handshake is over: nothing is known yet but what it needs no more. */
export function beginOpenState(tcb: Tcb): void {
  coldOf(tcb).synSentAt = 0;
}
