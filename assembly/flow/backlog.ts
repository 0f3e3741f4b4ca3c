/**
 * Packets of flow groups on the move. Nobody processes them; they wait in two lists of their group, in
 * the order in which they came:
 *
 *   late    what came to the old owner after it had let go
 *   early   what the NIC brought to the new owner before that had everything
 *
 * When the new owner has entered the connections it processes the late ones first, then the early ones:
 * the NIC steered a flow to the old queue until it steered it to the new one, so this is the order in
 * which they were sent (IX: remote and local mbuf queues).
 */
import {
  CFG_FRAME_COUNT,
  CNT_DROP_FOREIGN_GROUP,
  CNT_DROP_TCP_PRESSURE,
  GAUGE_BUFFERS,
} from "../abi";
import { config } from "../core/config";
import { count, gauge } from "../core/counters";
import { Packet } from "../core/packet";
import { Buffer, framesShort, isHeld, release } from "../mem/buffers";
import { receiveFrame } from "../net/input";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import { coreId, FlowGroup, groupOf } from "./groups";

/**
 * A packet whose group this core does not process: it waits if the group is leaving from here, coming
 * here, or here and not yet up to date. Otherwise the NIC steered it wrongly and it is dropped.
 *
 * @param gone true when this core has handed its leaving groups over: their lists are the target's now
 */
export function setAside(packet: Packet, gone: bool): void {
  const group = groupOf(packet.hash);
  const comes = group.target == coreId + 1;
  const leaves = group.owner == coreId && group.target != 0;
  const settles = group.owner == coreId && group.target == 0;
  if (!comes && !settles && (!leaves || gone)) {
    count(CNT_DROP_FOREIGN_GROUP);
    release(packet.buffer);
    return;
  }
  if (framesShort()) {
    // Waiting packets must not take the frames that all others live on.
    count(CNT_DROP_TCP_PRESSURE);
    release(packet.buffer);
    return;
  }
  const buffer = packet.buffer;
  buffer.next = 0;
  buffer.address = packet.ip - ETHERNET_HEADER_SIZE;
  buffer.length = packet.l4 - buffer.address + packet.l4Length;
  if (leaves) appendLate(group, changetype<u32>(buffer));
  else appendEarly(group, changetype<u32>(buffer));
}

/** Packets of a group in the old owner's list, which go to another core: no longer on this one's gauge. */
export function giveLate(group: FlowGroup): u32 {
  const packets = lengthOf(group.lateHead);
  gauge(GAUGE_BUFFERS, -i32(packets));
  return packets;
}

/** The same on the core that they go to. */
export function takeLate(group: FlowGroup): void {
  gauge(GAUGE_BUFFERS, lengthOf(group.lateHead));
}

/** Makes one list of what waits for a group that goes on to another core: early packets follow late ones. */
export function joinWaiting(group: FlowGroup): void {
  if (group.earlyHead == 0) return;
  if (group.lateTail == 0) group.lateHead = group.earlyHead;
  else changetype<Buffer>(group.lateTail).next = group.earlyHead;
  group.lateTail = group.earlyTail;
  group.earlyHead = 0;
  group.earlyTail = 0;
}

/** True when no packet of the group waits. */
export function isCaughtUp(group: FlowGroup): bool {
  return (group.lateHead | group.earlyHead) == 0;
}

/**
 * Takes the oldest packet that waits, through the gate once more; `packet` is filled when the result is
 * true. To be called while there is one.
 */
export function takeWaiting(group: FlowGroup, packet: Packet): bool {
  let buffer = changetype<Buffer>(group.lateHead);
  if (group.lateHead != 0) {
    group.lateHead = buffer.next;
    if (buffer.next == 0) group.lateTail = 0;
  } else {
    buffer = changetype<Buffer>(group.earlyHead);
    group.earlyHead = buffer.next;
    if (buffer.next == 0) group.earlyTail = 0;
  }
  buffer.next = 0;
  return receiveFrame(buffer, buffer.address, buffer.length, packet);
}

function appendLate(group: FlowGroup, buffer: u32): void {
  if (group.lateTail == 0) group.lateHead = buffer;
  else changetype<Buffer>(group.lateTail).next = buffer;
  group.lateTail = buffer;
}

function appendEarly(group: FlowGroup, buffer: u32): void {
  if (group.earlyTail == 0) group.earlyHead = buffer;
  else changetype<Buffer>(group.earlyTail).next = buffer;
  group.earlyTail = buffer;
}

function lengthOf(first: u32): u32 {
  let packets: u32 = 0;
  for (let at = first; at != 0; at = changetype<Buffer>(at).next) packets++;
  return packets;
}

/** Mends the old owner's list when its thread was lost, as far as it is whole. Returns its length. */
export function mendLate(group: FlowGroup): u32 {
  const packets = cut(group.lateHead);
  if (packets == 0) group.lateHead = 0;
  group.lateTail = lastOf(group.lateHead);
  return packets;
}

/** The same for the new owner's list, and its thread. */
export function mendEarly(group: FlowGroup): u32 {
  const packets = cut(group.earlyHead);
  if (packets == 0) group.earlyHead = 0;
  group.earlyTail = lastOf(group.earlyHead);
  return packets;
}

/** Ends a list where it leads to what is no packet in use. Returns its length. */
function cut(first: u32): u32 {
  const most = config(CFG_FRAME_COUNT);
  let packets: u32 = 0;
  let last: u32 = 0;
  for (let at = first; isHeld(at) && packets < most; at = changetype<Buffer>(at).next) {
    last = at;
    packets++;
  }
  if (last != 0) changetype<Buffer>(last).next = 0;
  return packets;
}

function lastOf(first: u32): u32 {
  let last: u32 = 0;
  for (let at = first; at != 0; at = changetype<Buffer>(at).next) last = at;
  return last;
}
