/**
 * What happens when a connection's deadline passes (RFC 9293 section 3.8, RFC 6298 section 5).
 */
import {
  CFG_SYN_LINEAR,
  CFG_SYN_RETRIES,
  CNT_TCP_DELAYED_ACKS,
  CNT_TCP_PROBES,
  CNT_TCP_TIMEOUTS,
  RC_TIMEOUT,
} from "../abi";
import { config } from "../core/config";
import { count } from "../core/counters";
import { Buffer } from "../mem/buffers";
import { isDue, now } from "../time/clock";
import { ACK } from "../wire/tcp";
import { scheduleOutput } from "./agenda";
import { rearm, setDeadline } from "./deadlines";
import { sendBare } from "./emit";
import { sendSyn } from "./emit-syn";
import { finishOrderly, kill } from "./end";
import { collapseWindow } from "./fast-recovery";
import { keepAlive } from "./keep-alive";
import { suspectSize } from "./mtu-probe";
import { output, resend, retransmitHead, sendAck, uncork } from "./output";
import { releaseTime } from "./pacing";
import { backedOffRto } from "./rtt";
import { beginLoss, reorderingTimeout } from "./selective";
import { cut, MORE_FOLLOWS } from "./send-queue";
import { FIN_WAIT_2, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./states";
import { endProbe, probeTail } from "./tail-probe";
import {
  coldOf,
  C_CORKED,
  C_KEEP_ALIVE,
  C_PACE_WAIT,
  F_ACK_DEADLINE,
  F_ACK_PENDING,
  F_DEADLINE,
  F_FIN_SENT,
  F_MORE,
  F_PERSIST,
  F_RESENDING,
  F_SCOREBOARD,
  R_HALF_OPEN,
  R_REORDERING_TIMER,
  R_SACK,
  Tcb,
  TcbCold,
} from "./tcb";
import { isGivenUp, nextTimeout } from "./user-timeout";

/** The wheel's upcall for a connection's timer. */
export function tcpTimer(tcb: Tcb): void {
  if (tcb.flags & F_ACK_DEADLINE && isDue(coldOf(tcb).ackDeadline)) {
    tcb.flags &= ~F_ACK_DEADLINE;
    if (tcb.flags & F_ACK_PENDING) {
      count(CNT_TCP_DELAYED_ACKS);
      sendAck(tcb);
    }
  }
  if (tcb.flags & F_DEADLINE && isDue(tcb.deadline)) {
    tcb.flags &= ~F_DEADLINE;
    if (!expire(tcb)) return;
  }
  if (tcb.controlFlags & C_PACE_WAIT && isDue(releaseTime(tcb))) {
    tcb.controlFlags &= ~(<u16>C_PACE_WAIT);
    output(tcb);
  }
  if (tcb.controlFlags & C_KEEP_ALIVE && !keepAlive(tcb)) return;
  rearm(tcb);
}

/** Acts on the deadline. False when the connection is gone. */
function expire(tcb: Tcb): bool {
  if (tcb.state & (TIME_WAIT | FIN_WAIT_2)) {
    finishOrderly(tcb);
    return false;
  }
  const cold = coldOf(tcb);
  if (tcb.state & (SYN_SENT | SYN_RECEIVED) || cold.repair & R_HALF_OPEN) return repeatSyn(tcb);
  if (tcb.flags & F_PERSIST) return probe(tcb);
  if (cold.repair & R_REORDERING_TIMER) {
    reorderingTimeout(tcb);
    return true;
  }
  if (cold.sndMax == tcb.sndUna) return retryUnsent(tcb, cold);
  return probeTail(tcb, cold) || retransmitTimeout(tcb);
}

/** Nothing is in flight: what might go found no frame, or no room in the TX ring. Not for ever. */
function retryUnsent(tcb: Tcb, cold: TcbCold): bool {
  if (tcb.txNext == 0) return true;
  if (isGivenUp(tcb, cold, u32(cold.retries) + 1)) {
    kill(tcb, cold.softError != 0 ? cold.softError : RC_TIMEOUT);
    return false;
  }
  cold.retries++;
  if (tcb.backoff < 255) tcb.backoff++;
  output(tcb);
  return true;
}

function repeatSyn(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  if (cold.retries >= config(CFG_SYN_RETRIES)) {
    kill(tcb, cold.softError != 0 ? cold.softError : RC_TIMEOUT);
    return false;
  }
  count(CNT_TCP_TIMEOUTS);
  cold.retries++;
  cold.synCount++;
  if (tcb.state != SYN_SENT || u32(cold.retries) > config(CFG_SYN_LINEAR)) tcb.backoff++;
  // A SYN-ACK that was lost leaves one segment for the initial window (RFC 5681 section 3.1).
  if (cold.repair & R_HALF_OPEN) tcb.cwnd = tcb.mss;
  sendSyn(tcb);
  setDeadline(tcb, now + backedOffRto(tcb, cold));
  return true;
}

/**
 * The window is closed, or too small for what waits (RFC 9293 section 3.8.6.1). A segment before
 * sndUna makes the peer answer with its window; after the override time of section 3.8.6.2.1 whatever
 * fits a window that is merely small is sent. Probing goes on as long as the peer answers.
 */
function probe(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  if (isHeldBack(tcb)) {
    sendHeldBack(tcb);
    return true;
  }
  if (cold.retries != 0 && isGivenUp(tcb, cold, cold.retries)) {
    kill(tcb, RC_TIMEOUT);
    return false;
  }
  cold.retries++;
  count(CNT_TCP_PROBES);
  const at = tcb.txNext;
  tcb.flags &= ~F_PERSIST;
  if (tcb.sndWnd != 0 && at != 0) {
    const buffer = changetype<Buffer>(at);
    if (buffer.length > tcb.sndWnd) cut(buffer, tcb.sndWnd, tcb);
    output(tcb);
    if (tcb.flags & F_DEADLINE) return true;
  }
  sendBare(tcb, tcb.sndUna - 1, ACK);
  if (tcb.backoff < 255) tcb.backoff++;
  tcb.flags |= F_PERSIST;
  setDeadline(tcb, now + nextTimeout(tcb, cold, cold.retries - 1));
  return true;
}

/** Whether it is the application that holds data back, which fits the window. */
function isHeldBack(tcb: Tcb): bool {
  if (!(tcb.flags & F_MORE) && !(tcb.controlFlags & C_CORKED)) return false;
  return tcb.txNext != 0 && changetype<Buffer>(tcb.txNext).length <= tcb.sndWnd;
}

/** It has had long enough to go on. */
function sendHeldBack(tcb: Tcb): void {
  tcb.flags &= ~F_PERSIST;
  changetype<Buffer>(tcb.txTail).flags &= ~MORE_FOLLOWS;
  uncork(tcb);
}

/** RFC 6298 sections 5.4 to 5.7: send the oldest again, back off, start over from sndUna. */
function retransmitTimeout(tcb: Tcb): bool {
  const cold = coldOf(tcb);
  if (tcb.txHead == 0 && !(tcb.flags & F_FIN_SENT)) return true;
  if (isGivenUp(tcb, cold, u32(cold.retries) + 1)) {
    kill(tcb, cold.softError != 0 ? cold.softError : RC_TIMEOUT);
    return false;
  }
  count(CNT_TCP_TIMEOUTS);
  suspectSize(tcb, cold);
  const selective = (cold.repair & R_SACK) != 0 && tcb.txHead != 0;
  if (selective) {
    beginLoss(tcb, cold);
  } else {
    if (tcb.flags & F_SCOREBOARD) endProbe(tcb, cold);
    collapseWindow(tcb);
  }
  cold.retries++;
  if (tcb.backoff < 255) tcb.backoff++;
  if (selective) {
    // The oldest goes again whatever the windows, the others as ACKs let them.
    if (!resend(tcb, cold, changetype<Buffer>(tcb.txHead))) scheduleOutput(tcb);
    setDeadline(tcb, now + nextTimeout(tcb, cold, cold.retries));
    return true;
  }
  // Everything from sndUna is sent again as ACKs let it, unless they show that it had arrived.
  tcb.sndNxt = tcb.sndUna;
  tcb.txNext = tcb.txHead;
  tcb.flags |= F_RESENDING;
  const window = tcb.sndWnd;
  if (window < tcb.mss) {
    // A window that closed over data in flight: the head goes again all the same.
    retransmitHead(tcb);
  } else {
    output(tcb);
  }
  setDeadline(tcb, now + nextTimeout(tcb, cold, cold.retries));
  return true;
}
