/**
 * A TAP queue behind a NIC queue pair. Every frame is one system call on the queue's file descriptor,
 * which reads into, or writes out of, the dataplane's linear memory itself: nothing is copied here.
 *
 *   tx ring ── write, or writev of a gathered packet ──► Linux;  its frames to the completion ring
 *   rx ring ◄─ read into the next frame of the fill ring ─ Linux
 *
 * The descriptor is non-blocking. Where Linux would block, the packet stays in the tx ring, or the
 * frame in the fill ring, until the next pump. Ring words are published once per batch.
 */
import {
  DESC_CONTINUED,
  DESC_METADATA,
  FRAME_HEADROOM,
  FRAME_SIZE,
  METADATA_SIZE,
  OFFLOAD_TX_CHECKSUM,
  QUEUE_COMPLETION,
  QUEUE_FILL,
  QUEUE_RX,
  QUEUE_TX,
  RING_CONSUMER,
  RING_DESCRIPTORS,
  RING_MASK,
  RING_PRODUCER,
  RX_META_CHECKSUM_OK,
  RX_META_FLAGS,
  RX_META_HAS_TIME,
  RX_META_TIME,
  TX_META_CHECKSUM,
  TX_META_CSUM_START,
  TX_META_FLAGS,
} from "../../assembly/abi.ts";
import type { BackendOptions } from "../nic/backend.ts";
import { fulfil, requestFits } from "../nic/checksum.ts";
import type { FrameObserver } from "../nic/capture.ts";
import { MemoryView, viewOf } from "../nic/memory-view.ts";
import type { PortHandle, QueueBackend } from "../nic/types.ts";
import { EAGAIN, EBADF, EBADFD, EINTR, ENOBUFS, IOVEC_SIZE, libc } from "./tap-libc.ts";
import type { Libc } from "./tap-libc.ts";
import { Steering, STEERING_GRACE } from "./tap-steering.ts";
import { type Pollable, sleep, unwatch, watch } from "./tap-poll.ts";
import {
  closedFlag,
  countersOf,
  RX_BYTES,
  RX_ERRORS,
  RX_FRAMES,
  RX_INVALID,
  RX_STARVED,
  TX_BLOCKED,
  TX_BYTES,
  TX_FRAMES,
  TX_INVALID,
  TX_REFUSED,
  type TapWire,
} from "./tap-wire.ts";

/** Frames moved per direction and pump at most, so that the kernel gets its turn. */
const BATCH = 64;
/** Descriptors of one packet at most. */
const MAX_SEGMENTS = 64;

/** struct virtio_net_hdr: u8 flags, u8 GSO type, u16 header length, u16 GSO size, u16 csum start, offset. */
const VIRTIO_HEADER_SIZE = 10;
const VIRTIO_CSUM_START = 6;
/** The checksum is for the receiver to fill in; towards us: the packet never was on a wire. */
const VIRTIO_NEEDS_CHECKSUM = 1;
/** The checksum was verified. */
const VIRTIO_CHECKSUM_VALID = 2;

/** Where a ring's words and descriptors are, as indices of 32-bit words. */
interface Ring {
  readonly producer: number;
  readonly consumer: number;
  readonly descriptors: number;
  readonly mask: number;
}

function ringAt(words: Int32Array, block: number): Ring {
  const word = (offset: number): number => words[(block + offset) >>> 2] >>> 0;
  return {
    producer: word(RING_PRODUCER) >>> 2,
    consumer: word(RING_CONSUMER) >>> 2,
    descriptors: word(RING_DESCRIPTORS) >>> 2,
    mask: word(RING_MASK),
  };
}

export class TapBackend implements QueueBackend, Pollable {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #closed: Int32Array;
  readonly #counters: Float64Array;
  /** Absent where Linux steers flows by itself. */
  readonly #steering: Steering | undefined;
  readonly #words: Int32Array;
  /** Bytes of linear memory, and where they begin in this process. */
  readonly #memorySize: number;
  readonly #memoryBase: number;
  readonly #fill: Ring;
  readonly #rx: Ring;
  readonly #tx: Ring;
  readonly #completion: Ring;
  /** Own positions, as int32: the words that only this side writes. */
  #fillTail: number;
  #rxHead: number;
  #txTail: number;
  #completionHead: number;
  /** 0, or VIRTIO_HEADER_SIZE: bytes before each frame that Linux writes and expects. */
  readonly #headerSize: number;
  /** The iovec array of a packet, native memory from #vectorBase on, then a virtio_net_hdr. */
  readonly #vector: Uint32Array;
  readonly #vectorBase: number;
  readonly #header: Uint8Array;
  readonly #memory: MemoryView;
  readonly #capture: FrameObserver | null;
  /** The port's number in the capture. */
  readonly #captured: number;
  /** A packet put together for the capture. */
  readonly #whole = new MemoryView(new ArrayBuffer(FRAME_SIZE));
  /** What #gather found out about a packet. */
  #packetBase = 0;
  #packetBytes = 0;
  #packetValid = false;
  #sendBlocked = false;
  /** The interface was deleted, or the TAP closed: a cable that was pulled. */
  #gone = false;

  /**
   * Puts queue `queue` of the TAP behind queue `queue` of the port. The backend belongs to the thread
   * that makes it, which must be the one that runs the queue's core.
   */
  constructor(port: PortHandle, queue: number, wire: TapWire, options: BackendOptions = {}) {
    if (!Number.isInteger(queue) || queue < 0 || queue >= wire.fds.length) {
      throw new RangeError(`${wire.name} has queues 0 to ${wire.fds.length - 1}, not ${queue}`);
    }
    if (queue >= port.queues.length) {
      throw new RangeError(`${port.name} has queues 0 to ${port.queues.length - 1}, not ${queue}`);
    }
    if ((port.offloads & OFFLOAD_TX_CHECKSUM) !== 0 && !wire.checksumOffload) {
      throw new TypeError(
        `${port.name} leaves checksums to its NIC, but ${wire.name} fills none in: ` +
          "create the dataplane with the TAP's `offloads`, or open the TAP with checksumOffload",
      );
    }
    this.fd = wire.fds[queue];
    this.#libc = libc();
    this.#closed = closedFlag(wire.state);
    this.#counters = countersOf(wire.state, queue);
    if (wire.reta >= 0) this.#steering = new Steering(wire.reta, wire.fds.length);

    this.#captured = options.capture?.indexOf(port) ?? -1;
    this.#capture = this.#captured < 0 ? null : options.capture!;

    const { memory } = port;
    this.#memory = viewOf(memory);
    const block = port.queues[queue];
    const { words } = this.#memory;
    this.#words = words;
    this.#memorySize = memory.buffer.byteLength;
    this.#memoryBase = this.#libc.address(new Uint8Array(memory.buffer));
    this.#fill = ringAt(words, block + QUEUE_FILL);
    this.#rx = ringAt(words, block + QUEUE_RX);
    this.#tx = ringAt(words, block + QUEUE_TX);
    this.#completion = ringAt(words, block + QUEUE_COMPLETION);
    this.#fillTail = Atomics.load(words, this.#fill.consumer);
    this.#rxHead = Atomics.load(words, this.#rx.producer);
    this.#txTail = Atomics.load(words, this.#tx.consumer);
    this.#completionHead = Atomics.load(words, this.#completion.producer);

    this.#headerSize = wire.checksumOffload ? VIRTIO_HEADER_SIZE : 0;
    // A shared buffer never moves, whatever its size.
    const headerAt = (1 + MAX_SEGMENTS) * IOVEC_SIZE;
    const native = new SharedArrayBuffer(headerAt + IOVEC_SIZE);
    this.#vector = new Uint32Array(native, 0, headerAt >>> 2);
    this.#vectorBase = this.#libc.address(new Uint8Array(native));
    this.#header = new Uint8Array(native, headerAt, VIRTIO_HEADER_SIZE);
    this.#setVector(0, this.#vectorBase + headerAt, VIRTIO_HEADER_SIZE);
    watch(this);
  }

  get wantsToReceive(): boolean {
    if (this.#gone) return false;
    return Atomics.load(this.#words, this.#fill.producer) !== this.#fillTail;
  }

  get wantsToSend(): boolean {
    return this.#sendBlocked && !this.#gone;
  }

  pump(now: number): number {
    if (Atomics.load(this.#closed, 0) !== 0) this.#gone = true;
    const sent = this.#transmit(now);
    return this.#gone ? sent : sent + this.#receive(now);
  }

  /**
   * Points flow groups to other queues of the TAP. Returns for how long, µs, frames may still come to
   * the old ones: 0 when Linux steers by itself and there is nothing to point.
   */
  steer(changes: Iterable<readonly [group: number, queue: number]>): number {
    if (this.#steering === undefined || this.#gone) return 0;
    for (const [group, queue] of changes) this.#steering.steer(group, queue);
    return STEERING_GRACE;
  }

  /** Nothing is held back in time: frames wait in rings or in Linux. */
  nextDeadline(): number {
    return Infinity;
  }

  /**
   * Blocks until a TAP queue of this thread has work, for at most `micros` µs. Only for threads of
   * their own: nothing but a frame or a signal ends it early, no doorbell either.
   */
  wait(micros: number): void {
    if (micros > 0) sleep(micros);
  }

  /** Stops waiting for the queue; the file descriptor remains the TAP's. */
  close(): void {
    unwatch(this);
    this.#capture?.flush();
  }

  /** Sends up to BATCH packets. Returns how many left the tx ring. */
  #transmit(now: number): number {
    const words = this.#words;
    const tx = this.#tx;
    const completion = this.#completion;
    const produced = Atomics.load(words, tx.producer);
    let tail = this.#txTail;
    if (tail === produced) return 0;
    let head = this.#completionHead;
    let room = completion.mask + 1 - ((head - Atomics.load(words, completion.consumer)) | 0);
    let packets = 0;
    let sent = 0;
    let bytes = 0;
    this.#sendBlocked = false;
    const observer = this.#observer();
    while (packets < BATCH && tail !== produced) {
      const segments = this.#gather(tail, produced);
      if (segments === 0 || segments > room) break;
      if (!this.#packetValid) {
        this.#counters[TX_INVALID]++;
      } else if (this.#send(segments)) {
        sent++;
        bytes += this.#packetBytes;
        if (observer !== null) this.#showSent(observer, now, tail, segments);
      } else if (this.#sendBlocked) {
        break;
      }
      for (let i = 0; i < segments; i++) {
        const from = tx.descriptors + (((tail + i) & tx.mask) << 2);
        const to = completion.descriptors + (((head + i) & completion.mask) << 1);
        words[to] = words[from];
        words[to + 1] = words[from + 1];
      }
      tail = (tail + segments) | 0;
      head = (head + segments) | 0;
      room -= segments;
      packets++;
    }
    if (packets !== 0) {
      this.#txTail = tail;
      this.#completionHead = head;
      Atomics.store(words, completion.producer, head);
      Atomics.store(words, tx.consumer, tail);
      this.#counters[TX_FRAMES] += sent;
      this.#counters[TX_BYTES] += bytes;
    }
    return packets;
  }

  /**
   * Writes the iovec array of the packet whose first descriptor is at `tail`. Returns how many
   * descriptors it has, 0 when its last one is not there yet.
   */
  #gather(tail: number, produced: number): number {
    const words = this.#words;
    const { descriptors, mask } = this.#tx;
    let segments = 0;
    let bytes = 0;
    let valid = true;
    for (;;) {
      const at = descriptors + (((tail + segments) & mask) << 2);
      const address = words[at] >>> 0;
      const length = words[at + 2] >>> 0;
      const options = words[at + 3];
      if (words[at + 1] !== 0 || address + length > this.#memorySize || segments >= MAX_SEGMENTS) {
        valid = false;
      } else {
        if (segments === 0) this.#packetBase = this.#memoryBase + address;
        // The first entry is the virtio_net_hdr's.
        this.#setVector(1 + segments, this.#memoryBase + address, length);
        if (segments === 0 && this.#headerSize !== 0) this.#describe(address, options);
      }
      bytes += length;
      segments++;
      if ((options & DESC_CONTINUED) === 0) break;
      if (((tail + segments) | 0) === produced) return 0;
    }
    this.#packetBytes = bytes;
    this.#packetValid = valid;
    return segments;
  }

  /** Fills in the virtio_net_hdr from the metadata before the packet at `address`. */
  #describe(address: number, options: number): void {
    const header = this.#header;
    header.fill(0);
    if ((options & DESC_METADATA) === 0) return;
    const at = (address - METADATA_SIZE) >>> 2;
    if ((this.#words[at + (TX_META_FLAGS >>> 2)] & TX_META_CHECKSUM) === 0) return;
    // Start and offset are two u16 side by side in both records.
    const fields = this.#words[at + (TX_META_CSUM_START >>> 2)];
    header[0] = VIRTIO_NEEDS_CHECKSUM;
    header[VIRTIO_CSUM_START] = fields;
    header[VIRTIO_CSUM_START + 1] = fields >>> 8;
    header[VIRTIO_CSUM_START + 2] = fields >>> 16;
    header[VIRTIO_CSUM_START + 3] = fields >>> 24;
  }

  /** Hands the gathered packet to Linux. False: it did not take it, perhaps because it would block. */
  #send(segments: number): boolean {
    if (this.#gone) {
      this.#counters[TX_REFUSED]++;
      return false;
    }
    let result;
    if (this.#headerSize !== 0) {
      result = this.#libc.writev(this.fd, this.#vectorBase, segments + 1);
    } else if (segments !== 1) {
      result = this.#libc.writev(this.fd, this.#vectorBase + IOVEC_SIZE, segments);
    } else {
      result = this.#libc.write(this.fd, this.#packetBase, this.#packetBytes);
    }
    if (result >= 0) return true;
    const errno = this.#libc.errno();
    if (errno === EAGAIN || errno === ENOBUFS || errno === EINTR) {
      this.#sendBlocked = true;
      this.#counters[TX_BLOCKED]++;
      return false;
    }
    this.#noteGone(errno);
    this.#counters[TX_REFUSED]++;
    return false;
  }

  /** Receives up to BATCH frames. Returns how many. */
  #receive(now: number): number {
    const words = this.#words;
    const fill = this.#fill;
    const rx = this.#rx;
    let tail = this.#fillTail;
    let head = this.#rxHead;
    const filled = (Atomics.load(words, fill.producer) - tail) | 0;
    const room = rx.mask + 1 - ((head - Atomics.load(words, rx.consumer)) | 0);
    let left = Math.min(filled, room, BATCH);
    if (left <= 0) {
      this.#counters[RX_STARVED]++;
      return 0;
    }
    const { fd } = this;
    const libc = this.#libc;
    const headerSize = this.#headerSize;
    const capacity = FRAME_SIZE - FRAME_HEADROOM + headerSize;
    const lastFrame = this.#memorySize - FRAME_SIZE;
    // A virtio_net_hdr lies just before the packet, where the metadata replaces it.
    const base = this.#memoryBase + FRAME_HEADROOM - headerSize;
    const observer = this.#observer();
    let frames = 0;
    let bytes = 0;
    for (; left > 0; left--) {
      const slot = fill.descriptors + ((tail & fill.mask) << 1);
      const frame = words[slot] >>> 0;
      if (words[slot + 1] !== 0 || (frame & 3) !== 0 || frame > lastFrame) {
        this.#counters[RX_INVALID]++;
        tail = (tail + 1) | 0;
        continue;
      }
      const length = libc.read(fd, base + frame, capacity) - headerSize;
      if (length <= 0) {
        if (length + headerSize < 0) this.#readFailed();
        break;
      }
      const packet = frame + FRAME_HEADROOM;
      const meta = (packet - METADATA_SIZE) >>> 2;
      const verdict = headerSize === 0 ? 0 : this.#verdict(packet);
      words[meta + (RX_META_FLAGS >>> 2)] = verdict | RX_META_HAS_TIME;
      words[meta + (RX_META_TIME >>> 2)] = now | 0;
      const descriptor = rx.descriptors + ((head & rx.mask) << 2);
      words[descriptor] = packet;
      words[descriptor + 1] = 0;
      words[descriptor + 2] = length;
      words[descriptor + 3] = 0;
      if (observer !== null) observer.delivered(this.#captured, now, this.#memory, packet, length);
      tail = (tail + 1) | 0;
      head = (head + 1) | 0;
      frames++;
      bytes += length;
    }
    if (tail !== this.#fillTail) {
      this.#fillTail = tail;
      Atomics.store(words, fill.consumer, tail);
    }
    if (frames !== 0) {
      this.#rxHead = head;
      Atomics.store(words, rx.producer, head);
      this.#counters[RX_FRAMES] += frames;
      this.#counters[RX_BYTES] += bytes;
    }
    return frames;
  }

  /** Who looks at frames now, if anybody. */
  #observer(): FrameObserver | null {
    const capture = this.#capture;
    return capture !== null && capture.active ? capture : null;
  }

  /** Shows the packet whose first descriptor is at `tail`, its checksum filled in. */
  #showSent(observer: FrameObserver, now: number, tail: number, segments: number): void {
    const words = this.#words;
    const { descriptors, mask } = this.#tx;
    const whole = this.#whole;
    let length = 0;
    for (let i = 0; i < segments; i++) {
      const at = descriptors + (((tail + i) & mask) << 2);
      const from = words[at] >>> 0;
      const part = Math.min(words[at + 2] >>> 0, whole.size - length);
      whole.bytes.set(this.#memory.bytes.subarray(from, from + part), length);
      length += part;
    }
    const first = descriptors + ((tail & mask) << 2);
    if ((words[first + 3] & DESC_METADATA) !== 0) {
      const meta = ((words[first] >>> 0) - METADATA_SIZE) >>> 2;
      const request = words[meta + (TX_META_CSUM_START >>> 2)];
      const wanted = (words[meta + (TX_META_FLAGS >>> 2)] & TX_META_CHECKSUM) !== 0;
      if (wanted && requestFits(request, length)) fulfil(whole, 0, length, request);
    }
    observer.sent(this.#captured, now, whole, 0, length);
  }

  /** Metadata flags for what the virtio_net_hdr before `packet` says of its checksum. */
  #verdict(packet: number): number {
    // The header begins 10 bytes before the packet: its flags are byte 2 of that word.
    const flags = this.#words[(packet - VIRTIO_HEADER_SIZE - 2) >>> 2] >>> 16;
    return (flags & (VIRTIO_NEEDS_CHECKSUM | VIRTIO_CHECKSUM_VALID)) !== 0
      ? RX_META_CHECKSUM_OK
      : 0;
  }

  #readFailed(): void {
    const errno = this.#libc.errno();
    if (errno === EAGAIN || errno === EINTR) return;
    this.#counters[RX_ERRORS]++;
    this.#noteGone(errno);
  }

  #noteGone(errno: number): void {
    if (errno === EBADFD || errno === EBADF) this.#gone = true;
  }

  #setVector(entry: number, address: number, length: number): void {
    const at = entry * (IOVEC_SIZE >>> 2);
    this.#vector[at] = address >>> 0;
    this.#vector[at + 1] = address / 0x100000000;
    this.#vector[at + 2] = length;
    this.#vector[at + 3] = 0;
  }
}
