/**
 * Two per-core lists through the TCBs.
 *
 * The *agenda* holds connections that owe the network something at the end of the batch: an ACK that
 * may still ride on data, data that found the TX ring full. Walking it after the application's system
 * calls gives one ACK per connection and batch, and none where a reply carries it.
 *
 * The *notices* hold connections that owe the application something which could not be told at once:
 * data received before `accept` or without room in the event array, an end, new room after a famine.
 */
import { coreBlock } from "../core/config";
import { STATE_LISTS } from "../core/state";
import { CLOSED } from "./states";
import { asTcb, F_ON_AGENDA, F_ON_NOTICES, Tcb, coldOf } from "./tcb";
import { isTcb } from "./tcb-pool";

/** The heads of the lists; in the core's control block. */
@final
@unmanaged
class Lists {
  agenda: u32;
  /** Head of the agenda after the last walk. */
  settled: u32;
  notices: u32;
}

let lists = changetype<Lists>(0);

/** Binds this instance to the core's lists. */
export function bindAgenda(): void {
  lists = changetype<Lists>(coreBlock + STATE_LISTS);
}

/** True when a connection came onto the agenda since it was last walked. */
export function hasNewAgenda(): bool {
  return lists.agenda != lists.settled;
}

/** To be called when the agenda has been walked: what is on it now could not be done yet. */
export function agendaWalked(): void {
  lists.settled = lists.agenda;
}

/** Puts a connection on the agenda, once. */
export function scheduleOutput(tcb: Tcb): void {
  if (tcb.flags & F_ON_AGENDA) return;
  tcb.flags |= F_ON_AGENDA;
  tcb.agenda = lists.agenda;
  lists.agenda = changetype<u32>(tcb);
}

/** Takes the whole agenda; the caller walks it with `nextOnAgenda`. */
export function takeAgenda(): u32 {
  const first = lists.agenda;
  lists.agenda = 0;
  return first;
}

/** Puts back what a walk did not come to, behind what it put on again itself. */
export function returnAgenda(rest: u32): void {
  if (lists.agenda == 0) {
    lists.agenda = rest;
    return;
  }
  let last = asTcb(lists.agenda);
  while (last.agenda != 0) last = asTcb(last.agenda);
  last.agenda = rest;
}

/** Strikes a connection off and returns the address of the next. */
export function nextOnAgenda(tcb: Tcb): u32 {
  tcb.flags &= ~F_ON_AGENDA;
  return tcb.agenda;
}

/** Puts a connection on the notices, once. */
export function scheduleNotice(tcb: Tcb): void {
  if (tcb.flags & F_ON_NOTICES) return;
  tcb.flags |= F_ON_NOTICES;
  coldOf(tcb).noticeNext = lists.notices;
  lists.notices = changetype<u32>(tcb);
}

/** Takes all notices in the order they came; the caller walks them with `nextNotice`. */
export function takeNotices(): u32 {
  let at = lists.notices;
  let reversed: u32 = 0;
  while (at != 0) {
    const cold = coldOf(asTcb(at));
    const next = cold.noticeNext;
    cold.noticeNext = reversed;
    reversed = at;
    at = next;
  }
  lists.notices = 0;
  return reversed;
}

export function nextNotice(tcb: Tcb): u32 {
  tcb.flags &= ~F_ON_NOTICES;
  return coldOf(tcb).noticeNext;
}

/**
 * Empties both lists when their core's thread was lost, as far as they lead to what is on them, and calls
 * nobody. Returns the first of those that only the lists had kept, a list through `chain`.
 */
export function dissolveLists(): u32 {
  let kept: u32 = 0;
  let at = lists.agenda;
  while (isTcb(at) && asTcb(at).flags & F_ON_AGENDA) {
    const tcb = asTcb(at);
    at = nextOnAgenda(tcb);
    if (tcb.state == CLOSED && !(tcb.flags & F_ON_NOTICES)) kept = chained(tcb, kept);
  }
  at = lists.notices;
  while (isTcb(at) && asTcb(at).flags & F_ON_NOTICES) {
    const tcb = asTcb(at);
    at = nextNotice(tcb);
    if (tcb.state == CLOSED && !(tcb.flags & F_ON_AGENDA)) kept = chained(tcb, kept);
  }
  lists.agenda = 0;
  lists.settled = 0;
  lists.notices = 0;
  return kept;
}

function chained(tcb: Tcb, before: u32): u32 {
  tcb.chain = before;
  return changetype<u32>(tcb);
}
