/**
 * Flow groups: the unit of ownership, hashing and migration. A connection belongs to the group that
 * its RSS hash selects in the RETA, and each group has its own hash table, so that a group can change
 * hands without touching the others.
 *
 *   hash  | bucket within the group … | group (7 bits) |
 *
 * Buckets are chains of TCBs through `chain`; a bucket is compared by the full hash first, then by
 * addresses and ports.
 */
import {
  CFG_BUCKETS,
  CFG_BUCKETS_PER_GROUP,
  CFG_CORES,
  CFG_GROUPS,
  CORE_ID,
  FLOW_GROUPS,
  GROUP_SIZE,
} from "../abi";
import { config, coreBlock } from "../core/config";
import { DONE } from "../tcp/states";
import { asTcb, Tcb } from "../tcp/tcb";
import { isPeer } from "../tcp/tuple";

const GROUP_BITS: u32 = 7;

/** Nobody processes the group's packets: they wait in one of its backlogs. */
const NOBODY: u32 = 0xffffffff;

/** GROUP_SIZE bytes, written by the owning core, but for the backlog of the next one. */
@final
@unmanaged
export class FlowGroup {
  /** Core that the group's connections belong to. */
  owner: u32;
  connections: u32;
  /** TCP packets processed since the start. */
  packets: u64;
  /** The owner, or NOBODY while the group moves. */
  processor: u32;
  /** The core that the group is leaving for, plus 1; 0 while it stays. */
  target: u32;
  /** What came to the old owner meanwhile, and what came to the new one: lists of buffers. */
  lateHead: u32;
  lateTail: u32;
  earlyHead: u32;
  earlyTail: u32;
}

let groups: u32 = 0;
let buckets: u32 = 0;
let bucketMask: u32 = 0;
export let coreId: u32 = 0;
/** True when other cores own groups too. */
let shared = false;

/** Deals the groups to the cores round robin, as the RETA starts out. */
export function prepareGroups(cores: u32): void {
  const table = config(CFG_GROUPS);
  memory.fill(table, 0, FLOW_GROUPS * GROUP_SIZE);
  for (let i: u32 = 0; i < FLOW_GROUPS; i++) {
    const group = changetype<FlowGroup>(table + i * GROUP_SIZE);
    group.owner = i % cores;
    group.processor = i % cores;
  }
}

export function bindGroups(): void {
  groups = config(CFG_GROUPS);
  buckets = config(CFG_BUCKETS);
  bucketMask = config(CFG_BUCKETS_PER_GROUP) - 1;
  coreId = load<u32>(coreBlock + CORE_ID);
  shared = config(CFG_CORES) > 1;
}

/** True when this core processes the packets with that hash, and runs the timers of their connections. */
export function isOurs(hash: u32): bool {
  return groupOf(hash).processor == coreId;
}

/** True when this core's application may make calls on connections with that hash. */
export function isCallable(hash: u32): bool {
  const group = groupOf(hash);
  return group.owner == coreId && group.target == 0;
}

/** True when this core has no flow groups. */
export function ownsNothing(): bool {
  for (let i: u32 = 0; i < FLOW_GROUPS; i++) {
    if (isOwned(i)) return false;
  }
  return true;
}

/** True when this core owns the group of that hash, be it on the move or not. */
export function isOwned(hash: u32): bool {
  return groupOf(hash).owner == coreId;
}

/** True when a packet with that hash should have come to another core, whose tables are not ours. */
export function isForeign(hash: u32): bool {
  return shared && !isOurs(hash);
}

/**
 * The connection of a received tuple, or null.
 *
 * @param ports remote port low half, local port high half, network order
 */
export function findConnection(hash: u32, ports: u32, remote: u32, local: u32): Tcb | null {
  let at = load<u32>(bucketOf(hash));
  while (at != 0) {
    const tcb = asTcb(at);
    if (
      tcb.hash == hash &&
      tcb.ports == ports &&
      tcb.remoteIp == remote &&
      tcb.localIp == local &&
      // Over, but for what its application holds: the tuple is free again.
      tcb.state != DONE
    ) {
      return tcb;
    }
    at = tcb.chain;
  }
  return null;
}

/** The same over IPv6: addresses by their digests first, then the peer's as a whole. */
export function findConnection6(
  hash: u32,
  ports: u32,
  remote: u32,
  local: u32,
  high: u64,
  low: u64,
): Tcb | null {
  let at = load<u32>(bucketOf(hash));
  while (at != 0) {
    const tcb = asTcb(at);
    if (
      tcb.hash == hash &&
      tcb.ports == ports &&
      tcb.remoteIp == remote &&
      tcb.localIp == local &&
      tcb.state != DONE &&
      isPeer(tcb, high, low)
    ) {
      return tcb;
    }
    at = tcb.chain;
  }
  return null;
}

/** Enters a connection by its `hash`; it must not be there yet. */
export function insertConnection(tcb: Tcb): void {
  const bucket = bucketOf(tcb.hash);
  tcb.chain = load<u32>(bucket);
  store<u32>(bucket, changetype<u32>(tcb));
  groupOf(tcb.hash).connections++;
}

export function removeConnection(tcb: Tcb): void {
  let link = bucketOf(tcb.hash);
  const address = changetype<u32>(tcb);
  while (load<u32>(link) != address) link = load<u32>(link) + offsetof<Tcb>("chain");
  store<u32>(link, tcb.chain);
  groupOf(tcb.hash).connections--;
}

/** Counts a packet that is processed. */
export function notePacket(hash: u32): void {
  groupOf(hash).packets++;
}

/** The group by its number; higher bits of a hash do not matter. */
export function groupOf(hash: u32): FlowGroup {
  return changetype<FlowGroup>(groups + (hash & (FLOW_GROUPS - 1)) * GROUP_SIZE);
}

/** From now on this core processes the group's packets. */
export function resume(group: FlowGroup): void {
  group.processor = coreId;
}

/** Lets the group's packets wait from now on; it leaves for `target`. */
export function suspend(group: FlowGroup, target: u32): void {
  group.processor = NOBODY;
  group.target = target + 1;
}

/** Makes this core the group's owner, whose packets go on waiting. */
export function settle(group: FlowGroup): void {
  group.owner = coreId;
  group.processor = NOBODY;
  group.target = 0;
}

/** Buckets of a group. */
export function bucketCount(): u32 {
  return bucketMask + 1;
}

/** First connection in a bucket of a group, or 0. */
export function firstInBucket(group: u32, bucket: u32): u32 {
  return load<u32>(buckets + ((group * (bucketMask + 1) + bucket) << 2));
}

/** Address of the bucket that a hash leads to. */
export function bucketOf(hash: u32): u32 {
  const group = hash & (FLOW_GROUPS - 1);
  return buckets + ((group * (bucketMask + 1) + ((hash >> GROUP_BITS) & bucketMask)) << 2);
}
