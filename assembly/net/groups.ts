/**
 * Multicast groups that this core is a member of: joined by UDP ports, and for IPv6 the solicited-node
 * groups of our own addresses. Routers are told by IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), or by the
 * older version while one of them speaks only that (RFC 2236, RFC 2710). The NIC is told by a filter of
 * 64 bits in the core's block.
 *
 * Members here are of all sources. Each core reports what its own application joined; what routers ask,
 * all cores hear (learned.ts).
 */
import { CORE_MULTICAST } from "../abi";
import { coreBlock } from "../core/config";
import { nowWide } from "../time/clock";
import { addTimer, cancelTimer, isPending, TIMER_GROUPS } from "../time/wheel";
import { ipv4GroupHead, ipv4GroupTail, ipv6GroupHead, ipv6GroupTail } from "../wire/ethernet";
import { MODE_IS_EXCLUDE, TO_EXCLUDE } from "../wire/group";
import { ALL_NODES, isMapped, LINK_GROUP, mappedIpv4, mappedLow } from "../wire/ipv6";
import { sendLeave, sendReport } from "./group-output";
import { isIpv6Enabled, isSolicited } from "./interface";
import { NET_GROUP_STATE, NET_GROUP_TIMER, NET_GROUPS, netState, netTimer } from "./net-state";
import { drawBelow } from "./random";

@final
@unmanaged
class Group {
  high: u64;
  low: u64;
  /** When the next report goes out, µs; 0: none. */
  dueAt: u64;
  /** Ports and addresses that need it; 0 in a free entry. */
  users: u32;
  /** Reports that are left of a joining. */
  repeats: u32;
  /** False for what another core speaks for. */
  reports: u32;
  unused: u32;
}

/** Since when, and until when, routers speak an older version. */
@final
@unmanaged
class Versions {
  /** µs. */
  igmp1Until: u64;
  igmp2Until: u64;
  mld1Until: u64;
}

/** A bitmap of 64 groups fits a port's record. */
export const GROUPS: u32 = 64;
const GROUP_SIZE: u32 = 40;
/** 224.0.0.1 as it lies in memory. */
export const ALL_HOSTS: u32 = 0x010000e0;
/** RFC 3376 section 8.1 and 8.11, RFC 3810 section 9: said twice, within a second each. */
const ROBUSTNESS: u32 = 2;
const UNSOLICITED_INTERVAL: u32 = 1_000_000;
/** RFC 3376 section 8.12, RFC 3810 section 9.12: 2 × 125 s + 10 s. */
const OLDER_PRESENT: u64 = 260_000_000;

let groups: u32 = 0;
let groupsEnd: u32 = 0;
let versions = changetype<Versions>(0);

/** Binds this instance to the core's groups. */
export function bindGroupTable(): void {
  groups = netState(NET_GROUPS);
  groupsEnd = groups + GROUPS * GROUP_SIZE;
  versions = changetype<Versions>(netState(NET_GROUP_STATE));
}

/** Sets the NIC's filter for what every host is a member of. */
export function prepareGroupTable(): void {
  updateFilter();
}

/** Index of a group that this core is a member of, or GROUPS. */
export function groupIndex(high: u64, low: u64): u32 {
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users != 0 && group.low == low && group.high == high)
      return (at - groups) / GROUP_SIZE;
  }
  return GROUPS;
}

/** True when this host takes packets to a group. */
export function isMember(high: u64, low: u64): bool {
  if (high == LINK_GROUP && low == ALL_NODES) return isIpv6Enabled();
  if (low == mappedLow(ALL_HOSTS) && high == 0) return true;
  return groupIndex(high, low) != GROUPS;
}

/**
 * Joins a group, once more for each of its users.
 *
 * @param reports false when another core tells the routers
 * @returns its index, or GROUPS when there is no room
 */
export function joinGroup(high: u64, low: u64, reports: bool): u32 {
  let index = groupIndex(high, low);
  if (index != GROUPS) {
    groupAt(index).users++;
    return index;
  }
  for (index = 0; index < GROUPS; index++) {
    const group = groupAt(index);
    if (group.users != 0) continue;
    group.high = high;
    group.low = low;
    group.users = 1;
    group.reports = u32(reports);
    group.repeats = ROBUSTNESS;
    group.dueAt = reports ? max<u64>(nowWide, 1) : 0;
    updateFilter();
    if (reports) runGroups();
    return index;
  }
  return GROUPS;
}

/** One user less; the last one leaves. */
export function leaveGroup(high: u64, low: u64): void {
  const index = groupIndex(high, low);
  if (index == GROUPS) return;
  const group = groupAt(index);
  if (--group.users != 0) return;
  if (group.reports != 0) sendLeave(high, low, versionFor(high, low));
  updateFilter();
}

/** Leaves the group of an index. */
export function leaveGroupAt(index: u32): void {
  const group = groupAt(index);
  leaveGroup(group.high, group.low);
}

/**
 * A router asks who is a member: of a group, or of any (an address of zeros). All answer within the time
 * it gives, at random (RFC 3376 section 5.2, RFC 3810 section 6.2).
 *
 * @param version 1 to 3 of IGMP, 1 or 2 of MLD
 * @param within ms
 */
export function heardQuery(high: u64, low: u64, version: u32, within: u32): void {
  const ipv4 = isMapped(high, low);
  if (ipv4) {
    if (version == 1) versions.igmp1Until = nowWide + OLDER_PRESENT;
    else if (version == 2) versions.igmp2Until = nowWide + OLDER_PRESENT;
  } else if (version == 1) {
    versions.mld1Until = nowWide + OLDER_PRESENT;
  }
  const all = ipv4 ? mappedIpv4(low) == 0 : (high | low) == 0;
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users == 0 || group.reports == 0) continue;
    if (isMapped(group.high, group.low) != ipv4) continue;
    if (!all && (group.low != low || group.high != high)) continue;
    const due = max<u64>(nowWide + drawBelow(within * 1000 + 1), 1);
    if (group.dueAt == 0 || due < group.dueAt) group.dueAt = due;
  }
  arm();
}

/** Somebody else has reported a group in an older version: one report is enough (RFC 2236 section 3). */
export function heardReport(high: u64, low: u64): void {
  const index = groupIndex(high, low);
  if (index == GROUPS) return;
  if (versionFor(high, low) != newestFor(high, low)) groupAt(index).dueAt = 0;
}

/** Forgets what a lost thread's application had joined; the groups of our own addresses remain. */
export function abandonGroups(): void {
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users == 0) continue;
    group.users = group.high == LINK_GROUP && isSolicited(group.low) ? 1 : 0;
  }
  updateFilter();
  arm();
}

/** The wheel's upcall. */
export function runGroups(): void {
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users == 0 || group.dueAt == 0 || group.dueAt > nowWide) continue;
    const joining = group.repeats != 0;
    if (joining) group.repeats--;
    group.dueAt = group.repeats != 0 ? nowWide + drawBelow(UNSOLICITED_INTERVAL) + 1 : 0;
    const kind = joining ? TO_EXCLUDE : MODE_IS_EXCLUDE;
    sendReport(group.high, group.low, versionFor(group.high, group.low), kind);
  }
  arm();
}

function arm(): void {
  let next: u64 = u64.MAX_VALUE;
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users != 0 && group.dueAt != 0) next = min<u64>(next, group.dueAt);
  }
  const timer = netTimer(NET_GROUP_TIMER, TIMER_GROUPS);
  if (isPending(timer)) cancelTimer(timer);
  if (next != u64.MAX_VALUE) addTimer(timer, u32(next));
}

/** The version that the routers of the link understand. */
function versionFor(high: u64, low: u64): u32 {
  if (!isMapped(high, low)) return versions.mld1Until > nowWide ? 1 : 2;
  if (versions.igmp1Until > nowWide) return 1;
  return versions.igmp2Until > nowWide ? 2 : 3;
}

function newestFor(high: u64, low: u64): u32 {
  return isMapped(high, low) ? 3 : 2;
}

/** Tells the NIC which multicast to let in. */
function updateFilter(): void {
  let filter: u64 = 0;
  let ipv4 = false;
  for (let at = groups; at < groupsEnd; at += GROUP_SIZE) {
    const group = changetype<Group>(at);
    if (group.users == 0) continue;
    if (isMapped(group.high, group.low)) {
      const address = mappedIpv4(group.low);
      filter |= filterBit(ipv4GroupHead(address), ipv4GroupTail(address));
      ipv4 = true;
    } else {
      filter |= filterBit(ipv6GroupHead(group.low), ipv6GroupTail(group.low));
    }
  }
  if (ipv4) filter |= filterBit(ipv4GroupHead(ALL_HOSTS), ipv4GroupTail(ALL_HOSTS));
  if (isIpv6Enabled()) filter |= filterBit(ipv6GroupHead(ALL_NODES), ipv6GroupTail(ALL_NODES));
  store<u64>(coreBlock + CORE_MULTICAST, filter);
}

function filterBit(head: u32, tail: u32): u64 {
  return u64(1) << (((head >> 24) ^ tail ^ (tail >> 8)) & 63);
}

function groupAt(index: u32): Group {
  return changetype<Group>(groups + index * GROUP_SIZE);
}
