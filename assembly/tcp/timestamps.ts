/**
 * Timestamps (RFC 7323): a clock of milliseconds for ours, the value to echo, and protection against
 * segments from an earlier turn of the sequence numbers (PAWS, section 5).
 */
import { nowMillis } from "../time/clock";
import { isTimestampsOnly, timestampValue } from "../wire/tcp-options";
import { Packet } from "../core/packet";
import { coldOf, Tcb, TcbCold } from "./tcb";

const MILLIS_PER_HOUR: u32 = 3_600_000;
/** After 24 days in silence a timestamp may have wrapped around and says nothing (section 5.5). */
const VALID_HOURS: u32 = 24 * 24;

/** The value of a segment that is sent now. */
export function timestampNow(cold: TcbCold): u32 {
  return nowMillis + cold.tsOffset;
}

/** Remembers the value to echo. */
export function noteTimestamp(cold: TcbCold, value: u32): void {
  cold.tsRecent = value;
  cold.tsRecentHour = <u16>(nowMillis / MILLIS_PER_HOUR);
}

/** True for the timestamp of a segment that is older than what was received before (section 5.3, R1). */
export function isStale(cold: TcbCold, value: u32): bool {
  if (i32(value - cold.tsRecent) >= 0) return false;
  const hours = (nowMillis / MILLIS_PER_HOUR - cold.tsRecentHour) & 0xffff;
  return hours <= VALID_HOURS;
}

/** True when a segment's options are a timestamp that is not stale and nothing else. */
export function hasFreshTimestamp(tcb: Tcb, packet: Packet): bool {
  return isTimestampsOnly(packet.l4) && i32(timestampValue(packet.l4) - coldOf(tcb).tsRecent) >= 0;
}

/**
 * Takes over the timestamp of an acceptable segment if it is the one to be echoed: that of the segment
 * which the next ACK is about, not of one behind a gap (section 4.3).
 */
export function echoLater(tcb: Tcb, seq: u32, value: u32): void {
  const cold = coldOf(tcb);
  if (i32(seq - tcb.rcvAcked) <= 0 && value != cold.tsRecent) noteTimestamp(cold, value);
}

/** The round trip that an echo of ours measured, µs; 0 when it is none (section 4.1). */
export function echoedRtt(cold: TcbCold, echo: u32): u32 {
  const millis = timestampNow(cold) - echo;
  // An echo of 0, or of a time to come, was not ours.
  if (echo == 0 || millis > 1_000_000) return 0;
  return max<u32>(millis * 1000, 1);
}
