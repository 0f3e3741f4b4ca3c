/**
 * The DMA engine of one queue pair's sending side: takes frames from the TX ring and puts each into
 * a receive buffer of the port it is for, in that port's own memory. The thread of the sending core
 * runs it, so a frame is copied once, by the core that made it.
 *
 *   TX ring → batch → link? → steer: MAC, RSS hash, checksum state, switch → link of the receiver? →
 *   per receiving queue: copy, metadata, rx descriptor → one publication per ring and batch →
 *   completions
 *
 * A frame to the port's own MAC address never leaves the NIC: it comes back to the port, marked as
 * loopback, whatever the wire is like.
 *
 * On a perfect wire frames go straight from memory to memory. A batch is steered first, and then delivered
 * (delivery.ts).
 */
import { OFFLOAD_TX_CHECKSUM } from "../../assembly/abi.ts";
import {
  BATCH,
  FrameBatch,
  HASHED,
  LOOPBACK,
  REQUESTED,
  TRUSTED,
  UNUSUAL,
  VERIFIABLE,
} from "./batch.ts";
import type { Frame } from "./batch.ts";
import type { FrameObserver } from "./capture.ts";
import { fulfil, requestFits } from "./checksum.ts";
import { Classifier, headersFit } from "./classifier.ts";
import { Delivery } from "./delivery.ts";
import { Destination } from "./destination.ts";
import { FlowControl } from "./flow-control.ts";
import { FrameStore } from "./frame-store.ts";
import { ADMIT_LOST, isPerfect, Link } from "./link.ts";
import type { MemoryView } from "./memory-view.ts";
import { Port } from "./port.ts";
import { STATE_LINE, STATE_LINE_FROM_SWITCH, TX_COUNTERS } from "./port-state.ts";
import { MAX_FRAME } from "./rx-queue.ts";
import { MacTable } from "./switch.ts";
import { TxQueue } from "./tx-queue.ts";
import type { LinkOptions, PortHandle, QueueBackend, Ways, Wire } from "./types.ts";

export interface BackendOptions {
  /** Sees what this queue sends, and what this backend delivers to ports it captures. */
  readonly capture?: FrameObserver;
}

// Constants of this module's own, for the sake of speed: see rx-queue.ts.
const LONGEST = MAX_FRAME;
const USUAL = HASHED | TRUSTED | REQUESTED;

const BAD_CHECKSUM_REQUEST = TX_COUNTERS.indexOf("badChecksumRequest");
const STORE_FULL = TX_COUNTERS.indexOf("storeFull");
const SWITCH_FILTERED = TX_COUNTERS.indexOf("switchFiltered");
const SWITCH_BLOCKED = TX_COUNTERS.indexOf("switchBlocked");

/**
 * Makes the engine that sends what `from` puts into the TX ring of its queue. It belongs to the
 * thread that makes it, which must be the one that runs the queue's core; a queue has one at a
 * time.
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
  readonly #memory: MemoryView;
  readonly #tx: TxQueue;
  readonly #batch: FrameBatch;
  readonly #classifier = new Classifier();

  readonly #queue: number;
  readonly #store = new FrameStore();
  #link: Link | null = null;
  readonly #flowControl: FlowControl | null;
  readonly #destinations: Destination[] = [];
  /** The ports of the destinations; a switch may gain some. */
  readonly #ports: readonly PortHandle[];
  /** Switch: its table, and which destination is this port itself. A cable has one destination. */
  readonly #table: MacTable | null;
  readonly #self: number;
  /** Of the switch: what its ways are like, as of a version; the destinations that have a link. */
  readonly #ways: Ways | null;
  #version = -1;
  readonly #linked: { readonly to: Destination; readonly link: Link }[] = [];
  #now = 0;
  /** The port itself, for loopback; its MAC address as it lies in memory. */
  readonly #own: Destination;
  readonly #macHead: number;
  readonly #macTail: number;

  readonly #capture: FrameObserver | null;
  readonly #captured: number;

  readonly #delivery: Delivery;

  constructor(from: PortHandle, queue: number, wire: Wire, options: BackendOptions) {
    if (!Number.isInteger(queue) || queue < 0 || queue >= from.queues.length) {
      throw new RangeError(`queue: ${queue} is not in 0…${from.queues.length - 1}`);
    }
    this.#queue = queue;
    this.#port = new Port(from);
    this.#memory = this.#port.memory;
    this.#counters = this.#port.txCounters(queue);
    this.#tx = new TxQueue(this.#port, queue, (from.offloads & OFFLOAD_TX_CHECKSUM) !== 0);
    this.#batch = new FrameBatch(this.#port.memory, this.#store);
    this.#capture = options.capture ?? null;
    this.#captured = this.#capture?.indexOf(from) ?? -1;
    this.#ports = wire.kind === "link" ? [wire.to] : wire.ports;
    this.#ways = wire.kind === "switch" ? wire.ways : null;
    this.#table = wire.kind === "switch" ? new MacTable(wire.table) : null;
    this.#self = wire.kind === "switch" ? wire.port : -1;
    this.#flowControl = wire.kind === "switch" && wire.flowControl ? new FlowControl() : null;
    this.#delivery = new Delivery(this.#batch, this.#classifier, this.#flowControl);
    this.#grow();
    if (wire.kind === "link") this.#setLink(wire.options);
    else this.#follow(wire.ways);
    this.#own = this.#destinations[this.#self] ?? new Destination(from, this.#capture);
    const { mac } = from;
    this.#macHead = mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
    this.#macTail = mac[4] | (mac[5] << 8);
  }

  /** The first link: the wire's, or the way to the switch. */
  #setLink(options: LinkOptions): void {
    if (this.#link !== null) {
      this.#link.set(options);
    } else if (!isPerfect(options)) {
      const port = this.#port;
      const place = { store: this.#store, port, queue: this.#queue, lineOf: port };
      this.#link = new Link(options, { ...place, line: STATE_LINE });
    }
  }

  /** Takes in what has changed at the switch: its ports, what ways are like, who gets to whom. */
  #follow({ version, ports }: Ways): void {
    this.#version = version;
    this.#grow();
    const own = ports[this.#self];
    this.#setLink(own.up);
    for (const [index, destination] of this.#destinations.entries()) {
      if (index === this.#self) continue;
      destination.follow(own, ports[index], index);
    }
  }

  /** Takes in the ports that were connected meanwhile. */
  #grow(): void {
    for (let i = this.#destinations.length; i < this.#ports.length; i++) {
      this.#destinations.push(new Destination(this.#ports[i], this.#capture));
    }
  }

  pump(now: number): number {
    const ways = this.#ways;
    if (ways !== null && ways.version !== this.#version) this.#follow(ways);
    const link = this.#link;
    // A capture's sink threw and left a batch in hand.
    if (this.#batch.count !== 0) {
      this.#delivery.forget();
      this.#batch.clear();
    }
    this.#now = now;
    let moved = 0;
    if (this.#tx.begin() && !this.#flowControl?.isPaused(now)) moved = this.#transmit(now);
    if (link !== null && link.nextDue <= now) moved += this.#deliverDue(link, now);
    if (this.#linked.length !== 0) moved += this.#deliverFromSwitch(now);
    return moved;
  }

  nextDeadline(): number {
    let due = this.#link === null ? Infinity : this.#link.nextDue;
    for (const { link } of this.#linked) due = Math.min(due, link.nextDue);
    const held = this.#flowControl === null ? Infinity : this.#flowControl.nextDeadline;
    if (held !== Infinity && this.#tx.begin()) due = Math.min(due, held);
    return due;
  }

  close(): void {
    this.#capture?.flush();
  }

  /** Who looks at frames now, if anybody. */
  #observer(): FrameObserver | null {
    const capture = this.#capture;
    return capture !== null && capture.active ? capture : null;
  }

  /** Takes everything from the TX ring. Returns how many frames that were. */
  #transmit(now: number): number {
    const batch = this.#batch;
    let frames = 0;
    const observer = this.#captured < 0 ? null : this.#observer();
    const flowControl = this.#flowControl;
    while (!flowControl?.isPaused(now) && this.#tx.read(batch) !== 0) {
      frames += batch.count;
      if (observer !== null) this.#captureSent(observer, now);
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

  /** Delivers what has come through the links of the receivers. Returns how many frames that were. */
  #deliverFromSwitch(now: number): number {
    const batch = this.#batch;
    let frames = 0;
    for (const { to, link } of this.#linked) {
      while (link.nextDue <= now) {
        while (batch.count < BATCH) {
          const slot = link.takeDue(now);
          if (slot < 0) break;
          batch.addSlot(slot);
        }
        frames += batch.count;
        to.port.refresh();
        for (let i = 0; i < batch.count; i++) this.#arrive(to, batch.frames[i]);
        this.#delivery.deliver(now, this.#observer());
        batch.clear();
      }
    }
    return frames;
  }

  /** A frame has come through the link of the port that it is for. */
  #arrive(destination: Destination, frame: Frame): void {
    if (destination.blocked) {
      this.#count(SWITCH_BLOCKED);
      return;
    }
    const view = this.#batch.viewOf(frame);
    this.#classifier.classify(view, frame.address, frame.length);
    frame.hash = this.#classifier.hash;
    frame.state = this.#stateOf(frame);
    this.#delivery.accept(destination, frame);
  }

  /** Gives the batch to the link, which owns the slots from then on. */
  #admit(link: Link, now: number): void {
    const { frames, count } = this.#batch;
    let own = 0;
    for (let i = 0; i < count; i++) {
      const frame = frames[i];
      if (frame.slot < 0 && !this.#putAside(frame)) continue;
      if (this.#isOwn(frame)) {
        own++;
        continue;
      }
      this.#send(link, frame.slot, now);
      frame.slot = -1;
      frame.length = 0;
    }
    if (own !== 0) this.#deliver(now);
  }

  /** Gives a slot to a link, and tells whoever looks what becomes of the frame. */
  #send(link: Link, slot: number, now: number): void {
    const due = link.admit(slot, now);
    const observer = this.#capture;
    if (observer === null || !observer.active) return;
    const { store } = this.#batch;
    const view = store.view(slot);
    const at = store.address(slot);
    const length = store.length(slot);
    // A slot that was given back keeps its bytes until it is taken again.
    if (due >= 0) observer.travels?.(now, view, at, length, due);
    else observer.dropped?.(now, view, at, length, due === ADMIT_LOST ? "loss" : "line");
  }

  /** Whether a frame in the store is for this port itself. */
  #isOwn(frame: Frame): boolean {
    const { bytes } = this.#batch.viewOf(frame);
    const { mac } = this.#port.handle;
    const at = frame.address >>> 0;
    for (let i = 0; i < 6; i++) if (bytes[at + i] !== mac[i]) return false;
    return true;
  }

  /** Writes the batch down as sent, its checksums filled in. */
  #captureSent(capture: FrameObserver, now: number): void {
    const { frames, count, store } = this.#batch;
    for (let i = 0; i < count; i++) {
      const frame = frames[i];
      if (!this.#putAside(frame)) continue;
      const { slot, address, length, checksum } = frame;
      const view = store.view(slot);
      if (checksum !== 0) {
        fulfil(view, address, length, checksum);
        store.setChecksum(slot, checksum, true);
        frame.state = TRUSTED;
      }
      capture.sent(this.#captured, now, view, address, length);
    }
  }

  /** Copies a frame to the store. False when that is impossible; the frame was dropped then. */
  #putAside(frame: Frame): boolean {
    const { length, checksum } = frame;
    if (length === 0) return false;
    if (length > LONGEST) {
      const port = this.#table === null ? this.#destinations[0].port : this.#port;
      port.count("tooLong");
    } else {
      if (checksum !== 0 && !requestFits(checksum, length)) {
        frame.checksum = 0;
        this.#count(BAD_CHECKSUM_REQUEST);
      }
      if (this.#batch.putAside(frame)) return true;
      this.#count(STORE_FULL);
    }
    frame.length = 0;
    return false;
  }

  /** Delivers the batch: every frame to the queues it is for. */
  #deliver(now: number): void {
    const destinations = this.#destinations;
    for (let i = 0; i < destinations.length; i++) destinations[i].port.refresh();
    const { frames, count } = this.#batch;
    for (let i = 0; i < count; i++) this.#steer(frames[i]);
    this.#delivery.deliver(now, this.#observer());
  }

  /** Reads the frame's headers, settles the state of its checksum, and lists it where it goes. */
  #steer(frame: Frame): void {
    const { length, checksum } = frame;
    // Dropped, or with the link.
    if (length === 0) return;
    let view = this.#memory;
    if (frame.fragments !== 0 || frame.slot >= 0) {
      if (!this.#headersTogether(frame)) return;
      view = this.#batch.viewOf(frame);
    }
    const headers = this.#classifier;
    headers.classify(view, frame.address, length);
    frame.hash = headers.hash;
    // Nearly every frame: a TCP or UDP packet whose checksum is left to the NIC.
    if (checksum !== 0 && checksum === headers.request && frame.state === 0) {
      frame.state = USUAL;
    } else {
      frame.state = this.#stateOf(frame);
    }
    if (headers.macHead === this.#macHead && headers.macTail === this.#macTail) {
      this.#loopBack(frame);
    } else if (this.#table === null) {
      this.#offer(this.#destinations[0], frame);
    } else {
      this.#switch(this.#table, frame);
    }
  }

  #loopBack(frame: Frame): void {
    frame.state |= LOOPBACK;
    this.#own.port.refresh();
    this.#delivery.accept(this.#own, frame);
  }

  /** False when the frame had to be put aside for its headers and could not be. */
  #headersTogether(frame: Frame): boolean {
    const { length, fragments, address, firstFragment } = frame;
    if (fragments === 0) return true;
    const part = this.#batch.fragmentLength[firstFragment];
    return headersFit(this.#memory, address >>> 0, part, length) || this.#putAside(frame);
  }

  /** State of a frame whose headers were just read. */
  #stateOf(frame: Frame): number {
    const { checksum, length, state } = frame;
    const { hashed, request } = this.#classifier;
    const known = (hashed ? HASHED : 0) | (request !== 0 ? VERIFIABLE : 0);
    if (checksum === 0) return known;
    const done = (state & TRUSTED) !== 0;
    if (checksum === request) return done ? HASHED | TRUSTED : USUAL;
    if (done) return known;
    if (requestFits(checksum, length)) return known | REQUESTED | UNUSUAL;
    this.#count(BAD_CHECKSUM_REQUEST);
    return known;
  }

  /** Learns the sender's place and offers the frame where the destination is, or everywhere. */
  #switch(table: MacTable, frame: Frame): void {
    const destinations = this.#destinations;
    const { bytes } = this.#batch.viewOf(frame);
    const source = (frame.address >>> 0) + 6;
    const sourceHead =
      bytes[source] |
      (bytes[source + 1] << 8) |
      (bytes[source + 2] << 16) |
      (bytes[source + 3] << 24);
    table.learn(sourceHead, bytes[source + 4] | (bytes[source + 5] << 8), this.#self);
    const { macHead, macTail } = this.#classifier;
    const port = (macHead & 1) !== 0 ? -1 : table.lookup(macHead, macTail);
    if (port === this.#self) {
      this.#count(SWITCH_FILTERED);
    } else if (port >= 0 && port < destinations.length) {
      this.#offer(destinations[port], frame);
    } else {
      for (let other = 0; other < destinations.length; other++) {
        if (other !== this.#self) this.#offer(destinations[other], frame);
      }
    }
  }

  /** Sends the frame just classified on to a port, straight where that is possible. */
  #offer(destination: Destination, frame: Frame): void {
    if (destination.impaired) this.#divert(destination, frame);
    else this.#delivery.accept(destination, frame);
  }

  /** Puts a copy of the frame on the way from the switch to a port. */
  #divert(destination: Destination, frame: Frame): void {
    if (destination.blocked) {
      this.#count(SWITCH_BLOCKED);
      return;
    }
    if (frame.length > LONGEST) {
      destination.port.count("tooLong");
      return;
    }
    const aside = frame.slot >= 0 || this.#batch.putAside(frame);
    const slot = aside ? this.#store.copy(frame.slot) : -1;
    if (slot < 0) this.#count(STORE_FULL);
    else this.#send((destination.link ??= this.#linkTo(destination)), slot, this.#now);
  }

  /** Makes the way from the switch to a port, of which this backend is one of the senders. */
  #linkTo(destination: Destination): Link {
    const number = this.#destinations.indexOf(destination);
    const link = new Link(this.#ways!.ports[number].down, {
      store: this.#store,
      port: this.#port,
      queue: this.#queue,
      lineOf: destination.port,
      line: STATE_LINE_FROM_SWITCH,
      sequence: this.#self + 1,
    });
    this.#linked.push({ to: destination, link });
    return link;
  }

  #count(counter: number): void {
    this.#port.numbers[this.#counters + counter]++;
  }
}
