/**
 * Giving flow groups away: what the core does that loses them.
 *
 *   IDLE ── command ─→ LEAVING ─→ STEERING ── steered ─→ DRAINING ─→ HANDED ── TAKEN ─→ IDLE
 *
 * LEAVING    Packets of the groups wait from here on. Every connection is frozen: its timers stop, and
 *            what the application's memory still holds of its data is copied. When the NIC has sent
 *            everything that was queued until then, the application is told of each.
 * STEERING   The elastic thread rewrites the RETA.
 * DRAINING   What the old queue got before that is taken out of it, and put aside: that of this core's
 *            other groups too, which is processed afterwards. Under overload, which is when cores are
 *            added, it would otherwise take longer than what comes meanwhile.
 * HANDED     The target has been sent the connections and the packets; it says when it owns them.
 *
 * The steps follow the applications' calls and the output of a poll, so the event array is empty and
 * no list leads to a connection but those named here. Each poll does a bounded part.
 */
import {
  ARRIVED_RESCUED,
  CFG_CORES,
  CFG_CORE_BLOCKS,
  COMMAND_MIGRATE,
  COMMAND_NONE,
  CORE_ATTACHED,
  CORE_COMMAND,
  CORE_COMMAND_GROUPS,
  CORE_COMMAND_TARGET,
  CORE_MIGRATION,
  CORE_MIGRATIONS_BEGUN,
  CORE_MIGRATIONS_ENDED,
  CORE_MIGRATION_BEGAN,
  CORE_MIGRATION_CONNECTIONS,
  CORE_MIGRATION_GROUPS,
  CORE_MIGRATION_OVER,
  CORE_MIGRATION_PACKETS,
  CORE_MIGRATION_RESULT,
  CORE_MIGRATION_STEERED,
  CORE_MIGRATION_TARGET,
  CORE_REQUEST,
  CORE_SIZE,
  FLOW_GROUPS,
  MIGRATION_DRAINING,
  MIGRATION_HANDED,
  MIGRATION_IDLE,
  MIGRATION_LEAVING,
  MIGRATION_STEERING,
  RC_AGAIN,
  RC_INVAL,
  RC_NOBUFS,
  RC_NOSYS,
  RC_OK,
  RC_UNREACHABLE,
  REQUEST_NONE,
  REQUEST_STEER,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { markInProgress, STATE_DEPARTURE } from "../core/state";
import { markRx, markTx, rxPassed, txPassed } from "../nic/rings";
import { asTcb, coldOf, M_LEFT } from "../tcp/tcb";
import { freeze, part, thaw, withdrawNotices } from "../tcp/travel";
import { condemn } from "../tcp/inspection";
import { runNotices } from "../tcp/notices";
import { now } from "../time/clock";
import { eventRoom } from "../user/events";
import { catchUp, forgetBehind } from "./arrival";
import { giveLate, joinWaiting } from "./backlog";
import {
  addToSet,
  clearSet,
  copySet,
  isInSet,
  isSetEmpty,
  nextInSet,
  removeFromSet,
} from "./group-set";
import {
  bucketCount,
  coreId,
  firstInBucket,
  groupOf,
  ownsNothing,
  settle,
  suspend,
} from "./groups";
import { draft, groupsOf, MAIL_HANDOVER, mailboxPosition, post, remind } from "./mailbox";
import { shareStock } from "./stock";

/** Connections and hash buckets that one poll looks at. */
const CONNECTIONS_PER_POLL: u32 = 64;
const BUCKETS_PER_POLL: u32 = 1024;
/** Room that the events of one connection must leave for others. */
const EVENTS_LEFT: u32 = 8;

/** What LEAVING is at. */
const FREEZING: u32 = 0;
const COMPLETING: u32 = 1;
const PARTING: u32 = 2;

/** In the core's control block. */
@final
@unmanaged
class Departure {
  stage: u32;
  /** Where FREEZING goes on. */
  group: u32;
  bucket: u32;
  /** The frozen connections, a list through `noticeNext`, and the first that PARTING has not seen. */
  first: u32;
  last: u32;
  next: u32;
  /** True while it goes on by itself, as soon as something else has: somebody must poll again. */
  waits: u32;
  /** Where the target's mailbox stood before the hand-over. */
  posted: u32;
  /** ARRIVED_RESCUED when the thread of this core was lost. */
  flags: u32;
}

let departure = changetype<Departure>(0);

/** Binds this instance to the core. */
export function bindDeparture(): void {
  departure = changetype<Departure>(coreBlock + STATE_DEPARTURE);
}

/** True when a migration is under way or asked for. */
export function isDeparting(): bool {
  return (load<u32>(coreBlock + CORE_COMMAND) | step()) != 0;
}

/** True when the groups under way are the target's, though it has not said so. */
export function isHandedOver(): bool {
  return step() == MIGRATION_HANDED;
}

/** True while packets are taken out of the old queue that came before the RETA changed. */
export function isDraining(): bool {
  return step() == MIGRATION_DRAINING && !rxPassed();
}

/** True when the next step waits for something that will not wake this core. */
export function departureWaits(): bool {
  return departure.waits != 0;
}

/**
 * Does the next part of a migration from here. Returns how much was done.
 *
 * @param settled true when no groups are on their way to this core
 */
export function depart(settled: bool): u32 {
  departure.waits = 0;
  const at = step();
  if (at == MIGRATION_IDLE) return settled ? begin() : 0;
  if (at == MIGRATION_LEAVING) return leave();
  if (at == MIGRATION_DRAINING) return drain();
  return 0;
}

/** The RETA points to the target: from now on nothing of the groups comes into the queues here. */
export function steeredAway(): i32 {
  if (step() != MIGRATION_STEERING) return RC_INVAL;
  store<u32>(coreBlock + CORE_REQUEST, REQUEST_NONE);
  store<u32>(coreBlock + CORE_MIGRATION_STEERED, now);
  markRx();
  enterStep(MIGRATION_DRAINING);
  for (let i: u32 = 0; i < FLOW_GROUPS; i++) {
    const group = groupOf(i);
    if (group.processor != coreId) continue;
    settle(group);
    catchUp(i);
  }
  return RC_OK;
}

/** The target owns the groups. */
export function departed(): void {
  if (step() == MIGRATION_HANDED) end(load<i32>(coreBlock + CORE_MIGRATION_RESULT));
}

/** True for a group of this core that leaves, as long as the target has not been given it. */
export function isLeaving(index: u32): bool {
  const at = step();
  if (at == MIGRATION_IDLE || at == MIGRATION_HANDED) return false;
  return isInSet(coreBlock + CORE_MIGRATION_GROUPS, index);
}

/**
 * The thread of this core was lost. A migration under way begins anew, because packets of its groups may
 * wait at the target already, unless that has been given them.
 */
export function abandonDeparture(): void {
  departure.flags = ARRIVED_RESCUED;
  const at = step();
  if (at == MIGRATION_IDLE) return;
  if (at != MIGRATION_HANDED) {
    beginLeaving();
    return;
  }
  const target = load<u32>(coreBlock + CORE_MIGRATION_TARGET);
  if (mailboxPosition(target) == departure.posted) post(target);
  else remind(target);
}

/** What leaves from now on is given away as ever. */
export function endRescue(): void {
  departure.flags = 0;
}

function begin(): u32 {
  const command = atomic.load<u32>(coreBlock + CORE_COMMAND);
  if (command == COMMAND_NONE) return 0;
  const target = load<u32>(coreBlock + CORE_COMMAND_TARGET);
  const groups = coreBlock + CORE_MIGRATION_GROUPS;
  clearSet(groups);
  store<u32>(coreBlock + CORE_MIGRATION_TARGET, target);
  store<u32>(coreBlock + CORE_MIGRATION_CONNECTIONS, 0);
  store<u32>(coreBlock + CORE_MIGRATION_PACKETS, 0);
  store<u32>(coreBlock + CORE_MIGRATION_BEGAN, now);
  store<i32>(coreBlock + CORE_MIGRATION_RESULT, RC_OK);
  atomic.add<u32>(coreBlock + CORE_MIGRATIONS_BEGUN, 1);
  const refusal = refusalOf(command, target);
  if (refusal == RC_OK) suspendGroups(groups, target);
  atomic.store<u32>(coreBlock + CORE_COMMAND, COMMAND_NONE);
  if (isSetEmpty(groups)) {
    end(refusal);
  } else {
    beginLeaving();
  }
  return 1;
}

function beginLeaving(): void {
  memory.fill(changetype<u32>(departure), 0, offsetof<Departure>("flags"));
  departure.group = nextInSet(coreBlock + CORE_MIGRATION_GROUPS, 0);
  enterStep(MIGRATION_LEAVING);
}

function refusalOf(command: u32, target: u32): i32 {
  if (command != COMMAND_MIGRATE) return RC_NOSYS;
  if (target >= config(CFG_CORES) || target == coreId) return RC_INVAL;
  const block = config(CFG_CORE_BLOCKS) + target * CORE_SIZE;
  // A core that never ran has no state to put connections into.
  return atomic.load<u32>(block + CORE_ATTACHED) == 0 ? RC_UNREACHABLE : RC_OK;
}

function suspendGroups(groups: u32, target: u32): void {
  const wanted = coreBlock + CORE_COMMAND_GROUPS;
  for (let i = nextInSet(wanted, 0); i < FLOW_GROUPS; i = nextInSet(wanted, i + 1)) {
    const group = groupOf(i);
    if (group.owner != coreId || group.target != 0) continue;
    // It may have come not long ago, and goes on before it could catch up.
    forgetBehind(i);
    joinWaiting(group);
    suspend(group, target);
    addToSet(groups, i);
  }
}

function leave(): u32 {
  if (departure.stage == FREEZING) return freezeSome();
  if (departure.stage == COMPLETING) {
    if (!txPassed()) {
      departure.waits = 1;
      return 0;
    }
    departure.stage = PARTING;
    departure.next = departure.first;
  }
  return partFromSome();
}

function freezeSome(): u32 {
  // What the application was to be told besides is told first, as far as there is room.
  runNotices();
  withdrawNotices();
  const groups = coreBlock + CORE_MIGRATION_GROUPS;
  let frozen: u32 = 0;
  let looked: u32 = 0;
  while (departure.group < FLOW_GROUPS) {
    if (looked++ == BUCKETS_PER_POLL || frozen >= CONNECTIONS_PER_POLL) return frozen + 1;
    const code = freezeBucket();
    if (code == RC_AGAIN) {
      departure.waits = 1;
      return frozen;
    }
    if (code < 0) {
      stay(departure.group);
      store<i32>(coreBlock + CORE_MIGRATION_RESULT, RC_NOBUFS);
      departure.bucket = bucketCount();
    } else {
      frozen += code;
      departure.bucket++;
    }
    if (departure.bucket >= bucketCount()) {
      departure.bucket = 0;
      departure.group = nextInSet(groups, departure.group + 1);
    }
  }
  if (isSetEmpty(groups)) {
    end(load<i32>(coreBlock + CORE_MIGRATION_RESULT));
  } else {
    markTx();
    departure.stage = COMPLETING;
  }
  return frozen + 1;
}

/** Freezes what is in the bucket at hand. Returns how many it were, or RC_AGAIN or RC_NOBUFS. */
function freezeBucket(): i32 {
  let frozen: i32 = 0;
  let at = firstInBucket(departure.group, departure.bucket);
  while (at != 0) {
    const tcb = asTcb(at);
    const cold = coldOf(tcb);
    if (!(cold.moving & M_LEFT)) {
      markInProgress(at);
      let code = freeze(tcb);
      if (code == RC_NOBUFS && departure.flags != 0) {
        // It cannot stay either.
        condemn(tcb);
        code = freeze(tcb);
      }
      markInProgress(0);
      if (code != RC_OK) return code;
      frozen++;
      cold.noticeNext = 0;
      if (departure.last == 0) departure.first = at;
      else coldOf(asTcb(departure.last)).noticeNext = at;
      departure.last = at;
    }
    at = tcb.chain;
  }
  return frozen;
}

/** A group for whose data there are no frames remains: all is as it was, and what waited is processed. */
function stay(index: u32): void {
  let before: u32 = 0;
  let at = departure.first;
  while (at != 0) {
    const tcb = asTcb(at);
    const cold = coldOf(tcb);
    const next = cold.noticeNext;
    if ((tcb.hash & (FLOW_GROUPS - 1)) == index) {
      if (before == 0) departure.first = next;
      else coldOf(asTcb(before)).noticeNext = next;
      thaw(tcb);
    } else {
      before = at;
    }
    at = next;
  }
  departure.last = before;
  removeFromSet(coreBlock + CORE_MIGRATION_GROUPS, index);
  settle(groupOf(index));
  catchUp(index);
}

function partFromSome(): u32 {
  let parted: u32 = 0;
  while (departure.next != 0) {
    if (parted == CONNECTIONS_PER_POLL || eventRoom() < EVENTS_LEFT) {
      departure.waits = 1;
      return parted;
    }
    const tcb = asTcb(departure.next);
    markInProgress(departure.next);
    part(tcb, load<u32>(coreBlock + CORE_MIGRATION_TARGET));
    markInProgress(0);
    departure.next = coldOf(tcb).noticeNext;
    parted++;
  }
  enterStep(MIGRATION_STEERING);
  store<u32>(coreBlock + CORE_REQUEST, REQUEST_STEER);
  return parted + 1;
}

function drain(): u32 {
  if (!rxPassed()) return 0;
  const target = load<u32>(coreBlock + CORE_MIGRATION_TARGET);
  const message = draft(target);
  if (message == null) {
    departure.waits = 1;
    return 0;
  }
  const groups = coreBlock + CORE_MIGRATION_GROUPS;
  let packets: u32 = 0;
  for (let i = nextInSet(groups, 0); i < FLOW_GROUPS; i = nextInSet(groups, i + 1)) {
    packets += giveLate(groupOf(i));
  }
  let connections: u32 = 0;
  for (let at = departure.first; at != 0; at = coldOf(asTcb(at)).noticeNext) connections++;
  message.kind = MAIL_HANDOVER;
  message.connections = departure.first;
  message.connectionCount = connections;
  message.packets = packets;
  copySet(groupsOf(message), groups);
  store<u32>(coreBlock + CORE_MIGRATION_CONNECTIONS, connections);
  store<u32>(coreBlock + CORE_MIGRATION_PACKETS, packets);
  message.flags = departure.flags;
  message.at = now;
  departure.posted = mailboxPosition(target);
  enterStep(MIGRATION_HANDED);
  post(target);
  return 1;
}

function end(result: i32): void {
  // It may not poll again.
  if (ownsNothing()) shareStock();
  store<i32>(coreBlock + CORE_MIGRATION_RESULT, result);
  store<u32>(coreBlock + CORE_MIGRATION_OVER, now);
  enterStep(MIGRATION_IDLE);
  atomic.add<u32>(coreBlock + CORE_MIGRATIONS_ENDED, 1);
}

function step(): u32 {
  return load<u32>(coreBlock + CORE_MIGRATION);
}

function enterStep(to: u32): void {
  store<u32>(coreBlock + CORE_MIGRATION, to);
}
