/**
 * The DMA engine of one queue pair's sending side: takes frames from the TX ring and puts each into a
 * receive buffer of the port it is for, in that port's own memory. The thread of the sending core
 * runs it, so a frame is copied once, by the core that made it.
 *
 *   TX ring → classify (MAC, RSS hash, checksum state) → link? → switch? → per receiving queue: copy,
 *   metadata, rx descriptor → one publication per ring and batch → completions
 *
 * On a perfect wire frames go straight from memory to memory. They are gathered first: a batch is
 * classified, each frame is listed with the queue it goes to, then queue after queue is delivered under its
 * lock. So no sender waits for one queue while it holds another, and the copies of several senders
 * to different queues go on side by side.
 */
import {
  METADATA_SIZE,
  OFFLOAD_RX_CHECKSUM,
  OFFLOAD_RX_HASH,
  OFFLOAD_TX_CHECKSUM,
  RX_META_CHECKSUM_OK,
  RX_META_FLAGS,
  RX_META_HAS_HASH,
  RX_META_HASH,
} from "../../assembly/abi.ts";
import type { Capture } from "./capture.ts";
import { completeChecksum, transportChecksumOk } from "./checksum.ts";
import { checksumOffset, Classifier, HEADER_BYTES } from "./classifier.ts";
import { copyBytes } from "./copy.ts";
import { FrameStore } from "./frame-store.ts";
import { isPerfect, Link } from "./link.ts";
import type { MemoryView } from "./memory-view.ts";
import { Port } from "./port.ts";
import { TX_COUNTERS } from "./port-state.ts";
import { BATCH, MAX_FRAME, RxQueue } from "./rx-queue.ts";
import { MacTable } from "./switch.ts";
import { TxQueue } from "./tx-queue.ts";
import type { PortHandle, QueueBackend, Wire } from "./types.ts";

export interface BackendOptions {
  /** Sees what this queue sends, and what this backend delivers to ports it captures. */
  readonly capture?: Capture;
}

/** What is known of a frame in the batch: its hash is one. */
const HASHED = 1;
/** The checksum is right, or will be once it is filled in as requested. */
const TRUSTED = 2;
/** The sender left the checksum to the NIC. */
const REQUESTED = 4;
/** A TCP or UDP checksum is there to be verified. */
const VERIFIABLE = 8;

const NO_ROUTE = TX_COUNTERS.indexOf("noRoute");
const STORE_FULL = TX_COUNTERS.indexOf("linkQueueDropped");

/** A port that this backend can deliver to. */
interface Destination {
  readonly port: Port;
  readonly queues: readonly RxQueue[];
  /** Number of the port in the capture, -1: not captured. */
  readonly captured: number;
}

/** Makes the engine that sends what `from` puts into the TX ring of its queue. */
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
  readonly #tx: TxQueue;
  readonly #memory: MemoryView;
  readonly #counters: number;
  readonly #completesChecksums: boolean;

  readonly #link: Link | null;
  readonly #store = new FrameStore();
  readonly #destinations: readonly Destination[];
  /** Switch: its table, and which destination is this port itself. A cable has one destination. */
  readonly #table: MacTable | null;
  readonly #self: number;

  readonly #capture: Capture | null;
  readonly #captured: number;

  readonly #classifier = new Classifier();
  readonly #arrival = new Classifier();

  /** The batch: frames that were classified and wait for delivery. */
  #count = 0;
  readonly #views: MemoryView[];
  readonly #addresses = new Uint32Array(BATCH);
  readonly #lengths = new Int32Array(BATCH);
  readonly #states = new Uint8Array(BATCH);
  readonly #hashes = new Int32Array(BATCH);
  readonly #fragments = new Uint8Array(BATCH);
  readonly #firstFragments = new Uint16Array(BATCH);
  readonly #checksumStarts = new Uint16Array(BATCH);
  readonly #checksumFields = new Uint16Array(BATCH);
  /** Queues that have frames in this batch. */
  readonly #busy: RxQueue[] = [];
  readonly #busyDestinations: Destination[] = [];
  /** Slots of the store to give back when the batch has been delivered. */
  readonly #slots = new Int32Array(BATCH);
  #slotCount = 0;

  constructor(from: PortHandle, queue: number, wire: Wire, options: BackendOptions) {
    if (!(queue >= 0 && queue < from.queues.length)) {
      throw new RangeError(`queue: ${queue} is not in 0…${from.queues.length - 1}`);
    }
    this.#port = new Port(from);
    this.#tx = new TxQueue(this.#port, queue);
    this.#memory = this.#port.memory;
    this.#counters = this.#port.txCounters(queue);
    this.#completesChecksums = (from.offloads & OFFLOAD_TX_CHECKSUM) !== 0;
    this.#link = isPerfect(wire.options)
      ? null
      : new Link(wire.options, this.#store, this.#port, queue);
    this.#capture = options.capture ?? null;
    this.#captured = this.#capture?.indexOf(from) ?? -1;
    this.#views = Array.from({ length: BATCH }, () => this.#memory);
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
    let moved = 0;
    if (this.#tx.begin()) moved = this.#transmit(now);
    if (this.#link !== null && this.#link.nextDue <= now)
      moved += this.#deliverDue(this.#link, now);
    return moved;
  }

  nextDeadline(): number {
    return this.#link === null ? Infinity : this.#link.nextDue;
  }

  close(): void {
    this.#capture?.flush();
  }

  /** Takes everything from the TX ring. */
  #transmit(now: number): number {
    const tx = this.#tx;
    const direct = this.#link === null && this.#captured < 0;
    let frames = 0;
    if (direct) this.#refresh();
    while (tx.next()) {
      frames++;
      if (!this.#completesChecksums) tx.checksumStart = 0;
      if (direct && (tx.fragments === 1 || tx.firstLength >= HEADER_BYTES)) {
        this.#stageFromRing();
      } else {
        this.#putAside(now);
      }
      if (this.#count === BATCH || tx.fragmentsFull) this.#deliver(now);
    }
    if (this.#count !== 0) this.#deliver(now);
    tx.end();
    return frames;
  }

  /** Adds the frame that the TX ring has given to the batch, where it lies. */
  #stageFromRing(): void {
    const tx = this.#tx;
    const i = this.#count++;
    this.#views[i] = this.#memory;
    this.#addresses[i] = tx.address;
    this.#lengths[i] = tx.length;
    this.#fragments[i] = tx.fragments;
    this.#firstFragments[i] = tx.firstFragment;
    this.#classify(i, tx.checksumStart, tx.checksumField, false);
    this.#route(i);
  }

  /** Copies the frame into a slot of the store; then it goes onto the link, or into the batch. */
  #putAside(now: number): void {
    const tx = this.#tx;
    const store = this.#store;
    const { length } = tx;
    if (length > MAX_FRAME) {
      const port = this.#table === null ? this.#destinations[0].port : this.#port;
      port.count("tooLong");
      return;
    }
    const slot = store.take();
    if (slot < 0) {
      this.#port.numbers[this.#counters + STORE_FULL]++;
      return;
    }
    const view = store.view(slot);
    const at = store.address(slot);
    this.#gather(view, at);
    store.setLength(slot, length);
    store.setChecksum(slot, tx.checksumStart, tx.checksumField, false);
    if (this.#captured >= 0) {
      this.#completeInSlot(slot);
      this.#capture!.sent(this.#captured, now, view, at, length);
    }
    if (this.#link !== null) this.#link.admit(slot, now);
    else this.#stageFromStore(slot);
  }

  /** Copies the TX ring's frame, in however many parts, to one place. */
  #gather(view: MemoryView, at: number): void {
    const tx = this.#tx;
    if (tx.fragments === 1) {
      copyBytes(view, at, this.#memory, tx.address, tx.length);
      return;
    }
    this.#copyFragments(view, at, tx.firstFragment, tx.fragments);
  }

  #completeInSlot(slot: number): void {
    const store = this.#store;
    const start = store.checksumStart(slot);
    if (start === 0) return;
    const at = store.address(slot);
    const field = store.checksumField(slot);
    completeChecksum(store.view(slot), at + start, at + field, at + store.length(slot));
    store.setChecksum(slot, start, field, true);
  }

  /** Adds a frame of the store to the batch; its slot is given back after delivery. */
  #stageFromStore(slot: number): void {
    const store = this.#store;
    if (this.#count === 0) this.#refresh();
    const i = this.#count++;
    this.#views[i] = store.view(slot);
    this.#addresses[i] = store.address(slot);
    this.#lengths[i] = store.length(slot);
    this.#fragments[i] = 1;
    this.#slots[this.#slotCount++] = slot;
    this.#classify(
      i,
      store.checksumStart(slot),
      store.checksumField(slot),
      store.checksumDone(slot),
    );
    this.#route(i);
  }

  /** Delivers what the link lets out. */
  #deliverDue(link: Link, now: number): number {
    let frames = 0;
    for (let slot = link.takeDue(now); slot >= 0; slot = link.takeDue(now)) {
      this.#stageFromStore(slot);
      frames++;
      if (this.#count === BATCH) this.#deliver(now);
    }
    if (this.#count !== 0) this.#deliver(now);
    return frames;
  }

  #refresh(): void {
    for (const destination of this.#destinations) destination.port.refresh();
  }

  /** Reads the frame's headers and settles the state of its checksum. */
  #classify(i: number, start: number, field: number, done: boolean): void {
    const headers = this.#classifier;
    headers.classify(this.#views[i], this.#addresses[i], this.#lengths[i]);
    this.#hashes[i] = headers.hash;
    let state = headers.hashed ? HASHED : 0;
    const { transport } = headers;
    if (start !== 0) {
      if (!done) {
        state |= REQUESTED;
        this.#checksumStarts[i] = start;
        this.#checksumFields[i] = field;
      }
      const usual = start === transport && field === start + checksumOffset(headers.protocol);
      if (usual) state |= TRUSTED;
    }
    if (transport !== 0) state |= VERIFIABLE;
    this.#states[i] = state;
  }

  /** Finds out where the frame just classified goes. */
  #route(i: number): void {
    const destinations = this.#destinations;
    const table = this.#table;
    if (table === null) {
      this.#offer(destinations[0], i);
      return;
    }
    const view = this.#views[i];
    const at = this.#addresses[i];
    const { bytes } = view;
    const sourceHead =
      bytes[at + 6] | (bytes[at + 7] << 8) | (bytes[at + 8] << 16) | (bytes[at + 9] << 24);
    table.learn(sourceHead, bytes[at + 10] | (bytes[at + 11] << 8), this.#self);
    const { macHead, macTail } = this.#classifier;
    const port = (macHead & 1) !== 0 ? -1 : table.lookup(macHead, macTail);
    if (port === this.#self) {
      this.#port.numbers[this.#counters + NO_ROUTE]++;
    } else if (port >= 0 && port < destinations.length) {
      this.#offer(destinations[port], i);
    } else {
      for (let other = 0; other < destinations.length; other++) {
        if (other !== this.#self) this.#offer(destinations[other], i);
      }
    }
  }

  /** The receiving port's view of the frame: MAC filter, exact-match filters, RSS. */
  #offer(destination: Destination, i: number): void {
    const { port, queues } = destination;
    const headers = this.#classifier;
    if (this.#lengths[i] > MAX_FRAME) {
      port.count("tooLong");
      return;
    }
    if (!port.accepts(headers.macHead, headers.macTail)) {
      port.count("macFilter");
      return;
    }
    let queue = headers.hashed ? port.reta[headers.hash & 127] : 0;
    if (port.filterCount !== 0 && headers.ports !== 0) queue = this.#filtered(port, i, queue);
    const rx = queues[queue];
    if (rx.frameCount === 0) {
      this.#busy.push(rx);
      this.#busyDestinations.push(destination);
    }
    rx.frames[rx.frameCount++] = i;
  }

  #filtered(port: Port, i: number, otherwise: number): number {
    const headers = this.#classifier;
    const at = this.#addresses[i];
    const queue = port.filters.lookup(
      headers.hash,
      headers.protocol,
      this.#views[i].bytes,
      at + headers.addresses,
      headers.addressBytes,
      at + headers.ports,
    );
    return queue < 0 ? otherwise : queue;
  }

  /** Delivers the batch, queue by queue. */
  #deliver(now: number): void {
    const busy = this.#busy;
    for (let b = 0; b < busy.length; b++) {
      const rx = busy[b];
      if (rx.begin()) {
        this.#deliverTo(rx, this.#busyDestinations[b], now);
        rx.end();
      } else {
        for (let k = 0; k < rx.frameCount; k++) rx.port.count("senderStuck");
      }
      rx.frameCount = 0;
    }
    busy.length = 0;
    this.#busyDestinations.length = 0;
    for (let k = 0; k < this.#slotCount; k++) this.#store.give(this.#slots[k]);
    this.#slotCount = 0;
    this.#count = 0;
    this.#tx.forgetFragments();
  }

  #deliverTo(rx: RxQueue, destination: Destination, now: number): void {
    const { port, captured } = destination;
    const { memory, offloads } = port;
    const { words } = memory;
    const verifies = (offloads & OFFLOAD_RX_CHECKSUM) !== 0;
    const hashMask = (offloads & OFFLOAD_RX_HASH) !== 0 ? HASHED : 0;
    const { frames, frameCount } = rx;
    for (let k = 0; k < frameCount; k++) {
      const i = frames[k];
      const packet = rx.take();
      if (packet === 0) continue;
      const length = this.#lengths[i];
      if (this.#fragments[i] === 1) {
        copyBytes(memory, packet, this.#views[i], this.#addresses[i], length);
      } else {
        this.#copyFragments(memory, packet, this.#firstFragments[i], this.#fragments[i]);
      }
      const state = this.#states[i];
      let flags = (state & hashMask) !== 0 ? RX_META_HAS_HASH : 0;
      const trusted = verifies && (state & TRUSTED) !== 0;
      if ((state & REQUESTED) !== 0 && (!trusted || captured >= 0)) {
        const start = packet + this.#checksumStarts[i];
        completeChecksum(memory, start, packet + this.#checksumFields[i], packet + length);
      }
      if (trusted) flags |= RX_META_CHECKSUM_OK;
      else if (verifies && (state & VERIFIABLE) !== 0) {
        if (this.#verify(memory, packet, length)) flags |= RX_META_CHECKSUM_OK;
        else rx.countBadChecksum();
      }
      words[(packet - METADATA_SIZE + RX_META_FLAGS) >>> 2] = flags;
      words[(packet - METADATA_SIZE + RX_META_HASH) >>> 2] = this.#hashes[i];
      rx.put(packet, length);
      if (captured >= 0) this.#capture!.delivered(captured, now, memory, packet, length);
    }
  }

  #copyFragments(to: MemoryView, target: number, first: number, count: number): void {
    const { fragmentAddress, fragmentLength } = this.#tx;
    for (let i = first; i < first + count; i++) {
      copyBytes(to, target, this.#memory, fragmentAddress[i], fragmentLength[i]);
      target += fragmentLength[i];
    }
  }

  /** Checks a complete TCP or UDP checksum in the frame as it was delivered. */
  #verify(memory: MemoryView, packet: number, length: number): boolean {
    const headers = this.#arrival;
    headers.classify(memory, packet, length);
    return transportChecksumOk(
      memory,
      packet + headers.addresses,
      headers.addressBytes,
      headers.protocol,
      packet + headers.transport,
      headers.transportLength,
    );
  }
}
