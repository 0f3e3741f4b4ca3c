/**
 * Taking flow groups over: what the core does that gets them. One source at a time; those that come
 * meanwhile stay in their mailboxes.
 *
 *   HANDOVER ─→ enter the connections ─→ TAKEN, process what waited ─→ packets as ever
 *
 * Each poll does a bounded part, behind the application's calls. The application is told of all
 * connections before a packet of theirs is processed.
 */
import { CFG_CORES, FLOW_GROUPS } from "../abi";
import { batchLimit, config, coreBlock } from "../core/config";
import { parsedPacket } from "../core/receive";
import { markInProgress, STATE_ARRIVAL } from "../core/state";
import { tcpSegment } from "../tcp/input";
import { asTcb, coldOf } from "../tcp/tcb";
import { enter } from "../tcp/travel";
import { isBefore, now } from "../time/clock";
import { eventRoom, reserveEvents } from "../user/events";
import { isCaughtUp, takeLate, takeWaiting } from "./backlog";
import { departed, isDraining } from "./departure";
import { addToSet, copySet, nextInSet, removeFromSet, unite } from "./group-set";
import { groupOf, resume, settle } from "./groups";
import {
  discard,
  draft,
  groupsOf,
  hasMail,
  MAIL_HANDOVER,
  MAIL_TAKEN,
  mailboxPosition,
  Message,
  nextSender,
  peek,
  post,
  remind,
} from "./mailbox";
import { restock } from "./stock";

/** Connections that one poll enters. */
const CONNECTIONS_PER_POLL: u32 = 64;
/** Room in the event array that one packet may need, or one connection must leave. */
const EVENTS_PER_PACKET: u32 = 8;

/** In the core's control block. */
@final
@unmanaged
class Arrival {
  /** The core that gave the groups, plus 1; 0 when none are arriving. */
  source: u32;
  /** First connection that was not entered, and `ARRIVED_*` of all. */
  next: u32;
  flags: u32;
  /** True when the answer found no room. */
  waits: u32;
  /** Position of the source's mailbox once the answer is in it; 0 before. */
  answered: u32;
  /** The groups that the source gave. */
  groups0: u64;
  groups2: u64;
  /** Groups of this core whose packets of before are still to be processed. */
  behind0: u64;
  behind2: u64;
}

let arrival = changetype<Arrival>(0);

/** Binds this instance to the core. */
export function bindArrival(): void {
  arrival = changetype<Arrival>(coreBlock + STATE_ARRIVAL);
}

/** True when there is something to do here. */
export function isArriving(): bool {
  return hasMail() || !isQuiet();
}

/** True when no groups are on their way to this core, and none of its own is behind. */
function isQuiet(): bool {
  return isSettled() && (arrival.behind0 | arrival.behind2) == 0;
}

/** True when no groups are on their way to this core. */
export function isSettled(): bool {
  return arrival.source == 0;
}

/** A group that is behind leaves as it is, with what waits for it. */
export function forgetBehind(group: u32): void {
  removeFromSet(behind(), group);
}

/** True when the next step waits for something that will not wake this core. */
export function arrivalWaits(): bool {
  return arrival.waits != 0;
}

/** Does the next part of what arrives. Returns how much was done. */
export function arrive(): u32 {
  arrival.waits = 0;
  let done: u32 = 0;
  if (hasMail()) done += readMail();
  if (arrival.next != 0) done += enterSome();
  if (arrival.next == 0 && !isDraining()) done += processSome();
  // What waits is this core's own matter from here on; the source may give more away.
  if (arrival.source != 0 && arrival.next == 0) done += answer();
  return done;
}

/** Lets a group of this core process what waits for it, and then take part again. */
export function catchUp(group: u32): void {
  addToSet(behind(), group);
}

/**
 * The thread of this core was lost. What a source has given is this core's, connections not yet entered
 * and all; the source is still to be told, if it was not.
 */
export function abandonArrival(): void {
  arrival.next = 0;
  arrival.behind0 = 0;
  arrival.behind2 = 0;
  if (arrival.source == 0) return;
  const source = arrival.source - 1;
  if (arrival.answered != 0 && arrival.answered == mailboxPosition(source)) {
    arrival.source = 0;
    remind(source);
    return;
  }
  for (let i = nextInSet(groups(), 0); i < FLOW_GROUPS; i = nextInSet(groups(), i + 1)) {
    settle(groupOf(i));
  }
  // Taken over, and not yet thrown away: it would be taken over once more.
  const message = peek(source);
  if (message != null && message.kind == MAIL_HANDOVER) discard(source);
}

function readMail(): u32 {
  const cores = config(CFG_CORES);
  let read: u32 = 0;
  for (let core = nextSender(0); core < cores; core = nextSender(core + 1)) {
    const message = peek(core);
    if (message == null) continue;
    if (message.kind == MAIL_HANDOVER) {
      if (arrival.source != 0) continue;
      // Cores look at the clock when they begin a poll, and not all at once: with a time before the last
      // that its connections have seen, their timestamps would go back, and peers drop that (PAWS).
      if (isBefore(now, message.at)) {
        arrival.waits = 1;
        continue;
      }
      takeOver(core, message);
    } else if (message.kind == MAIL_TAKEN) {
      departed();
    }
    discard(core);
    read++;
  }
  return read;
}

function takeOver(core: u32, message: Message): void {
  restock();
  arrival.source = core + 1;
  arrival.next = message.connections;
  arrival.flags = message.flags;
  copySet(groups(), groupsOf(message));
  for (let i = nextInSet(groups(), 0); i < FLOW_GROUPS; i = nextInSet(groups(), i + 1)) {
    const group = groupOf(i);
    settle(group);
    takeLate(group);
  }
  unite(behind(), groups());
}

function enterSome(): u32 {
  let entered: u32 = 0;
  while (arrival.next != 0) {
    if (entered == CONNECTIONS_PER_POLL || eventRoom() < EVENTS_PER_PACKET) break;
    const at = arrival.next;
    const tcb = asTcb(at);
    arrival.next = coldOf(tcb).noticeNext;
    markInProgress(at);
    enter(tcb, arrival.source - 1, arrival.flags, entered);
    markInProgress(0);
    entered++;
  }
  return entered;
}

/** Processes at most B of the packets that waited, as if they had just been received. */
function processSome(): u32 {
  const packet = parsedPacket(0);
  let left = min<u32>(batchLimit, eventRoom() / EVENTS_PER_PACKET);
  let processed: u32 = 0;
  for (let i = nextInSet(behind(), 0); i < FLOW_GROUPS; i = nextInSet(behind(), i + 1)) {
    const group = groupOf(i);
    while (!isCaughtUp(group)) {
      if (left == 0) break;
      reserveEvents(left--);
      if (takeWaiting(group, packet)) tcpSegment(packet);
      processed++;
    }
    if (!isCaughtUp(group)) break;
    removeFromSet(behind(), i);
    resume(group);
    processed++;
  }
  markInProgress(0);
  reserveEvents(0);
  return processed;
}

function answer(): u32 {
  const source = arrival.source - 1;
  const message = draft(source);
  if (message == null) {
    arrival.waits = 1;
    return 0;
  }
  message.kind = MAIL_TAKEN;
  arrival.answered = mailboxPosition(source) + 1;
  post(source);
  arrival.source = 0;
  arrival.answered = 0;
  return 1;
}

/** Address of the set of groups that the source gave. */
function groups(): u32 {
  return changetype<u32>(arrival) + offsetof<Arrival>("groups0");
}

/** Address of the set of groups that are behind. */
function behind(): u32 {
  return changetype<u32>(arrival) + offsetof<Arrival>("behind0");
}
