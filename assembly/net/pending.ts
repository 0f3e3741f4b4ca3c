/**
 * Frames that wait for a neighbour's MAC address: per neighbour a short queue, oldest first. The
 * frames may be linked into TCP's own lists at the same time, so the queue links frameless buffer
 * records instead, one per frame:
 *
 *   neighbour.pending ─→ last ─→ first ─→ second ─→ … ─→ last
 *                          record: address, length, flags (descriptor options), info (the buffer)
 *
 * The queue holds every frame in it. When it is full the oldest frame goes, which its sender has
 * most likely given up (RFC 1122 section 2.3.2.2 asks for at least the latest one to be kept).
 */
import {
  CNT_DROP_NEIGHBOUR_FAILED,
  CNT_DROP_NEIGHBOUR_PENDING,
  CORE_FRAME_END,
  CORE_FRAME_FIRST,
  GAUGE_NEIGHBOUR_PENDING,
} from "../abi";
import { coreBlock } from "../core/config";
import { count, gauge } from "../core/counters";
import { STATE_PENDING } from "../core/state";
import { allocRecord, Buffer, hold, isHeld, release } from "../mem/buffers";
import { txPut, txRoom } from "../nic/rings";
import { tcpHostUnreachable } from "../tcp/errors";
import { setTuple } from "../tcp/tuple";
import { ETHERNET_HEADER_SIZE } from "../wire/ethernet";
import {
  ipv4Destination,
  ipv4Protocol,
  ipv4Source,
  ipv4Version,
  IPV4_HEADER_SIZE,
} from "../wire/ipv4";
import {
  ipv6DestinationHigh,
  ipv6DestinationLow,
  ipv6NextHeader,
  ipv6SourceHigh,
  ipv6SourceLow,
  IPV6_HEADER_SIZE,
  mappedLow,
} from "../wire/ipv6";
import { TCP_PROTOCOL } from "../wire/tcp";
import { Neighbour } from "./neighbour-table";
import { emitEthernet } from "./neighbours";

/** Frames that wait for one neighbour at most: a long datagram's, or the SYNs of many connections. */
export const PENDING_MAX: u32 = 64;

/** Frames that wait on this core; in its control block. */
@final
@unmanaged
class WaitingFrames {
  waiting: u32;
}

let frames = changetype<WaitingFrames>(0);
/** How many may: an eighth of its frames. */
let waitingMax: u32 = 0;

/** Binds this instance to the core. */
export function bindPending(): void {
  const share = load<u32>(coreBlock + CORE_FRAME_END) - load<u32>(coreBlock + CORE_FRAME_FIRST);
  waitingMax = max<u32>(share >> 3, 1);
  frames = changetype<WaitingFrames>(coreBlock + STATE_PENDING);
}

/**
 * Queues a frame behind a neighbour; one that is queued already keeps its place.
 *
 * @returns false when it was dropped, which has been counted
 */
export function appendPending(
  n: Neighbour,
  buffer: Buffer,
  frame: u32,
  length: u32,
  options: u32,
): bool {
  let queued: u32 = 0;
  if (n.pending != 0) {
    let node = changetype<Buffer>(n.pending);
    do {
      node = changetype<Buffer>(node.next);
      if (node.address == frame) {
        node.length = length;
        node.flags = <u16>options;
        return true;
      }
      queued++;
    } while (changetype<u32>(node) != n.pending);
  }
  if (queued != 0 && (queued >= PENDING_MAX || frames.waiting >= waitingMax)) {
    dropNode(takeFirst(n));
    count(CNT_DROP_NEIGHBOUR_PENDING);
  }
  const node = frames.waiting < waitingMax ? allocRecord() : null;
  if (node == null) {
    count(CNT_DROP_NEIGHBOUR_PENDING);
    return false;
  }
  hold(buffer);
  node.address = frame;
  node.length = length;
  node.flags = <u16>options;
  node.info = changetype<u32>(buffer);
  append(n, node);
  return true;
}

/** Sends everything that waits for a neighbour whose address is known now. */
export function flushPending(n: Neighbour): void {
  while (n.pending != 0) {
    const node = takeFirst(n);
    if (txRoom(1)) {
      emitEthernet(node.address, n);
      txPut(changetype<Buffer>(node.info), node.address, node.length, node.flags);
    }
    dropNode(node);
  }
}

/**
 * Drops everything that waits for a neighbour that did not answer, and tells TCP about each of its
 * segments. That may end connections and even queue new frames behind the same neighbour, so the
 * queue is taken away first.
 */
export function discardPending(n: Neighbour): void {
  const last = n.pending;
  if (last == 0) return;
  n.pending = 0;
  let at = changetype<Buffer>(last).next;
  changetype<Buffer>(last).next = 0;
  while (at != 0) {
    const node = changetype<Buffer>(at);
    at = node.next;
    count(CNT_DROP_NEIGHBOUR_FAILED);
    const ip = node.address + ETHERNET_HEADER_SIZE;
    tellTcp(ip);
    dropNode(node);
  }
}

/** Packets of ours have no options, and TCP's no extension headers. */
function tellTcp(ip: u32): void {
  if (ipv4Version(ip) == 4) {
    if (ipv4Protocol(ip) != TCP_PROTOCOL) return;
    setTuple(0, mappedLow(ipv4Source(ip)), 0, mappedLow(ipv4Destination(ip)));
    tcpHostUnreachable(load<u32>(ip + IPV4_HEADER_SIZE));
  } else if (ipv6NextHeader(ip) == TCP_PROTOCOL) {
    setTuple(
      ipv6SourceHigh(ip),
      ipv6SourceLow(ip),
      ipv6DestinationHigh(ip),
      ipv6DestinationLow(ip),
    );
    tcpHostUnreachable(load<u32>(ip + IPV6_HEADER_SIZE));
  }
}

function append(n: Neighbour, node: Buffer): void {
  frames.waiting++;
  gauge(GAUGE_NEIGHBOUR_PENDING, 1);
  if (n.pending == 0) {
    node.next = changetype<u32>(node);
  } else {
    const last = changetype<Buffer>(n.pending);
    node.next = last.next;
    last.next = changetype<u32>(node);
  }
  n.pending = changetype<u32>(node);
}

function takeFirst(n: Neighbour): Buffer {
  const last = changetype<Buffer>(n.pending);
  const first = changetype<Buffer>(last.next);
  if (first == last) n.pending = 0;
  else last.next = first.next;
  return first;
}

/** Gives back a record that is out of its queue, and the queue's hold of its frame. */
function dropNode(node: Buffer): void {
  frames.waiting--;
  gauge(GAUGE_NEIGHBOUR_PENDING, -1);
  release(changetype<Buffer>(node.info));
  release(node);
}

/** Frees what waits for a neighbour when the core's thread was lost, as far as the queue is whole. */
export function abandonPending(n: Neighbour): void {
  let at = n.pending;
  n.pending = 0;
  while (isHeld(at)) {
    const node = changetype<Buffer>(at);
    at = node.next;
    if (isHeld(node.info)) release(changetype<Buffer>(node.info));
    release(node);
  }
}

/** Forgets how many wait. */
export function abandonWaiting(): void {
  frames.waiting = 0;
  store<u32>(coreBlock + GAUGE_NEIGHBOUR_PENDING, 0);
}
