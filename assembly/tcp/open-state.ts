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
  /** Keep-alive probes since the peer was heard. */
  probes: u8;
  /** User timeout, s; 0: none. */
  userTimeout: u16;
  /** With F_NAGLE: the end of the last segment sent that was not full. Not before the first data. */
  partialEnd: u32;
  /** With C_KEEP_ALIVE: when the peer was last heard, ms; how long it may be silent and how far probes are apart, s. */
  heardAt: u32;
  idle: u16;
  interval: u8;
  probesMax: u8;
}

/**
 * The same words while a connection that its SYN opened is in its handshake (fast-open.ts): what comes after
 * `partialEnd` is free then, since keep-alive begins later.
 */
@final
@unmanaged
export class HalfOpenState {
  /** As in OpenState. */
  quickAcks: u8;
  probes: u8;
  userTimeout: u16;
  partialEnd: u32;
  /** Handle of the listener that counts this connection as half open; 0: none does. */
  listener: u32;
  /** When the SYN-ACK was sent first, µs. */
  synSentAt: u32;
}

export function halfOpenState(tcb: Tcb): HalfOpenState {
  return changetype<HalfOpenState>(changetype<u32>(openState(tcb)));
}

/** The state of a connection between its handshake and TIME-WAIT. */
export function openState(tcb: Tcb): OpenState {
  return changetype<OpenState>(changetype<u32>(coldOf(tcb)) + offsetof<TcbCold>("synSentAt"));
}

/** The handshake is over: nothing is known yet but what it needs no more. */
export function beginOpenState(tcb: Tcb): void {
  coldOf(tcb).synSentAt = 0;
}
