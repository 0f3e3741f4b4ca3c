/**
 * A connection's deadlines on its one wheel timer. The timer is armed for the earliest deadline and
 * left alone while deadlines move later or vanish, which they do on nearly every segment: firing
 * early and looking again costs once per timeout instead of twice per message.
 */
import { cancelTimer, addTimer, isPending, Timer } from "../time/wheel";
import { isBefore, now } from "../time/clock";
import { keepAliveDelay } from "./keep-alive";
import { releaseTime } from "./pacing";
import { C_KEEP_ALIVE, C_PACE_WAIT, coldOf, F_ACK_DEADLINE, F_DEADLINE, Tcb } from "./tcb";

/** How long a timer waits for its connection to be up to date again, µs. */
const POSTPONEMENT: u32 = 100;

/** Sets when retransmission, persist or TIME-WAIT is due (µs). */
export function setDeadline(tcb: Tcb, at: u32): void {
  tcb.deadline = at;
  tcb.flags |= F_DEADLINE;
  armBy(tcb, at);
}

export function clearDeadline(tcb: Tcb): void {
  tcb.flags &= ~F_DEADLINE;
}

/** Sets when a held-back ACK is due (µs). */
export function setAckDeadline(tcb: Tcb, at: u32): void {
  coldOf(tcb).ackDeadline = at;
  tcb.flags |= F_ACK_DEADLINE;
  armBy(tcb, at);
}

/** Has the timer continue a paced connection when it may send again. */
export function waitForPace(tcb: Tcb): void {
  tcb.controlFlags |= <u16>C_PACE_WAIT;
  armBy(tcb, releaseTime(tcb));
}

/** Arms the timer for whatever deadlines remain. */
export function rearm(tcb: Tcb): void {
  const flags = tcb.flags;
  if (flags & F_DEADLINE) armBy(tcb, tcb.deadline);
  if (flags & F_ACK_DEADLINE) armBy(tcb, coldOf(tcb).ackDeadline);
  if (tcb.controlFlags & C_PACE_WAIT) armBy(tcb, releaseTime(tcb));
  if (tcb.controlFlags & C_KEEP_ALIVE) armBy(tcb, now + keepAliveDelay(tcb));
}

/** Takes the timer off the wheel; the deadlines remain. */
export function stopTimer(tcb: Tcb): void {
  cancelTimer(timerOf(tcb));
}

/** Looks at the deadlines again shortly, however late they are. */
export function postpone(tcb: Tcb): void {
  addTimer(timerOf(tcb), now + POSTPONEMENT);
}

export function cancelDeadlines(tcb: Tcb): void {
  tcb.flags &= ~(F_DEADLINE | F_ACK_DEADLINE);
  tcb.controlFlags &= ~(<u16>(C_PACE_WAIT | C_KEEP_ALIVE));
  cancelTimer(timerOf(tcb));
}

function armBy(tcb: Tcb, at: u32): void {
  const timer = timerOf(tcb);
  if (isPending(timer)) {
    if (!isBefore(at, timer.tick << 4)) return;
    cancelTimer(timer);
  }
  addTimer(timer, at);
}

function timerOf(tcb: Tcb): Timer {
  return changetype<Timer>(changetype<u32>(tcb));
}
