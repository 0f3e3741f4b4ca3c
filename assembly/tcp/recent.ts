/**
 * Four buffers that a connection remembers, the one used last first: of early data the runs that grew last
 * (sack-blocks.ts); while there is none, landmarks in the send queue (landmarks.ts).
 */
import { TcbCold } from "./tcb";

/** As many as a segment has room for SACK blocks. */
export const RECENT: u32 = 4;

/** Where their words lie, one after the other. */
export function recentOf(cold: TcbCold): u32 {
  return changetype<u32>(cold) + offsetof<TcbCold>("sackRecent0");
}

/** Puts a buffer in front. The last one gives way if it was not among them. */
export function putFirst(cold: TcbCold, buffer: u32): void {
  const recent = recentOf(cold);
  let moved = buffer;
  for (let i: u32 = 0; i < RECENT; i++) {
    const at = recent + 4 * i;
    const was = load<u32>(at);
    store<u32>(at, moved);
    if (was == buffer) return;
    moved = was;
  }
}

export function forgetRecent(cold: TcbCold): void {
  memory.fill(recentOf(cold), 0, 4 * RECENT);
}
