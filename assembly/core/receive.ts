/**
 * Receiving: up to B packets from the RX rings, taken one per queue in turn so that no queue starves
 * another, through the gate into the batch's packet records.
 */
import {
  CACHE_LINE,
  CNT_DROP_DESCRIPTOR,
  CNT_EVENT_BACKPRESSURE,
  CNT_RX_BYTES,
  CNT_RX_PACKETS,
  CORE_PACKETS,
  DESC_ADDRESS,
  DESC_LENGTH,
  FRAME_SIZE,
  GAUGE_BUFFERS,
  GAUGE_FILL,
  METADATA_SIZE,
  PACKET_SIZE,
  RX_META_FLAGS,
  RX_META_HAS_TIME,
  RX_META_TIME,
} from "../abi";
import { bufferAt, release } from "../mem/buffers";
import { receiveFrame } from "../net/input";
import {
  Queue,
  queueAt,
  queueCount,
  refill,
  refillStarved,
  rxAvailable,
  rxPeek,
  rxRelease,
  rxTake,
  rxWaiting,
} from "../nic/rings";
import { now } from "../time/clock";
import { eventRoom } from "../user/events";
import { batchLimit, coreBlock, framesBase, framesEnd } from "./config";
import { count, countBy, gauge } from "./counters";
import { noteBatch } from "./metrics";
import { Packet } from "./packet";
import { STATE_RECEIVE } from "./state";

/** Room that one packet may need in the event array, with what its connection may add. */
const EVENTS_PER_PACKET: u32 = 8;

let packets: u32 = 0;
let parsed: u32 = 0;

/** Whose turn it is; in the core's control block. */
@final
@unmanaged
class ReceiveCursor {
  nextQueue: u32;
}

let cursor = changetype<ReceiveCursor>(0);

/** Binds this instance to the core's packet records. */
export function bindReceive(): void {
  cursor = changetype<ReceiveCursor>(coreBlock + STATE_RECEIVE);
  packets = load<u32>(coreBlock + CORE_PACKETS);
  parsed = 0;
}

/** Segments that the last `receive` left for TCP. */
export function parsedPackets(): u32 {
  return parsed;
}

export function parsedPacket(index: u32): Packet {
  return changetype<Packet>(packets + index * PACKET_SIZE);
}

/** Takes at most B packets and passes them through the gate. Returns how many it took. */
export function receive(): u32 {
  parsed = 0;
  refillStarved();
  const budget = min<u32>(batchLimit, eventRoom() / EVENTS_PER_PACKET);
  const taken = queueCount == 1 ? drainOne(queueAt(0), budget) : drainFairly(budget);
  if (taken != 0) {
    countBy(CNT_RX_PACKETS, taken);
    gauge(GAUGE_BUFFERS, taken);
    gauge(GAUGE_FILL, -i32(taken));
  }
  return taken;
}

function drainOne(queue: Queue, budget: u32): u32 {
  const waiting = rxWaiting(queue);
  if (waiting == 0) return 0;
  if (budget == 0) {
    count(CNT_EVENT_BACKPRESSURE);
    return 0;
  }
  const taken = min<u32>(waiting, budget);
  warm(queue, taken);
  noteBatch(taken, waiting, oldestDelay(queue));
  for (let i: u32 = 0; i < taken; i++) takeOne(queue);
  rxRelease(queue);
  refill(queue);
  return taken;
}

/** What `warm` loaded; written so that the loads are not optimised away, read by nobody. */
export let packetWarmth: u32 = 0;

/**
 * Touches the cache lines of the packets that are about to be taken. Another core has just written
 * them; loads in a row that nothing waits for bring them over together, not one after the other.
 */
function warm(queue: Queue, packets: u32): void {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < packets; i++) {
    const address = rxPeek(queue, i);
    if (address < framesBase || address >= framesEnd) continue;
    const line = address & ~(CACHE_LINE - 1);
    sum += load<u32>(line - CACHE_LINE) + load<u32>(line) + load<u32>(line + CACHE_LINE);
  }
  packetWarmth = sum;
}

/** How long the oldest packet of a queue that has one has waited, µs; 0 when the NIC does not say. */
function oldestDelay(queue: Queue): u32 {
  const address = rxPeek(queue, 0);
  if (address < framesBase + METADATA_SIZE || address >= framesEnd) return 0;
  const metadata = address - METADATA_SIZE;
  if (!(load<u32>(metadata, RX_META_FLAGS) & RX_META_HAS_TIME)) return 0;
  // The sender's clock may be ahead by a little.
  return max<i32>(i32(now - load<u32>(metadata, RX_META_TIME)), 0);
}

function drainFairly(budget: u32): u32 {
  let waiting: u32 = 0;
  let delay: u32 = 0;
  for (let i: u32 = 0; i < queueCount; i++) {
    const queue = queueAt(i);
    const packets = rxWaiting(queue);
    if (packets == 0) continue;
    waiting += packets;
    delay = max(delay, oldestDelay(queue));
  }
  if (waiting == 0) return 0;
  let taken: u32 = 0;
  let empty: u32 = 0;
  while (empty < queueCount) {
    const queue = queueAt(cursor.nextQueue);
    if (rxAvailable(queue) == 0) {
      empty++;
    } else {
      if (taken == budget) break;
      empty = 0;
      takeOne(queue);
      taken++;
    }
    cursor.nextQueue = cursor.nextQueue + 1 == queueCount ? 0 : cursor.nextQueue + 1;
  }
  if (budget == 0 && empty < queueCount) count(CNT_EVENT_BACKPRESSURE);
  if (taken == 0) return 0;
  noteBatch(taken, waiting, delay);
  for (let i: u32 = 0; i < queueCount; i++) {
    rxRelease(queueAt(i));
    refill(queueAt(i));
  }
  return taken;
}

function takeOne(queue: Queue): void {
  const descriptor = rxTake(queue);
  const address = load<u32>(descriptor, DESC_ADDRESS);
  const length = load<u32>(descriptor, DESC_LENGTH);
  if (address < framesBase || address >= framesEnd) {
    // Not a frame of ours: nothing to give back, so the gauges must not count it either.
    count(CNT_DROP_DESCRIPTOR);
    gauge(GAUGE_BUFFERS, -1);
    return;
  }
  const buffer = bufferAt(address);
  if (length > FRAME_SIZE - (address & (FRAME_SIZE - 1))) {
    count(CNT_DROP_DESCRIPTOR);
    release(buffer);
    return;
  }
  countBy(CNT_RX_BYTES, length);
  if (receiveFrame(buffer, address, length, parsedPacket(parsed))) parsed++;
}
