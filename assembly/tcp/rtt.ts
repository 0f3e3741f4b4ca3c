/**
 * Round-trip time and retransmission timeout (RFC 6298), in microseconds. The clock granularity G of
 * the RFC is the wheel's tick of 16 µs.
 */
import { rtoMax, rtoMin } from "../core/config";
import { Tcb, TcbCold } from "./tcb";

const GRANULARITY: u32 = 16;

/** The round trip that the ACK in hand measured, µs; 0 when it measured none. */
export let roundTrip: u32 = 0;

/** To be called before an ACK is worked on. */
export function clearSample(): void {
  roundTrip = 0;
}

/**
 * Takes one sample of the round-trip time, µs, and sets the timeout (sections 2.2 and 2.3). The least
 * timeout counts from the round trip on (as in Linux): whatever that is, there is room for a delayed ACK.
 */
export function sampleRtt(cold: TcbCold, sample: u32): void {
  const rtt = max<u32>(min<u32>(sample, 100_000_000), 1);
  roundTrip = rtt;
  if (rtt < cold.minRtt || cold.minRtt == 0) cold.minRtt = rtt;
  if (cold.srtt8 == 0) {
    cold.srtt8 = rtt << 3;
    cold.rttvar4 = rtt << 1;
  } else {
    // alpha = 1/8 and beta = 1/4, in the fixed point of Jacobson and Karels.
    const error = i32(rtt) - i32(cold.srtt8 >> 3);
    cold.srtt8 = u32(max<i32>(i32(cold.srtt8) + error, 8));
    const deviation = error < 0 ? -error : error;
    cold.rttvar4 = u32(i32(cold.rttvar4) + deviation - i32(cold.rttvar4 >> 2));
  }
  const rto = (cold.srtt8 >> 3) + max<u32>(max<u32>(GRANULARITY, rtoMin), cold.rttvar4);
  cold.rto = min<u32>(rto, rtoMax);
}

/** The timeout after `backoff` doublings, within the maximum (section 5.5). */
export function backedOffRto(tcb: Tcb, cold: TcbCold): u32 {
  const shift: u32 = min<u32>(tcb.backoff, 20);
  const doubled = u64(cold.rto) << shift;
  return doubled > u64(rtoMax) ? rtoMax : u32(doubled);
}
