/**
 * What all threads that use a TAP share: its file descriptors, its counters, and whether it was closed.
 */

/**
 * A TAP as any thread of this process can reach it: plain data that survives structured cloning. File
 * descriptors belong to the process, so a worker uses them by number.
 */
export interface TapWire {
  readonly kind: "tap";
  /** The interface's name on Linux's side. */
  readonly name: string;
  /** One file descriptor per queue. */
  readonly fds: readonly number[];
  /** Every frame is preceded by a struct virtio_net_hdr, which says what of its checksum is done. */
  readonly checksumOffload: boolean;
  /** File descriptor of the table that steers flow groups to queues; -1 when Linux steers by itself. */
  readonly reta: number;
  /** A flag that the TAP was closed, then the counters of each queue. */
  readonly state: SharedArrayBuffer;
}

/** What each queue counts, in the order of its cells in TapWire.state. */
export const TAP_COUNTERS = [
  "rxFrames",
  "rxBytes",
  "txFrames",
  "txBytes",
  /** Times that Linux would block; the packet was sent by a later pump. */
  "txBlocked",
  /** Packets that Linux refused: its interface is down or gone, or the packet is no frame. */
  "txRefused",
  /** Packets outside linear memory, or of more than MAX_SEGMENTS descriptors; not sent. */
  "txInvalid",
  /** Pumps that could not receive: no frame in the fill ring, or no place in the rx ring. */
  "rxStarved",
  /** Addresses in the fill ring that are no frame; skipped. */
  "rxInvalid",
  /** Errors of reading other than that nothing is there. */
  "rxErrors",
] as const;

export type TapCounters = Record<(typeof TAP_COUNTERS)[number], number>;

export const RX_FRAMES = 0;
export const RX_BYTES = 1;
export const TX_FRAMES = 2;
export const TX_BYTES = 3;
export const TX_BLOCKED = 4;
export const TX_REFUSED = 5;
export const TX_INVALID = 6;
export const RX_STARVED = 7;
export const RX_INVALID = 8;
export const RX_ERRORS = 9;

/** The closed flag and each queue's counters have cache lines of their own. */
const STATE_HEADER = 64;
const STATE_PER_QUEUE = 128;

export function createTapState(queues: number): SharedArrayBuffer {
  return new SharedArrayBuffer(STATE_HEADER + queues * STATE_PER_QUEUE);
}

/** Counters of one queue: doubles, exact up to 2^53. */
export function countersOf(state: SharedArrayBuffer, queue: number): Float64Array {
  return new Float64Array(state, STATE_HEADER + queue * STATE_PER_QUEUE, TAP_COUNTERS.length);
}

/** One word: 1 tells all backends, on whatever thread, to leave the file descriptors alone. */
export function closedFlag(state: SharedArrayBuffer): Int32Array {
  return new Int32Array(state, 0, 1);
}
