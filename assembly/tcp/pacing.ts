/**
 * Pacing: no more than `pacingRate` leaves over time, in bursts of a quantum. A segment that goes out
 * adds its bytes to a debt that the rate pays off; nothing more goes out while the debt has reached the
 * quantum, and the timer wakes the connection when it is paid. ACKs may continue it earlier.
 *
 * The timer is the connection's one on the wheel (deadlines.ts). A quantum of 1 ms, 64 KiB at most
 * (draft-cardwell-iccrg-bbr-congestion-control-00, section 4.2.2), keeps it rare: at 10 Gbit/s it runs
 * every 52 µs.
 */
import { now } from "../time/clock";
import { baseState, ControlState } from "./control-state";
import { C_PACED, coldOf, Tcb } from "./tcb";

/** Bytes a second: so that waiting has an end. */
const RATE_MIN: u32 = 1000;
const QUANTUM_MAX: u32 = 65536;
// 1.2 and 24 Mbit/s.
const SLOW_RATE: u32 = 150_000;
const MEDIUM_RATE: u32 = 3_000_000;

export const MICROS: u64 = 1_000_000;

/** Sets the rate, bytes a second. */
export function setPacingRate(tcb: Tcb, state: ControlState, rate: u32): void {
  tcb.controlFlags |= <u16>C_PACED;
  state.pacingRate = max<u32>(rate, RATE_MIN);
  // What a larger quantum let go is not to be waited for at a lower rate; no rate owes more than this.
  state.paceDebt = min<u32>(state.paceDebt, sendQuantum(tcb, state.pacingRate) + tcb.mss);
}

/** `bytes` in `micros` as a rate, bytes a second, at most what 32 bits hold. */
export function rateOf(bytes: u32, micros: u32): u32 {
  const rate = (u64(bytes) * MICROS) / u64(max<u32>(micros, 1));
  return u32(min<u64>(rate, u64(u32.MAX_VALUE)));
}

/** Bytes that go out in one burst at a rate. */
export function sendQuantum(tcb: Tcb, rate: u32): u32 {
  const mss: u32 = tcb.mss;
  if (rate < SLOW_RATE) return mss;
  if (rate < MEDIUM_RATE) return mss << 1;
  return max<u32>(min<u32>(rate / 1000, QUANTUM_MAX), mss << 1);
}

/** Whether a paced connection may send a segment now. */
export function paceAllows(tcb: Tcb): bool {
  const state = baseState(coldOf(tcb));
  payOff(state);
  return state.paceDebt < sendQuantum(tcb, state.pacingRate);
}

/** A paced connection sent `bytes`. */
export function paceCharge(tcb: Tcb, bytes: u32): void {
  const state = baseState(coldOf(tcb));
  if (state.paceDebt == 0) state.paceAt = now;
  state.paceDebt += bytes;
}

/** When the debt is paid, µs. */
export function releaseTime(tcb: Tcb): u32 {
  const state = baseState(coldOf(tcb));
  const rate = u64(state.pacingRate);
  return state.paceAt + u32((u64(state.paceDebt) * MICROS + rate - 1) / rate);
}

/** Takes off what the time since `paceAt` has paid for; a part of a byte stays with the time. */
function payOff(state: ControlState): void {
  const elapsed = now - state.paceAt;
  if (state.paceDebt == 0 || elapsed == 0) return;
  const rate = u64(state.pacingRate);
  const paid = (u64(elapsed) * rate) / MICROS;
  if (paid >= u64(state.paceDebt)) {
    state.paceDebt = 0;
  } else {
    state.paceDebt -= u32(paid);
    state.paceAt += u32((paid * MICROS + rate - 1) / rate);
  }
}
