/**
 * The end of a batch: connections on the agenda send what they could not send before, and the ACKs
 * that no data has carried meanwhile (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).
 */
import { delayedAck } from "../core/config";
import { markInProgress } from "../core/state";
import { txIsFull, txIsSilent } from "../nic/rings";
import { now } from "../time/clock";
import { agendaWalked, nextOnAgenda, returnAgenda, takeAgenda } from "./agenda";
import { setAckDeadline } from "./deadlines";
import { releaseTcb } from "./end";
import { output, sendAck } from "./output";
import { noteQuickAck } from "./quick-acks";
import { CLOSED, DONE } from "./states";
import {
  asTcb,
  C_QUICK,
  F_ACK_DEADLINE,
  F_ACK_NOW,
  F_ACK_PENDING,
  F_FIN_QUEUED,
  F_FIN_SENT,
  F_SCOREBOARD,
  Tcb,
} from "./tcb";

/** Settles every connection on the agenda once; what still finds no room goes back on it. */
export function flushAgenda(): void {
  let at = takeAgenda();
  while (at != 0) {
    if (txIsSilent()) {
      // Its next core sends what it owes.
      const tcb = asTcb(at);
      at = nextOnAgenda(tcb);
      if (tcb.state == CLOSED) releaseTcb(tcb);
      continue;
    }
    // What the TX ring has no room for, it has no room for in the rest of the walk either.
    if (txIsFull()) {
      returnAgenda(at);
      break;
    }
    const tcb = asTcb(at);
    markInProgress(at);
    at = nextOnAgenda(tcb);
    if (tcb.state == CLOSED) releaseTcb(tcb);
    else if (tcb.state != DONE) settle(tcb);
  }
  agendaWalked();
  markInProgress(0);
}

function settle(tcb: Tcb): void {
  const flags = tcb.flags;
  if (
    tcb.txNext != 0 ||
    flags & F_SCOREBOARD ||
    (flags & (F_FIN_QUEUED | F_FIN_SENT)) == F_FIN_QUEUED
  )
    output(tcb);
  if (!(tcb.flags & (F_ACK_NOW | F_ACK_PENDING))) return;
  // A second full segment is acknowledged at once, a first one may wait for company.
  if (tcb.flags & F_ACK_NOW || tcb.rcvNxt - tcb.rcvAcked > tcb.mss) {
    sendAck(tcb);
  } else if (tcb.controlFlags & C_QUICK) {
    sendAck(tcb);
    noteQuickAck(tcb);
  } else if (!(tcb.flags & F_ACK_DEADLINE)) {
    setAckDeadline(tcb, now + delayedAck);
  }
}
