/**
 * The one timer of addresses and routers: armed for whatever is due first, and looking again when it
 * fires. Lifetimes are longer than the wheel spans and than 32 bits of µs, so instants here are 64 bits
 * wide.
 */
import { nowWide } from "../time/clock";
import { addTimer, cancelTimer, isPending, TIMER_INTERFACE } from "../time/wheel";
import { runAddresses } from "./interface";
import { NET_INTERFACE_TIMER, netTimer } from "./net-state";
import { runRouters } from "./routers";

/** Longest wait, µs: within what the wheel spans. */
const LONGEST: u64 = 200_000_000;

/** Sees to it that the timer fires at `instant` (µs) or before. */
export function armInterface(instant: u64): void {
  if (instant == u64.MAX_VALUE) return;
  const timer = netTimer(NET_INTERFACE_TIMER, TIMER_INTERFACE);
  const wait = instant > nowWide ? min<u64>(instant - nowWide, LONGEST) : 0;
  const at = u32(nowWide + wait);
  if (isPending(timer)) {
    if (i32(at - (timer.tick << 4)) >= 0) return;
    cancelTimer(timer);
  }
  addTimer(timer, at);
}

/** The wheel's upcall. */
export function interfaceTimer(): void {
  armInterface(min<u64>(runAddresses(), runRouters()));
}
