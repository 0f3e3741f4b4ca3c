/**
 * How long an unanswered connection is kept: a number of retransmissions, or the time that its
 * application has set (RFC 9293 section 3.9.1, the user timeout; RFC 5482 gives it its meaning here, a
 * local limit).
 */
import { CFG_DATA_RETRIES } from "../abi";
import { config, rtoMax } from "../core/config";
import { openState } from "./open-state";
import { backedOffRto } from "./rtt";
import { Tcb, TcbCold } from "./tcb";

const MICROS_PER_SECOND: u64 = 1_000_000;

/**
 * True when a timeout that has just passed is the last.
 *
 * @param timeouts that nothing has answered, this one included
 */
export function isGivenUp(tcb: Tcb, cold: TcbCold, timeouts: u32): bool {
  const limit = userTimeout(tcb);
  if (limit == 0) return cold.retries >= config(CFG_DATA_RETRIES);
  return sumOf(tcb, cold, 0, timeouts) >= limit || cold.retries == u8.MAX_VALUE;
}

/**
 * The next timeout, µs: not beyond what the application waits.
 *
 * @param timeouts that nothing has answered before it
 */
export function nextTimeout(tcb: Tcb, cold: TcbCold, timeouts: u32): u32 {
  const rto = backedOffRto(tcb, cold);
  const limit = userTimeout(tcb);
  if (limit == 0) return rto;
  const waited = sumOf(tcb, cold, 1, timeouts);
  return waited < limit ? u32(min<u64>(u64(rto), limit - waited)) : 1;
}

/** µs; 0: none. */
function userTimeout(tcb: Tcb): u64 {
  return u64(openState(tcb).userTimeout) * MICROS_PER_SECOND;
}

/** What `count` timeouts add up to, µs: the first of them is `skip` doublings before the present one. */
function sumOf(tcb: Tcb, cold: TcbCold, skip: u32, count: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = skip; i < skip + count; i++) {
    const shift = u32(tcb.backoff) > i ? min<u32>(u32(tcb.backoff) - i, 20) : 0;
    sum += min<u64>(u64(cold.rto) << shift, u64(rtoMax));
  }
  return sum;
}
