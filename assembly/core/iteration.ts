/**
 * One iteration of the dataplane, cut between the application and its system calls:
 *
 *   system calls → transmit → receive → protocols → timers → events … the application
 *
 * It is the ring of the paper's figure 1b (OSDI '14) but for the timers, which run as soon as the
 * waiting packets have been processed and at the same instant: an ACK that lies in the RX ring after
 * the thread was held up must stop a retransmission, not follow it.
 *
 * Each part is bounded: the calls by their array, the packets by B, the timers by what is due.
 */
import { CNT_ITERATIONS, CORE_DEADLINE, CORE_HAS_DEADLINE, CORE_WORK } from "../abi";
import { isOurs } from "../flow/groups";
import { migrate, migrationWaits } from "../flow/migration";
import { warmConnections } from "../flow/warm";
import { balanceStock } from "../flow/stock";
import { readLearned } from "../net/learned";
import { fragmentTimer } from "../net/fragments";
import { runGroups } from "../net/groups";
import { interfaceTimer } from "../net/interface-timer";
import { neighbourTimer } from "../net/neighbours";
import { udpCompletions } from "../net/udp-output";
import { txDoorbell, txReclaim } from "../nic/rings";
import { hasNewAgenda } from "../tcp/agenda";
import { clearGraveyard } from "../tcp/end";
import { flushAgenda } from "../tcp/flush";
import { tcpInput } from "../tcp/input";
import { postpone } from "../tcp/deadlines";
import { runNotices } from "../tcp/notices";
import { asTcb } from "../tcp/tcb";
import { tcpTimer } from "../tcp/timers";
import { isBefore, now, setNow } from "../time/clock";
import {
  hasDeadline,
  nextDeadline,
  takeExpired,
  TIMER_FRAGMENTS,
  TIMER_GROUPS,
  TIMER_INTERFACE,
  TIMER_NEIGHBOUR,
  TIMER_TCP,
} from "../time/wheel";
import { eventRoom, finishEvents, reserveEvents, resetEvents } from "../user/events";
import { runSyscalls } from "../user/syscalls";
import { userTimer } from "../user/timers";
import { coreBlock } from "./config";
import { count } from "./counters";
import { beginMetrics, endMetrics } from "./metrics";
import { parsedPacket, parsedPackets, receive } from "./receive";
import { markInProgress } from "./state";

/** How soon a migration that waits for the NIC or a mailbox looks again, µs. */
const MIGRATION_RETRY: u32 = 50;

let work: u32 = 0;

/** Runs one iteration at time `micros`; returns the number of events. */
export function iterate(micros: f64): u32 {
  setNow(micros);
  beginMetrics(micros);
  calls();
  transmit();
  take();
  protocols();
  return timers();
}

/** Takes back sent frames and runs what the application asked for. */
export function calls(): void {
  count(CNT_ITERATIONS);
  resetEvents();
  txReclaim();
  work = runSyscalls();
  // The application has returned, so it reads nothing of dead connections any more.
  clearGraveyard();
  balanceStock();
}

/** Settles what the last batch still owes the network and rings the one doorbell. */
export function transmit(): void {
  flushAgenda();
  work += txDoorbell();
  work += migrate();
}

/** Takes packets through the gate; what waited for room in the event array goes first. */
export function take(): void {
  readLearned();
  udpCompletions();
  runNotices();
  work += receive();
}

/** Runs the batch's segments through TCP. */
export function protocols(): void {
  const packets = parsedPackets();
  reserveEvents(packets);
  warmConnections(packets);
  for (let i: u32 = 0; i < packets; i++) tcpInput(parsedPacket(i));
  markInProgress(0);
  reserveEvents(0);
}

/** Fires what is due, as long as its events fit, and closes the event array. Returns its length. */
export function timers(): u32 {
  while (eventRoom() >= 4) {
    const timer = takeExpired();
    if (timer == null) break;
    work++;
    const kind: u32 = timer.kind;
    if (kind == TIMER_TCP) connectionTimer(changetype<u32>(timer));
    else if (kind == TIMER_NEIGHBOUR) neighbourTimer(timer);
    else if (kind == TIMER_FRAGMENTS) fragmentTimer();
    else if (kind == TIMER_INTERFACE) interfaceTimer();
    else if (kind == TIMER_GROUPS) runGroups();
    else userTimer(timer);
  }
  runNotices();
  const events = finishEvents();
  const done = work + events + u32(hasNewAgenda());
  store<u32>(coreBlock + CORE_WORK, done);
  endMetrics(done);
  announceDeadline();
  return events;
}

/** Says when the next poll must come at the latest. */
function announceDeadline(): void {
  const waits = migrationWaits();
  const pending = hasDeadline();
  store<u32>(coreBlock + CORE_HAS_DEADLINE, u32(pending || waits));
  if (!pending && !waits) return;
  let at = pending ? nextDeadline() : now + MIGRATION_RETRY;
  if (waits && isBefore(now + MIGRATION_RETRY, at)) at = now + MIGRATION_RETRY;
  store<u32>(coreBlock + CORE_DEADLINE, at);
}

function connectionTimer(connection: u32): void {
  const tcb = asTcb(connection);
  markInProgress(connection);
  // Packets that wait while the group moves may say that there is nothing to do.
  if (isOurs(tcb.hash)) tcpTimer(tcb);
  else postpone(tcb);
  markInProgress(0);
}
