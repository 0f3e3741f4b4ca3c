/**
 * Where things lie in a port's shared state: byte offsets, each group on cache lines of its own.
 *
 *      0  control words     selector, promiscuous, multicast, control lock, filters now and ever,
 *                         version
 *     64  port counters     u64 each, any sender (atomic, carried by hand)
 *    128  line              lock, and when the transmitter is idle again (f64 µs)
 *    192  line from switch  the same for the way from a switch to the port
 *    512  RETA              two tables of 128 words; the selector says which is in force
 *   1536  queues            QUEUE_STATE_SIZE each
 *      …  filters           FILTER_SLOTS of FILTER_SIZE
 */

/** Which of the two RETA tables is in force: 0 or 1. */
export const STATE_RETA_SELECTOR = 0;
export const STATE_PROMISCUOUS = 4;
export const STATE_MULTICAST = 8;
/** Held by whoever changes RETA or filters. */
export const STATE_CONTROL_LOCK = 12;
export const STATE_FILTER_COUNT = 16;
/** Filters ever added: what tells a slot's filters apart. */
export const STATE_FILTER_GENERATION = 20;
/** Changes of RETA and filters so far. */
export const STATE_VERSION = 24;

/** Port counters, two words each, low first. */
export const STATE_COUNTERS = 64;
export const PORT_COUNTERS = ["macFilter", "tooLong", "senderStuck"] as const;

/** The serialising line that all queues of the port share, and the one from a switch to the port. */
export const STATE_LINE = 128;
export const STATE_LINE_FROM_SWITCH = 192;
/** Within a line. */
export const LINE_LOCK = 0;
export const LINE_FREE_AT = 8;

export const STATE_RETA = 512;
export const RETA_BYTES = 512;

export const STATE_QUEUES = 1536;
export const QUEUE_STATE_SIZE = 320;
/** Within a queue's state: the lock of its fill and rx rings, alone on its line. */
export const QUEUE_LOCK = 0;
/** Counters of what arrives, f64 each, written under the lock. */
export const QUEUE_RX_COUNTERS = 64;
export const RX_COUNTERS = [
  "received",
  "receivedBytes",
  "noFillDescriptor",
  "badFillDescriptor",
  "rxRingFull",
  "badChecksum",
] as const;
/** Counters of what leaves, f64 each, written by the queue's own backend. */
export const QUEUE_TX_COUNTERS = 128;
export const TX_COUNTERS = [
  "sent",
  "sentBytes",
  "badDescriptor",
  "badChain",
  "tooShort",
  "badChecksumRequest",
  "linkDelivered",
  "linkLost",
  "linkDuplicated",
  "linkCorrupted",
  "linkReordered",
  "linkQueueDropped",
  "linkMarked",
  "storeFull",
  "switchFiltered",
  "switchBlocked",
] as const;

/** Exact-match filters: open addressing, at most half full. */
export const MAX_FILTERS = 8192;
export const FILTER_SLOTS = 16384;
export const FILTER_SIZE = 64;

export function filtersOffset(queues: number): number {
  return STATE_QUEUES + Math.ceil((queues * QUEUE_STATE_SIZE) / 64) * 64;
}

export function stateSize(queues: number): number {
  return filtersOffset(queues) + FILTER_SLOTS * FILTER_SIZE;
}
