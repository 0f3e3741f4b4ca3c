/**
 * The four rings of a NIC queue pair, from the kernel's side. They have AF_XDP's shape: single
 * producer, single consumer, free-running u32 producer and consumer words, power-of-two descriptors.
 *
 *            producer   consumer   descriptor
 *   fill     kernel     NIC        u64 address of an empty frame
 *   rx       NIC        kernel     u64 address, u32 length, u32 options
 *   tx       kernel     NIC        u64 address, u32 length, u32 options
 *   compl.   NIC        kernel     u64 address of a frame that was sent
 *
 * The other side's word is read, and the own word published, once per batch.
 */
import {
  ADDRESS_DESC_SIZE,
  CNT_FILL_STARVED,
  CNT_TX_PACKETS,
  CNT_TX_BYTES,
  CNT_TX_RING_FULL,
  CORE_QUEUES,
  CORE_QUEUE_TABLE,
  DESC_ADDRESS,
  DESC_CONTINUED,
  DESC_LENGTH,
  DESC_OPTIONS,
  GAUGE_FILL,
  PACKET_DESC_SIZE,
  QUEUE_SIZE,
} from "../abi";
import { coreBlock, framesBase, framesEnd } from "../core/config";
import { count, countBy, gauge } from "../core/counters";
import { STATE_RINGS } from "../core/state";
import {
  allocReceiveFrame,
  Buffer,
  bufferAt,
  frameOf,
  freeFrames,
  hold,
  release,
} from "../mem/buffers";

/** The queue's block: the host's description of the rings, then the kernel's own positions. */
@final
@unmanaged
export class Queue {
  fillProducer: u32;
  fillConsumer: u32;
  fillFlags: u32;
  fillDescriptors: u32;
  fillMask: u32;

  rxProducer: u32;
  rxConsumer: u32;
  rxFlags: u32;
  rxDescriptors: u32;
  rxMask: u32;

  txProducer: u32;
  txConsumer: u32;
  txFlags: u32;
  txDescriptors: u32;
  txMask: u32;

  completionProducer: u32;
  completionConsumer: u32;
  completionFlags: u32;
  completionDescriptors: u32;
  completionMask: u32;

  core: u32;
  unused0: u32;
  unused1: u64;
  unused2: u64;
  unused3: u64;
  unused4: u64;
  unused5: u64;

  /** QUEUE_PRIVATE: next position to write in fill, and what has been published of it. */
  fillHead: u32;
  /** Next rx position to read, and the producer word when it was last looked at. */
  rxTail: u32;
  rxSeen: u32;
  /** Next tx position to write, what has been published, and the consumer word last seen. */
  txHead: u32;
  txPublished: u32;
  txSeen: u32;
  /** Next completion position to read, and what is to be added to compare it with tx positions. */
  completionTail: u32;
  completionBias: u32;
  /** Positions that `markTx` and `markRx` noted. */
  txMark: u32;
  rxMark: u32;
  /** No payload before this tx position is still to be read where the application has it (references.ts). */
  txReferring: u32;
}

/** Refills of fewer descriptors wait for more, as PCIe writes did in the paper (section 3). */
const REFILL_BATCH: u32 = 32;

export let queueCount: u32 = 0;
let queueTable: u32 = 0;

/** What concerns all queues of the core; in its control block. */
@final
@unmanaged
class Rings {
  /** True when a fill ring lacks frames because none were free. */
  fillStarved: bool;
  /** True when nothing is sent any more: the core's thread was lost, and with it its side of the NIC. */
  silent: bool;
}

let rings = changetype<Rings>(0);
/** The queue this core sends on. */
let txQueue: Queue = changetype<Queue>(0);
/** True when the NIC was done with all that was queued before this iteration. */
export let txWasClear: bool = false;

/** Binds this instance to the core's queues. */
export function bindRings(): void {
  rings = changetype<Rings>(coreBlock + STATE_RINGS);
  queueCount = load<u32>(coreBlock + CORE_QUEUES);
  queueTable = load<u32>(coreBlock + CORE_QUEUE_TABLE);
  txQueue = queueAt(0);
}

/** Takes up the rings where they stand and gives the NIC empty frames. */
export function prepareRings(): void {
  for (let i: u32 = 0; i < queueCount; i++) {
    const queue = queueAt(i);
    queue.fillHead = atomic.load<u32>(queue.fillProducer);
    queue.rxTail = atomic.load<u32>(queue.rxConsumer);
    queue.rxSeen = queue.rxTail;
    queue.txHead = atomic.load<u32>(queue.txProducer);
    queue.txPublished = queue.txHead;
    queue.txSeen = atomic.load<u32>(queue.txConsumer);
    queue.txReferring = queue.txSeen;
    queue.completionTail = atomic.load<u32>(queue.completionConsumer);
    queue.completionBias = queue.txHead - queue.completionTail;
    refill(queue);
  }
}

export function queueAt(index: u32): Queue {
  return changetype<Queue>(queueTable + index * QUEUE_SIZE);
}

/** Gives the NIC empty frames once REFILL_BATCH of them are missing. */
export function refill(queue: Queue): void {
  const entries = queue.fillMask + 1;
  const missing = entries - (queue.fillHead - atomic.load<u32>(queue.fillConsumer));
  if (missing < REFILL_BATCH) return;
  let head = queue.fillHead;
  const end = head + missing;
  while (head != end) {
    const buffer = allocReceiveFrame();
    if (buffer == null) {
      count(CNT_FILL_STARVED);
      rings.fillStarved = true;
      break;
    }
    const slot = queue.fillDescriptors + (head & queue.fillMask) * ADDRESS_DESC_SIZE;
    store<u64>(slot, u64(frameOf(buffer)));
    head++;
  }
  if (head == queue.fillHead) return;
  gauge(GAUGE_FILL, head - queue.fillHead);
  queue.fillHead = head;
  atomic.store<u32>(queue.fillProducer, head);
}

/**
 * Tries again what `refill` could not do for want of frames. A NIC without a single empty frame
 * receives nothing, so this must not wait for a packet.
 */
export function refillStarved(): void {
  if (!rings.fillStarved || freeFrames() == 0) return;
  rings.fillStarved = false;
  for (let i: u32 = 0; i < queueCount; i++) refill(queueAt(i));
}

/** Looks at the NIC's word; returns how many received packets wait. */
export function rxWaiting(queue: Queue): u32 {
  queue.rxSeen = atomic.load<u32>(queue.rxProducer);
  return queue.rxSeen - queue.rxTail;
}

/** Received packets that waited when the NIC's word was looked at and were not taken yet. */
export function rxAvailable(queue: Queue): u32 {
  return queue.rxSeen - queue.rxTail;
}

/** Address of the packet `ahead` places behind the oldest one; at most as many as are available. */
export function rxPeek(queue: Queue, ahead: u32): u32 {
  const slot = (queue.rxTail + ahead) & queue.rxMask;
  return load<u32>(queue.rxDescriptors + slot * PACKET_DESC_SIZE, DESC_ADDRESS);
}

/** Address of the oldest received descriptor, which is thereby taken. */
export function rxTake(queue: Queue): u32 {
  const slot = queue.rxDescriptors + (queue.rxTail & queue.rxMask) * PACKET_DESC_SIZE;
  queue.rxTail++;
  return slot;
}

/** Tells the NIC how far its rx ring has been read. */
export function rxRelease(queue: Queue): void {
  atomic.store<u32>(queue.rxConsumer, queue.rxTail);
}

/** True when `descriptors` more fit the TX ring; otherwise counts and says no. */
export function txRoom(descriptors: u32): bool {
  const queue = txQueue;
  const limit = queue.txMask + 1 - descriptors;
  if (queue.txHead - queue.txSeen <= limit) return true;
  queue.txSeen = seenTx(queue);
  if (queue.txHead - queue.txSeen <= limit) return true;
  count(CNT_TX_RING_FULL);
  return false;
}

/** How far the NIC has read the TX ring; one that is silent looks full for ever. */
function seenTx(queue: Queue): u32 {
  if (rings.silent) return queue.txHead - queue.txMask - 1;
  return atomic.load<u32>(queue.txConsumer);
}

/** True when not even one segment with a referenced payload fits the TX ring. */
export function txIsFull(): bool {
  const queue = txQueue;
  if (queue.txHead - queue.txSeen < queue.txMask) return false;
  queue.txSeen = seenTx(queue);
  return queue.txHead - queue.txSeen >= queue.txMask;
}

/**
 * Queues one descriptor; the room must have been asked for. `buffer` owns the frame around `address`
 * and is held until the NIC is done with it.
 *
 * @param options `DESC_*`
 */
export function txPut(buffer: Buffer, address: u32, length: u32, options: u32): void {
  hold(buffer);
  txPutForeign(address, length, options);
}

/** Queues a descriptor of memory that is no frame, and that its owner keeps as it is until the NIC is done. */
export function txPutForeign(address: u32, length: u32, options: u32): void {
  const queue = txQueue;
  const slot = queue.txDescriptors + (queue.txHead & queue.txMask) * PACKET_DESC_SIZE;
  store<u64>(slot, u64(address), DESC_ADDRESS);
  store<u32>(slot, length, DESC_LENGTH);
  store<u32>(slot, options, DESC_OPTIONS);
  queue.txHead++;
  countBy(CNT_TX_BYTES, length);
  if (!(options & DESC_CONTINUED)) count(CNT_TX_PACKETS);
}

/** The doorbell: publishes everything queued since the last one. Returns the descriptors published. */
export function txDoorbell(): u32 {
  const queue = txQueue;
  const published = queue.txHead - queue.txPublished;
  if (published != 0) {
    atomic.store<u32>(queue.txProducer, queue.txHead);
    queue.txPublished = queue.txHead;
  }
  return published;
}

/**
 * Gives up sending when the core's thread was lost: what the NIC has not begun to send is dropped, and
 * what it still says of the rest is not listened to.
 */
export function silenceTx(): void {
  txReclaim();
  const queue = txQueue;
  const sent = atomic.load<u32>(queue.txConsumer);
  const descriptors = queue.txHead - sent;
  for (let i: u32 = 0; i < descriptors && i <= queue.txMask; i++) {
    const slot = queue.txDescriptors + ((sent + i) & queue.txMask) * PACKET_DESC_SIZE;
    const address = load<u32>(slot, DESC_ADDRESS);
    if (address < framesBase || address >= framesEnd) continue;
    const buffer = bufferAt(address);
    if (buffer.holds != 0) release(buffer);
  }
  atomic.store<u32>(queue.txProducer, sent);
  queue.txHead = sent;
  queue.txPublished = sent;
  queue.txMark = sent;
  queue.completionBias = sent - queue.completionTail;
  rings.silent = true;
  txWasClear = false;
  queue.txSeen = seenTx(queue);
}

/** Sends again, once the core is as good as any; nothing of what the NIC had before is still with it. */
export function endSilence(): void {
  if (!rings.silent) return;
  rings.silent = false;
  const queue = txQueue;
  queue.completionTail = atomic.load<u32>(queue.completionProducer);
  queue.completionBias = queue.txHead - queue.completionTail;
  atomic.store<u32>(queue.completionConsumer, queue.completionTail);
  queue.txSeen = atomic.load<u32>(queue.txConsumer);
}

/** True between `silenceTx` and `endSilence`. */
export function txIsSilent(): bool {
  return rings.silent;
}

/** Counts what the NIC holds anew; what was taken and not yet processed is lost. */
export function recountFill(): void {
  let held: u32 = 0;
  for (let i: u32 = 0; i < queueCount; i++) {
    const queue = queueAt(i);
    const filled = atomic.load<u32>(queue.fillProducer);
    queue.fillHead = filled;
    held += filled - atomic.load<u32>(queue.fillConsumer);
    const waiting = atomic.load<u32>(queue.rxProducer) - queue.rxTail;
    if (waiting <= queue.rxMask + 1) held += waiting;
    else queue.rxTail = atomic.load<u32>(queue.rxProducer);
    queue.rxSeen = queue.rxTail;
    rxRelease(queue);
  }
  store<u32>(coreBlock + GAUGE_FILL, held);
}

/** Notes how far has been queued for sending. */
export function markTx(): void {
  txQueue.txMark = txQueue.txHead;
}

/** True when the NIC needs nothing any more of what was queued before `markTx`. */
export function txPassed(): bool {
  const queue = txQueue;
  return i32(queue.completionTail + queue.completionBias - queue.txMark) >= 0;
}

/** Notes how far the NIC has received. */
export function markRx(): void {
  for (let i: u32 = 0; i < queueCount; i++) {
    const queue = queueAt(i);
    queue.rxMark = atomic.load<u32>(queue.rxProducer);
  }
}

/** True when all that was received before `markRx` has been taken. */
export function rxPassed(): bool {
  for (let i: u32 = 0; i < queueCount; i++) {
    const queue = queueAt(i);
    if (i32(queue.rxTail - queue.rxMark) < 0) return false;
  }
  return true;
}

/** Takes back the frames that the NIC has sent. */
export function txReclaim(): void {
  if (rings.silent) return;
  const queue = txQueue;
  const produced = atomic.load<u32>(queue.completionProducer);
  let tail = queue.completionTail;
  txWasClear = produced + queue.completionBias == queue.txHead;
  if (tail == produced) return;
  while (tail != produced) {
    const slot = queue.completionDescriptors + (tail & queue.completionMask) * ADDRESS_DESC_SIZE;
    const address = load<u32>(slot);
    if (address >= framesBase && address < framesEnd) release(bufferAt(address));
    tail++;
  }
  queue.completionTail = tail;
  atomic.store<u32>(queue.completionConsumer, tail);
}
