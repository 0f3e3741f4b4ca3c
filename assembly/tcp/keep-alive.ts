/**
 * Keep-alives (RFC 9293 section 3.8.4, RFC 1122 section 4.2.3.6): off unless asked for. A probe is a
 * segment before sndNxt, which makes the peer answer with an ACK; one that was restarted answers with RST.
 */
import { CNT_TCP_KEEP_ALIVES, RC_TIMEOUT } from "../abi";
import { count } from "../core/counters";
import { nowMillis } from "../time/clock";
import { ACK } from "../wire/tcp";
import { sendBare } from "./emit";
import { reset } from "./end";
import { openState } from "./open-state";
import { CLOSE_WAIT, ESTABLISHED, FIN_WAIT_2 } from "./states";
import { C_KEEP_ALIVE, coldOf, Tcb } from "./tcb";

/** The timer looks again after this at the latest, ms: the wheel reaches no further than it must. */
const LOOK_MAX: u32 = 60_000;
/** And at the soonest, while data in flight tells more than a probe would. */
const LOOK_MIN: u32 = 1000;

/** Begins to watch a connection; times in s. The caller arms the timer. */
export function beginKeepAlive(tcb: Tcb, idle: u32, interval: u32, probes: u32): void {
  const state = openState(tcb);
  state.idle = <u16>idle;
  state.interval = <u8>interval;
  state.probesMax = <u8>probes;
  tcb.controlFlags |= <u16>C_KEEP_ALIVE;
  noteHeard(tcb);
}

/** Something was received. Only with C_KEEP_ALIVE. */
export function noteHeard(tcb: Tcb): void {
  const state = openState(tcb);
  state.heardAt = nowMillis;
  state.probes = 0;
}

/** How soon the timer is to look at the connection, µs. */
export function keepAliveDelay(tcb: Tcb): u32 {
  const left = remaining(tcb);
  return 1000 * <u32>min<i32>(max<i32>(left, LOOK_MIN), LOOK_MAX);
}

/** Probes a silent peer, or gives it up. False when the connection is gone. */
export function keepAlive(tcb: Tcb): bool {
  if (remaining(tcb) > 0 || !isIdle(tcb)) return true;
  const state = openState(tcb);
  if (state.probes >= state.probesMax) {
    reset(tcb, RC_TIMEOUT);
    return false;
  }
  // One that finds no room counts too: the next is not far.
  state.probes++;
  count(CNT_TCP_KEEP_ALIVES);
  sendBare(tcb, tcb.sndNxt - 1, ACK);
  return true;
}

/** Nothing is in flight or waits to be sent, whose own timer would find out. */
function isIdle(tcb: Tcb): bool {
  if (!(tcb.state & (ESTABLISHED | CLOSE_WAIT | FIN_WAIT_2))) return false;
  return tcb.sndUna == coldOf(tcb).sndMax && tcb.txNext == 0;
}

/** Until the next probe, ms. */
function remaining(tcb: Tcb): i32 {
  const state = openState(tcb);
  const seconds = u32(state.idle) + u32(state.probes) * state.interval;
  return i32(state.heardAt + seconds * 1000 - nowMillis);
}
