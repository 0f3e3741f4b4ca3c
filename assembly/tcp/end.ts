/**
 * How connections end: orderly through the closing states, or at once. The application is told by one
 * `dead` (or a failed `connected`), always from the notices, so that ends may come out of system
 * calls and timers too. The record is freed when the network, the application and the lists are done.
 */
import {
  CNT_TCP_DEAD_TIMEOUT,
  CNT_TCP_RESETS_OUT,
  CNT_TCP_TIME_WAIT_RECYCLED,
  GAUGE_TIME_WAIT,
  RC_OK,
  RC_RESET,
  RC_TIMEOUT,
} from "../abi";
import { coreBlock, finWait2, timeWait } from "../core/config";
import { count, gauge } from "../core/counters";
import { STATE_ENDS } from "../core/state";
import { removeConnection } from "../flow/groups";
import { Buffer, releaseHeld, releaseList } from "../mem/buffers";
import { releaseNeighbour } from "../net/neighbours";
import { now } from "../time/clock";
import { ACK, RST } from "../wire/tcp";
import { scheduleNotice } from "./agenda";
import { cancelDeadlines, setDeadline } from "./deadlines";
import { bareSequence, sendBare } from "./emit";
import { leaveHalfOpen } from "./fast-open";
import { leaveBacklog } from "./listeners";
import { discard } from "./reassembly";
import { severQueue } from "./send-queue";
import { CLOSED, DONE, SYN_SENT, TIME_WAIT } from "./states";
import {
  asTcb,
  coldOf,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_APP_CLOSED,
  F_DIE,
  F_IN_BACKLOG,
  F_KNOWN,
  F_ON_AGENDA,
  F_ON_NOTICES,
  F_OUT_OF_ORDER,
  F_UNANNOUNCED,
  R_HALF_OPEN,
  Tcb,
} from "./tcb";
import { freeTcb } from "./tcb-pool";

/** What outlives its connection; in the core's control block. */
@final
@unmanaged
class Ends {
  /** Received buffers of dead connections; the application may read them until it returns. */
  graveyard: u32;
  /** TIME-WAIT connections, oldest first. */
  timeWaitHead: u32;
  timeWaitTail: u32;
}

let ends = changetype<Ends>(0);

/** Binds this instance to the core's lists. */
export function bindEnds(): void {
  ends = changetype<Ends>(coreBlock + STATE_ENDS);
}

/** Frees what dead connections had left with the application, once that has returned. */
export function clearGraveyard(): void {
  if (ends.graveyard == 0) return;
  releaseList(ends.graveyard);
  ends.graveyard = 0;
}

/** Moves the received buffers of a connection to the graveyard; none will be announced any more. */
export function bury(tcb: Tcb): void {
  tcb.flags &= ~F_UNANNOUNCED;
  coldOf(tcb).rxUnannounced = 0;
  if (tcb.rxHead == 0) return;
  changetype<Buffer>(tcb.rxTail).next = ends.graveyard;
  ends.graveyard = tcb.rxHead;
  tcb.rxHead = 0;
  tcb.rxTail = 0;
  tcb.rxQueued = 0;
}

/** Ends a connection at once, without a word to the peer; `reason` is for the application. */
export function kill(tcb: Tcb, reason: i32): void {
  if (reason == RC_TIMEOUT) count(CNT_TCP_DEAD_TIMEOUT);
  leaveNetwork(tcb);
  tcb.state = <u16>CLOSED;
  if (tcb.flags & F_KNOWN) {
    tell(tcb, reason);
  } else {
    bury(tcb);
    releaseTcb(tcb);
  }
}

/** Ends a connection with a RST to the peer, where one is called for (RFC 9293 section 3.10.5). */
export function reset(tcb: Tcb, reason: i32): void {
  sendResetFor(tcb);
  kill(tcb, reason);
}

/** abort: like `reset`, but the call's result is the application's last word on it. */
export function abortByApp(tcb: Tcb): void {
  sendResetFor(tcb);
  tcb.flags &= ~(F_KNOWN | F_DIE);
  kill(tcb, RC_RESET);
}

function sendResetFor(tcb: Tcb): void {
  if (tcb.state & (SYN_SENT | TIME_WAIT | DONE)) return;
  if (sendBare(tcb, bareSequence(tcb), RST | ACK)) count(CNT_TCP_RESETS_OUT);
}

/**
 * Nothing more will be sent or received but retransmitted FINs: wait 2 MSL (RFC 9293 section 3.6.1).
 * May be called again to restart the wait.
 */
export function enterTimeWait(tcb: Tcb): void {
  if (tcb.state == TIME_WAIT) {
    unlinkTimeWait(tcb);
  } else {
    cancelDeadlines(tcb);
    dropQueues(tcb);
    tcb.state = <u16>TIME_WAIT;
  }
  linkTimeWait(tcb);
  setDeadline(tcb, now + timeWait);
  orderlyEnd(tcb);
}

/** LAST-ACK is over, or 2 MSL have passed. */
export function finishOrderly(tcb: Tcb): void {
  if (tcb.flags & F_KNOWN) {
    // It may still go to another core with its group.
    retire(tcb);
    tcb.state = <u16>DONE;
    orderlyEnd(tcb);
  } else {
    leaveNetwork(tcb);
    bury(tcb);
    tcb.state = <u16>CLOSED;
    releaseTcb(tcb);
  }
}

/** Tells the application of an orderly end, once it has given back all data that it did not disown. */
export function orderlyEnd(tcb: Tcb): void {
  if (!(tcb.flags & F_KNOWN)) return;
  if (tcb.rxQueued != 0 && !(tcb.flags & F_APP_CLOSED)) return;
  tell(tcb, RC_OK);
}

/** FIN-WAIT-2 of a connection that the application has closed does not last for ever. */
export function limitFinWait2(tcb: Tcb): void {
  if (tcb.flags & F_APP_CLOSED) setDeadline(tcb, now + finWait2);
}

/** Makes room for a new connection by ending the oldest TIME-WAIT early. False when there is none. */
export function recycleTimeWait(): bool {
  if (ends.timeWaitHead == 0) return false;
  const tcb = asTcb(ends.timeWaitHead);
  count(CNT_TCP_TIME_WAIT_RECYCLED);
  finishOrderly(tcb);
  return true;
}

/** Frees a connection's record unless a list still leads to it; the list's walk calls again. */
export function releaseTcb(tcb: Tcb): void {
  if (tcb.state == DONE) removeConnection(tcb);
  if (tcb.flags & (F_ON_AGENDA | F_ON_NOTICES)) {
    tcb.state = <u16>CLOSED;
    return;
  }
  freeTcb(tcb);
}

function tell(tcb: Tcb, reason: i32): void {
  coldOf(tcb).reason = <i8>reason;
  tcb.flags |= F_DIE;
  scheduleNotice(tcb);
}

/** Takes a connection out of every table and queue but the received data's. */
function leaveNetwork(tcb: Tcb): void {
  removeConnection(tcb);
  retire(tcb);
}

/** The same, but the connection remains in its group's table as long as the application knows it. */
function retire(tcb: Tcb): void {
  // DONE has left already.
  if (tcb.state == DONE) return;
  if (tcb.state == TIME_WAIT) unlinkTimeWait(tcb);
  if (tcb.flags & F_IN_BACKLOG) leaveBacklog(tcb);
  if (coldOf(tcb).repair & R_HALF_OPEN) leaveHalfOpen(tcb);
  cancelDeadlines(tcb);
  dropQueues(tcb);
  releaseNeighbour(tcb.neighbour);
  tcb.flags &= ~(F_ACK_NOW | F_ACK_PENDING);
}

/** Frees what waits to be sent, acknowledged or reassembled. */
function dropQueues(tcb: Tcb): void {
  severQueue(tcb);
  releaseList(tcb.txHead);
  tcb.txHead = 0;
  tcb.txTail = 0;
  tcb.txNext = 0;
  if (tcb.flags & F_OUT_OF_ORDER) discard(tcb);
}

/** Appends to the list of TIME-WAIT connections. */
export function linkTimeWait(tcb: Tcb): void {
  gauge(GAUGE_TIME_WAIT, 1);
  const at = changetype<u32>(tcb);
  const cold = coldOf(tcb);
  cold.timeWaitNext = 0;
  cold.timeWaitPrev = ends.timeWaitTail;
  if (ends.timeWaitTail == 0) ends.timeWaitHead = at;
  else coldOf(asTcb(ends.timeWaitTail)).timeWaitNext = at;
  ends.timeWaitTail = at;
}

/** Takes a connection off that list. */
export function unlinkTimeWait(tcb: Tcb): void {
  gauge(GAUGE_TIME_WAIT, -1);
  const cold = coldOf(tcb);
  if (cold.timeWaitPrev == 0) ends.timeWaitHead = cold.timeWaitNext;
  else coldOf(asTcb(cold.timeWaitPrev)).timeWaitNext = cold.timeWaitNext;
  if (cold.timeWaitNext == 0) ends.timeWaitTail = cold.timeWaitPrev;
  else coldOf(asTcb(cold.timeWaitNext)).timeWaitPrev = cold.timeWaitPrev;
}

/** Forgets all lists of a core whose thread was lost: nobody reads the graveyard any more. */
export function abandonEnds(): void {
  releaseHeld(ends.graveyard);
  ends.graveyard = 0;
  ends.timeWaitHead = 0;
  ends.timeWaitTail = 0;
}
