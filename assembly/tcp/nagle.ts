/**
 * When small segments wait: the sender's silly-window avoidance (RFC 9293 section 3.8.6.2.1), Nagle's rule
 * (section 3.7.4), and what the application holds back.
 */
import { openState } from "./open-state";
import { coldOf, C_CORKED, F_FIN_QUEUED, F_MORE, F_NAGLE, Tcb } from "./tcb";

/** Whether `room` bytes of a buffer that is longer are worth a segment: a full one, or half the best window. */
export function mayCut(tcb: Tcb, room: u32): bool {
  if (room == 0) return false;
  if (room >= tcb.mss) return true;
  if (tcb.sndWnd > tcb.cwnd) return false;
  return room >= coldOf(tcb).sndWndMax >> 1;
}

/**
 * Whether the partial last segment is held back: by FLAG_MORE until an ACK comes or the timer runs out, by
 * OPTION_CORK until that is taken off or the timer runs out, by Nagle's rule (RFC 896) while an earlier
 * partial one is in flight. That one alone, not any segment, makes a crowd of small ones; so the last of a
 * long write need not wait (draft-minshall-nagle-00).
 */
export function waitsForMore(tcb: Tcb, flight: u32): bool {
  const flags = tcb.flags;
  if (flags & F_FIN_QUEUED) return false;
  if (flags & F_MORE || tcb.controlFlags & C_CORKED) return true;
  return (flags & F_NAGLE) != 0 && openState(tcb).partialEnd - tcb.sndUna - 1 < flight;
}
