/**
 * The DMA engine of one queue pair's sending side: takes frames from the TX ring and puts each into a
 * receive buffer of the port it is for, in that port's own memory. The thread of the sending core
 * runs it, so a frame is copied once, by the core that made it.
 *
 *   TX ring → batch → link? → steer: MAC, RSS hash, checksum state, switch → per receiving queue: copy,
 *   metadata, rx descriptor → one publication per ring and batch → completions
 *
 * On a perfect wire frames go straight from memory to memory. A batch is steered first: each frame is
 * listed with the queue it goes to; then queue after queue is delivered under its lock. So no sender waits
 * for one queue while it holds another, and copies to different queues go on side by side.
 */
import { OFFLOAD_TX_CHECKSUM } from "../../assembly/abi.ts";
import {
  BATCH,
  FRAME_ADDRESS,
  FRAME_CHECKSUM,
  FRAME_FRAGMENTS,
  FRAME_HASH,
  FRAME_LENGTH,
  FRAME_SLOT,
  FRAME_STATE,
  FRAME_WORDS,
  FrameBatch,
  HASHED,
  REQUESTED,
  TRUSTED,
  UNUSUAL,
  VERIFIABLE,
} from "./batch.ts";
import type { Capture } from "./capture.ts";
import { fulfil, requestFits } from "./checksum.ts";
import { Classifier, headersFit } from "./classifier.ts";
import { FrameStore } from "./frame-store.ts";
import { isPerfect, Link } from "./link.ts";
import { Port } from "./port.ts";
import { TX_COUNTERS } from "./port-state.ts";
import { MAX_FRAME, RxQueue } from "./rx-queue.ts";
import { MacTable } from "./switch.ts";
import { TxQueue } from "./tx-queue.ts";
import type { PortHandle, QueueBackend, Wire } from "./types.ts";

export interface BackendOptions {
  /** Sees what this queue sends, and what this backend delivers to ports it captures. */
  readonly capture?: Capture;
}

const BAD_CHECKSUM_REQUEST = TX_COUNTERS.indexOf("badChecksumRequest");
const STORE_FULL = TX_COUNTERS.indexOf("storeFull");
const SWITCH_FILTERED = TX_COUNTERS.indexOf("switchFiltered");

/** A port that this backend can deliver to. */
interface Destination {
  readonly port: Port;
  readonly queues: readonly RxQueue[];
  /** Number of the port in the capture, -1: not captured. */
  readonly captured: number;
}

/**
 * Makes the engine that sends what `from` puts into the TX ring of its queue. It belongs to the thread
 * that makes it, which must be the one that runs the queue's core; a queue has one at a time.
 *
 * @throws RangeError when the port has no such queue, or an option of the wire is outside its range
 */
export function createBackend(
  from: PortHandle,
  queue: number,
  wire: Wire,
  options: BackendOptions = {},
): QueueBackend {
  return new Backend(from, queue, wire, options);
}

class Backend implements QueueBackend {
  readonly #port: Port;
  readonly #counters: number;
  readonly #tx: TxQueue;
  readonly #batch: FrameBatch;
  readonly #classifier = new Classifier();

  readonly #link: Link | null;
  readonly #destinations: readonly Destination[];
  /** Switch: its table, and which destination is this port itself. A cable has one destination. */
  readonly #table: MacTable | null;
  readonly #self: number;

  readonly #capture: Capture | null;
  readonly #captured: number;

  /** Queues that have frames of this batch listed, and the ports they belong to. */
  readonly #busy: RxQueue[] = [];
  readonly #busyAt: Destination[] = [];

  constructor(from: PortHandle, queue: number, wire: Wire, options: BackendOptions) {
    if (!Number.isInteger(queue) || queue < 0 || queue >= from.queues.length) {
      throw new RangeError(`queue: ${queue} is not in 0…${from.queues.length - 1}`);
    }
    const store = new FrameStore();
    this.#port = new Port(from);
    this.#counters = this.#port.txCounters(queue);
    this.#tx = new TxQueue(this.#port, queue, (from.offloads & OFFLOAD_TX_CHECKSUM) !== 0);
    this.#batch = new FrameBatch(this.#port.memory, store);
    this.#link = isPerfect(wire.options) ? null : new Link(wire.options, store, this.#port, queue);
    this.#capture = options.capture ?? null;
    this.#captured = this.#capture?.indexOf(from) ?? -1;
    const handles = wire.kind === "link" ? [wire.to] : wire.ports;
    this.#destinations = handles.map((handle) => {
      const port = new Port(handle);
      const queues = handle.queues.map((_, i) => new RxQueue(port, i));
      return { port, queues, captured: this.#capture?.indexOf(handle) ?? -1 };
    });
    this.#table = wire.kind === "switch" ? new MacTable(wire.table) : null;
    this.#self = wire.kind === "switch" ? wire.port : -1;
  }

  pump(now: number): number {
    const link = this.#link;
    let moved = 0;
    if (this.#tx.begin()) moved = this.#transmit(now);
    if (link !== null && link.nextDue <= now) moved += this.#deliverDue(link, now);
    return moved;
  }

  nextDeadline(): number {
    return this.#link === null ? Infinity : this.#link.nextDue;
  }

  close(): void {
    this.#capture?.flush();
  }

  /** Takes everything from the TX ring. Returns how many frames that were. */
  #transmit(now: number): number {
    const batch = this.#batch;
    let frames = 0;
    while (this.#tx.read(batch) !== 0) {
      frames += batch.count;
      if (this.#captured >= 0) this.#captureSent(now);
      if (this.#link !== null) this.#admit(this.#link, now);
      else this.#deliver(now);
      batch.clear();
    }
    this.#tx.end();
    return frames;
  }

  /** Delivers what the link lets out. Returns how many frames that were. */
  #deliverDue(link: Link, now: number): number {
    const batch = this.#batch;
    let frames = 0;
    do {
      while (batch.count < BATCH) {
        const slot = link.takeDue(now);
        if (slot < 0) break;
        batch.addSlot(slot);
      }
      frames += batch.count;
      this.#deliver(now);
      batch.clear();
    } while (link.nextDue <= now);
    return frames;
  }

  /** Gives the batch to the link, which owns the slots from then on. */
  #admit(link: Link, now: number): void {
    const { words, count } = this.#batch;
    for (let at = 0; at < count * FRAME_WORDS; at += FRAME_WORDS) {
      if (words[at + FRAME_SLOT] === 0 && !this.#putAside(at)) continue;
      link.admit(words[at + FRAME_SLOT] - 1, now);
      words[at + FRAME_SLOT] = 0;
    }
  }

  /** Writes the batch down as sent, its checksums filled in. */
  #captureSent(now: number): void {
    const batch = this.#batch;
    const { words, count, store } = batch;
    for (let at = 0; at < count * FRAME_WORDS; at += FRAME_WORDS) {
      if (!this.#putAside(at)) continue;
      const slot = words[at + FRAME_SLOT] - 1;
      const view = store.view(slot);
      const start = words[at + FRAME_ADDRESS];
      const length = words[at + FRAME_LENGTH];
      const request = words[at + FRAME_CHECKSUM];
      if (request !== 0) {
        fulfil(view, start, length, request);
        store.setChecksum(slot, request, true);
        words[at + FRAME_STATE] = TRUSTED;
      }
      this.#capture!.sent(this.#captured, now, view, start, length);
    }
  }

  /**
   * Copies a frame to the store. False when that is impossible; the frame was counted and has length
   * 0 then, which takes it out of the batch.
   */
  #putAside(at: number): boolean {
    const batch = this.#batch;
    const { words } = batch;
    const length = words[at + FRAME_LENGTH];
    if (length === 0) return false;
    if (length > MAX_FRAME) {
      const port = this.#table === null ? this.#destinations[0].port : this.#port;
      port.count("tooLong");
    } else {
      const request = words[at + FRAME_CHECKSUM];
      if (request !== 0 && !requestFits(request, length)) {
        words[at + FRAME_CHECKSUM] = 0;
        this.#count(BAD_CHECKSUM_REQUEST);
      }
      if (batch.putAside(at)) return true;
      this.#count(STORE_FULL);
    }
    words[at + FRAME_LENGTH] = 0;
    return false;
  }

  /** Delivers the batch: every frame to the queues it is for. */
  #deliver(now: number): void {
    const destinations = this.#destinations;
    for (let i = 0; i < destinations.length; i++) destinations[i].port.refresh();
    const batch = this.#batch;
    const end = batch.count * FRAME_WORDS;
    for (let at = 0; at < end; at += FRAME_WORDS) this.#steer(batch, at);
    const busy = this.#busy;
    for (let i = 0; i < busy.length; i++) {
      const { captured } = this.#busyAt[i];
      busy[i].deliver(batch, now, captured < 0 ? null : this.#capture, captured);
    }
    busy.length = 0;
    this.#busyAt.length = 0;
  }

  /** Reads the frame's headers, settles the state of its checksum, and lists it where it goes. */
  #steer(batch: FrameBatch, at: number): void {
    const { words } = batch;
    const slotAndFragments = words[at + FRAME_SLOT] | words[at + FRAME_FRAGMENTS];
    if (slotAndFragments !== 0 && !this.#headersTogether(at)) return;
    const length = words[at + FRAME_LENGTH];
    if (length === 0) return;
    const view = slotAndFragments === 0 ? batch.memory : batch.viewOf(at);
    const headers = this.#classifier;
    headers.classify(view, words[at + FRAME_ADDRESS], length);
    words[at + FRAME_HASH] = headers.hash;
    const request = words[at + FRAME_CHECKSUM];
    let state = headers.hashed ? HASHED : 0;
    if (request === 0) {
      if (headers.request !== 0) state |= VERIFIABLE;
    } else if (request === headers.request) {
      const done = words[at + FRAME_STATE] & TRUSTED;
      state |= done !== 0 ? TRUSTED : TRUSTED | REQUESTED;
    } else {
      state |= this.#unusualRequest(at);
    }
    words[at + FRAME_STATE] = state;
    if (this.#table === null) this.#offer(this.#destinations[0], at, length);
    else this.#switch(this.#table, at, length);
  }

  /** False when the frame had to be put aside for its headers, and could not be. */
  #headersTogether(at: number): boolean {
    const { words, memory, fragmentLength } = this.#batch;
    const fragments = words[at + FRAME_FRAGMENTS];
    if (fragments === 0) return true;
    const address = words[at + FRAME_ADDRESS] >>> 0;
    const first = fragmentLength[fragments & 0xffff];
    return headersFit(memory, address, first, words[at + FRAME_LENGTH]) || this.#putAside(at);
  }

  /** State of a frame whose checksum request is not the one its headers suggest. */
  #unusualRequest(at: number): number {
    const { words } = this.#batch;
    const verifiable = this.#classifier.request !== 0 ? VERIFIABLE : 0;
    if ((words[at + FRAME_STATE] & TRUSTED) !== 0) return verifiable;
    if (requestFits(words[at + FRAME_CHECKSUM], words[at + FRAME_LENGTH])) {
      return verifiable | REQUESTED | UNUSUAL;
    }
    this.#count(BAD_CHECKSUM_REQUEST);
    return verifiable;
  }

  /** Learns the sender's place and offers the frame where the destination is, or everywhere. */
  #switch(table: MacTable, at: number, length: number): void {
    const destinations = this.#destinations;
    const { words } = this.#batch;
    const { bytes } = this.#batch.viewOf(at);
    const start = words[at + FRAME_ADDRESS] >>> 0;
    const sourceHead =
      bytes[start + 6] |
      (bytes[start + 7] << 8) |
      (bytes[start + 8] << 16) |
      (bytes[start + 9] << 24);
    table.learn(sourceHead, bytes[start + 10] | (bytes[start + 11] << 8), this.#self);
    const { macHead, macTail } = this.#classifier;
    const port = (macHead & 1) !== 0 ? -1 : table.lookup(macHead, macTail);
    if (port === this.#self) {
      this.#count(SWITCH_FILTERED);
    } else if (port >= 0 && port < destinations.length) {
      this.#offer(destinations[port], at, length);
    } else {
      for (let other = 0; other < destinations.length; other++) {
        if (other !== this.#self) this.#offer(destinations[other], at, length);
      }
    }
  }

  /** The receiving port's view of the frame just classified: MAC filter, exact-match filters, RSS. */
  #offer(destination: Destination, at: number, length: number): void {
    const { port } = destination;
    const headers = this.#classifier;
    if (length > MAX_FRAME) {
      port.count("tooLong");
      return;
    }
    if (!port.accepts(headers.macHead, headers.macTail)) {
      port.count("macFilter");
      return;
    }
    let queue = headers.hashed ? port.reta[headers.hash & 127] : 0;
    if (port.filterCount !== 0 && headers.ports !== 0) {
      const filtered = this.#filteredQueue(port, at);
      if (filtered >= 0) queue = filtered;
    }
    const rx = destination.queues[queue];
    if (rx.frameCount === 0) {
      this.#busy.push(rx);
      this.#busyAt.push(destination);
    }
    rx.frames[rx.frameCount++] = at;
  }

  #filteredQueue(port: Port, at: number): number {
    const headers = this.#classifier;
    const start = this.#batch.words[at + FRAME_ADDRESS] >>> 0;
    return port.filters.lookup(
      headers.hash,
      headers.protocol,
      this.#batch.viewOf(at).bytes,
      start + headers.addresses,
      headers.addressBytes,
      start + headers.ports,
    );
  }

  #count(counter: number): void {
    this.#port.numbers[this.#counters + counter]++;
  }
}
