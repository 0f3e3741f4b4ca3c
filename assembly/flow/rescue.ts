/**
 * Taking over a core whose thread is gone, from another thread, so that it can give its flow groups away:
 * `poll` then drives that as ever, with nobody to hear the events, and nothing is sent any more.
 *
 * The thread may have died anywhere. What only organises is not trusted but made anew: the timing wheel,
 * the agenda, the notices, the TIME-WAIT list. What holds the connections themselves, the hash tables of
 * the core's groups, is walked with every link checked; a chain ends where it is broken. The connection
 * that was being changed, and any whose queues are not whole, is condemned: its next core resets it. All
 * others go on. What a broken list leads to is lost, a few frames at worst.
 */
import {
  CNT_RESCUE_CUTS,
  CNT_RESCUE_RESETS,
  COMMAND_NONE,
  CORE_COMMAND,
  CORE_IN_PROGRESS,
  CORE_PHASE,
  CORE_REQUEST,
  CORE_SYSCALL_COUNT,
  FLOW_GROUPS,
  GAUGE_BUFFERS,
  GAUGE_CONNECTIONS,
  GAUGE_TIME_WAIT,
  GAUGE_TIMERS,
  PHASE_KERNEL,
  PHASE_OUTSIDE,
  REQUEST_NONE,
} from "../abi";
import { coreBlock } from "../core/config";
import { count, countBy } from "../core/counters";
import { repairPools } from "../mem/buffers";
import { abandonNet } from "../net/abandon";
import { abandonNeighbours } from "../net/neighbours";
import { abandonUdp } from "../net/udp";
import { abandonReports } from "../net/udp-output";
import { recountFill, silenceTx } from "../nic/rings";
import { dissolveLists } from "../tcp/agenda";
import { abandonEnds } from "../tcp/end";
import { claim, condemn, dropUnclaimed, isSound, unclaim, unhand } from "../tcp/inspection";
import { abandonListeners } from "../tcp/listeners";
import { CLOSED, DONE } from "../tcp/states";
import { asTcb, coldOf, F_KNOWN, M_SEEN, Tcb } from "../tcp/tcb";
import { freeTcb, isTcb, repairTcbs } from "../tcp/tcb-pool";
import { prepareWheel } from "../time/wheel";
import { abandonUserTimers } from "../user/timers";
import { abandonArrival } from "./arrival";
import { joinWaiting, mendEarly, mendLate } from "./backlog";
import { abandonDeparture, isHandedOver, isLeaving } from "./departure";
import { bucketCount, bucketOf, coreId, FlowGroup, groupOf, isOwned, settle } from "./groups";

/** Checks and mends the state of the core that this instance is bound to. */
export function rescueCore(): void {
  const stopped = load<u32>(coreBlock + CORE_PHASE) == PHASE_KERNEL;
  const suspect = stopped ? load<u32>(coreBlock + CORE_IN_PROGRESS) : 0;
  countBy(CNT_RESCUE_CUTS, repairPools() + repairTcbs());
  silenceTx();
  abandonApplication();
  abandonDeparture();
  abandonArrival();
  let connections: u32 = 0;
  let buffers: u32 = 0;
  for (let i: u32 = 0; i < FLOW_GROUPS; i++) {
    const group = groupOf(i);
    if (isComing(group)) buffers += mendEarly(group);
    if (!isInCare(i)) continue;
    buffers += mendGroup(i, suspect);
    buffers += mendLate(group);
    connections += group.connections;
    // The target may have begun to put packets aside, in the list that is its own.
    if (isLeaving(i)) continue;
    buffers += mendEarly(group);
    joinWaiting(group);
    // What comes now waits for the next owner.
    settle(group);
  }
  unclaimAll();
  recountFill();
  store<u32>(coreBlock + GAUGE_CONNECTIONS, connections);
  store<u32>(coreBlock + GAUGE_BUFFERS, buffers);
  store<u32>(coreBlock + CORE_IN_PROGRESS, 0);
  store<u32>(coreBlock + CORE_PHASE, PHASE_OUTSIDE);
  store<u32>(coreBlock + CORE_REQUEST, REQUEST_NONE);
  atomic.store<u32>(coreBlock + CORE_COMMAND, COMMAND_NONE);
}

/** True for a group of another core that it is giving to this one. */
function isComing(group: FlowGroup): bool {
  return group.owner != coreId && group.target == coreId + 1;
}

/** True for a group whose connections nobody but this core knows. */
function isInCare(index: u32): bool {
  return isOwned(index) && (groupOf(index).target == 0 || !isHandedOver());
}

/** Forgets what was the application's, and every list whose purpose it was to serve it or the timers. */
function abandonApplication(): void {
  // Who knows how many of them were run; what was received for them is announced again.
  store<u32>(coreBlock + CORE_SYSCALL_COUNT, 0);
  prepareWheel();
  store<u32>(coreBlock + GAUGE_TIMERS, 0);
  store<u32>(coreBlock + GAUGE_TIME_WAIT, 0);
  abandonReports();
  abandonUdp();
  abandonUserTimers();
  abandonListeners();
  abandonNeighbours();
  abandonNet();
  abandonEnds();
  let at = dissolveLists();
  while (at != 0) {
    const tcb = asTcb(at);
    at = tcb.chain;
    dropUnclaimed(tcb.rxHead);
    freeTcb(tcb);
  }
}

/** Checks the connections of a group. Returns how many buffers they hold. */
function mendGroup(index: u32, suspect: u32): u32 {
  const group = groupOf(index);
  let buffers: u32 = 0;
  group.connections = 0;
  for (let bucket: u32 = 0; bucket < bucketCount(); bucket++) {
    const head = bucketOf((bucket << 7) | index);
    if (load<u32>(head) != 0) buffers += mendBucket(head, group, suspect);
  }
  return buffers;
}

/** Builds a chain anew from what is a connection of this bucket, as far as its links lead. */
function mendBucket(head: u32, group: FlowGroup, suspect: u32): u32 {
  let buffers: u32 = 0;
  let at = load<u32>(head);
  store<u32>(head, 0);
  while (at != 0) {
    if (!belongs(at, head)) {
      count(CNT_RESCUE_CUTS);
      break;
    }
    const tcb = asTcb(at);
    at = tcb.chain;
    const trusted = changetype<u32>(tcb) != suspect && isSound(tcb);
    if (!trusted) {
      condemn(tcb);
      count(CNT_RESCUE_RESETS);
    }
    buffers += claim(tcb);
    unhand(tcb);
    coldOf(tcb).moving |= <u8>M_SEEN;
    if (tcb.state == DONE && !(tcb.flags & F_KNOWN)) {
      buffers -= claim(tcb);
      forget(tcb);
      continue;
    }
    tcb.chain = load<u32>(head);
    store<u32>(head, changetype<u32>(tcb));
    group.connections++;
  }
  return buffers;
}

/** True for a live connection that hashes to this bucket and was not met before. */
function belongs(at: u32, head: u32): bool {
  if (!isTcb(at)) return false;
  const tcb = asTcb(at);
  return tcb.state != CLOSED && bucketOf(tcb.hash) == head && !(coldOf(tcb).moving & M_SEEN);
}

/** Frees a connection that is over and that nobody knows. */
function forget(tcb: Tcb): void {
  unclaim(tcb);
  coldOf(tcb).moving = 0;
  dropUnclaimed(tcb.rxHead);
  tcb.rxHead = 0;
  freeTcb(tcb);
}

function unclaimAll(): void {
  for (let i: u32 = 0; i < FLOW_GROUPS; i++) {
    if (!isInCare(i) || groupOf(i).connections == 0) continue;
    for (let bucket: u32 = 0; bucket < bucketCount(); bucket++) {
      let at = load<u32>(bucketOf((bucket << 7) | i));
      for (; at != 0; at = asTcb(at).chain) {
        unclaim(asTcb(at));
        coldOf(asTcb(at)).moving &= ~(<u8>M_SEEN);
      }
    }
  }
}
