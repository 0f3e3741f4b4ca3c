/**
 * The event layer, in the manner of IX's ixev: connections as contexts with handlers, on top of the
 * raw arrays. One round is
 *
 *   results of the last round's calls → events → timers → handlers → this round's calls
 *
 * Handlers only note what they want (`IxevContext`); the calls are made at the end of the round, one
 * send and one recv_done per connection. Results are read without calling the application, because
 * a call made meanwhile would be written over them. Nothing here throws or stops when a resource runs
 * out: a send takes fewer bytes, and IXEVOUT says when to go on.
 *
 * Cookies are the index of the context with a generation above it, so that an event for a connection
 * that is gone finds nobody. Which table a cookie belongs to follows from the operation.
 */
import {
  ARRIVED_CONNECTING,
  ARRIVED_RESCUED,
  EV_ARRIVED,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_LEFT,
  EV_RECV,
  EV_SENT,
  EV_TIMER,
  EV_UDP_RECV,
  HANDLE_INDEX_BITS,
  HANDLE_INDEX_MASK,
  MAX_CONNECTIONS,
  RC_BADH,
  RC_CLOSED,
  RC_MOVED,
  RC_NOMEM,
  RC_OK,
  RC_RESET,
  SG_SIZE,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_LISTEN,
  SYS_RECV_DONE,
  SYS_SEND,
  SYS_SENDV,
  SYS_SHUTDOWN,
  SYS_OPTION,
  SYS_TAG,
  SYS_TIMER_SET,
  SYS_UDP_SEND,
} from "../../assembly/abi.ts";
import type { App } from "./app.ts";
import { CopyBuffers } from "./copy-buffers.ts";
import { IpAddress } from "./ip-address.ts";
import type { Ix } from "./ix.ts";
import { LuggageService } from "./luggage.ts";
import { IxevTimers } from "./ixev-timers.ts";
import type { IxevTimer } from "./ixev-timers.ts";
import type { IxevContext, IxevLoop } from "./ixev-context.ts";
import { SegmentPool } from "./segments.ts";

const COPY_BUFFER = 4096;
const VECTOR_BYTES = 64 * 1024;
/** Calls in one round besides those of contexts: as many as a batch has packets, so that answers keep up. */
const MOST_PER_ROUND = 64;
/** Generations of a cookie run from 1 to this. */
const LAST_GENERATION = 2 ** (32 - HANDLE_INDEX_BITS) - 1;
/** Cookie of the layer's own timer; an application's must have another. */
const TIMER_COOKIE = 0xffffffff;
/** Longest time the kernel's timer is set for, µs; it is set again if that was too short. */
const LONGEST_TIMER = 60_000_000;

/** A connection that asks to be accepted. The object is reused: copy what is to be kept. */
export interface Knock {
  readonly address: IpAddress;
  readonly port: number;
  readonly localPort: number;
}

/** A connection that comes from another core. The object is reused: copy what is to be kept. */
export interface Arrival extends Knock {
  /** What `IxevContext.tag` was set to; 0 when it was not. */
  readonly tag: number;
  /** The core that it comes from. */
  readonly from: number;
  /** That core is lost, and with it what was written to the context and not yet sent. */
  readonly rescued: boolean;
}

/** What an application is told besides its handlers. */
export interface IxevOperations {
  /** A peer knocks: return a fresh context to accept the connection, null to refuse it. */
  accept?(knock: Knock): IxevContext | null;
  /**
   * A connection moves to another core. Its context is over, without IXEVHUP and without `released`.
   * Bytes written to it and not sent yet go along, as do those received and not consumed, its tag, and
   * a shutdown or close that was asked for; what else the application knows of it is for itself to pass
   * on. False as `complete`: the window had no room to carry them, and the stream has a hole.
   */
  left?(context: IxevContext, core: number, complete: boolean): void;
  /**
   * A connection comes from another core: return a fresh context to take it, null to reset it. The stream
   * goes on where the old context was. Without this operation it is reset.
   */
  arrived?(arrival: Arrival): IxevContext | null;
  /** What came of a `listen` is known: `listener.outcome`. No calls may be made. */
  listening?(listener: IxevListener): void;
  /** A dial has succeeded (RC_OK), or failed with an RC_* code: `released` follows then. */
  dialed?(context: IxevContext, outcome: number): void;
  /** The context's connection is over and nothing refers to it any more. */
  released?(context: IxevContext): void;
  /**
   * An event that is none of the layer's: of a UDP port, or a timer of the application's own. Raw
   * calls may be made. Without this datagrams are given back unread.
   */
  event?(ix: Ix, index: number): void;
  /** The result of a raw call that the layer does not know. No calls may be made. */
  result?(ix: Ix, index: number): void;
}

export interface IxevOptions {
  /** Bytes per copy buffer. Default 4096. */
  readonly copyBuffer?: number;
  /** Most bytes of copy buffers for one connection. Default an eighth of the window, >= 64 KiB. */
  readonly sendLimit?: number;
  /** Called when something was asked for between rounds: whoever runs the core may be asleep. */
  readonly wake?: () => void;
  /**
   * What becomes of connections whose core was lost: "continue" offers them to `arrived`, where what had
   * been written and not sent is missing; "reset" resets them. Default "continue".
   */
  readonly onCoreLoss?: "continue" | "reset";
}

/** A port listened on. */
export class IxevListener {
  readonly port: number;
  /** What came of listen: RC_OK, or why not; null until the kernel has run it. */
  outcome: number | null = null;
  /** The loop's name for it in the arrays, and the kernel's once known. */
  readonly cookie: number;
  handle = 0;
  closed = false;

  constructor(port: number, cookie: number) {
    this.port = port;
    this.cookie = cookie;
  }
}

export class Ixev implements App, IxevLoop {
  readonly ix: Ix;
  readonly segments = new SegmentPool();
  readonly buffers: CopyBuffers;
  readonly sendLimit: number;

  readonly #operations: IxevOperations;
  /** Contexts by slot, with the generation of the slot's cookie. */
  readonly #contexts: (IxevContext | null)[] = [];
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  readonly #listeners = new Map<number, IxevListener>();
  #nextListener = 0;
  readonly #knock = { address: new IpAddress(), port: 0, localPort: 0 };
  readonly #arrival = { ...this.#knock, tag: 0, from: 0, rescued: false };
  readonly #luggage: LuggageService;
  readonly #resetsRescued: boolean;

  /** Calls to make at the end of the round, besides those of contexts. */
  readonly #calls: (() => void)[] = [];
  /** Contexts with calls to make, and those whose handler is to be called: first and last. */
  #firstCommit: IxevContext | null = null;
  #lastCommit: IxevContext | null = null;
  #firstRun: IxevContext | null = null;
  #lastRun: IxevContext | null = null;
  readonly #dead: IxevContext[] = [];
  /** Contexts that found no copy buffer, and how many had come back by then. */
  #waiting: IxevContext[] = [];
  #returnsSeen = 0;

  #inRound = false;
  #now = 0;
  readonly #wake: (() => void) | undefined;
  readonly #timers = new IxevTimers();
  /** When the kernel's timer fires, and its handle once known. */
  #armedFor = Infinity;
  #armed = 0;

  readonly #vectors: number;
  #vectorsUsed = 0;

  /** Throws a RangeError when the application window has no room for the layer's own needs. */
  constructor(ix: Ix, operations: IxevOperations = {}, options: IxevOptions = {}) {
    this.ix = ix;
    this.#operations = operations;
    this.#wake = options.wake;
    this.#luggage = new LuggageService(ix);
    this.#resetsRescued = options.onCoreLoss === "reset";
    this.buffers = new CopyBuffers(ix.window, options.copyBuffer ?? COPY_BUFFER);
    const share = Math.max(ix.window.size / 8, 64 * 1024);
    this.sendLimit = Math.max(options.sendLimit ?? share, 2 * this.buffers.size);
    this.#vectors = ix.window.allocate(VECTOR_BYTES);
    if (this.#vectors === 0) {
      throw new RangeError(`applicationWindow: ixev needs ${VECTOR_BYTES} bytes of it per core`);
    }
    ix.onFlush = (results) => this.#takeResults(results);
  }

  /** Contexts that have a connection. */
  get connections(): number {
    return this.#contexts.length - this.#freeSlots.length;
  }

  /** Time of this round, µs. */
  get now(): number {
    return this.#now;
  }

  /**
   * Listens on a TCP port; `accept` of the operations is asked about who knocks. Each core listens for
   * itself: connections of its own flow groups knock there. Up to `fastOpen` of them at a time may be opened by
   * their SYN, with data that came along (RFC 7413) and that may come twice.
   */
  listen(port: number, backlog = 1024, flags = 0, fastOpen = 0): IxevListener {
    const listener = new IxevListener(port, this.#nextListener++ >>> 0);
    this.#listeners.set(listener.cookie, listener);
    this.later(() => this.ix.listen(listener.cookie, port, backlog, flags, fastOpen));
    return listener;
  }

  /** Listens no more. Connections that were accepted go on. */
  unlisten(listener: IxevListener): void {
    if (listener.closed) return;
    listener.closed = true;
    if (listener.handle !== 0) this.#endListening(listener);
  }

  /** Whoever knocks from now on finds nobody. */
  #endListening(listener: IxevListener): void {
    this.#listeners.delete(listener.cookie);
    this.later(() => this.ix.unlisten(listener.handle));
  }

  /** Opens a connection for a fresh context; `dialed` tells how it went. */
  dial(context: IxevContext, to: IpAddress | string, port: number, sourcePort = 0): void {
    const address = typeof to === "string" ? IpAddress.parse(to) : to;
    const cookie = this.#bind(context, 0);
    if (cookie === 0) {
      context.die(RC_NOMEM, 0);
      this.#dead.push(context);
    } else {
      this.later(() => this.ix.connect(cookie, address, port, sourcePort));
    }
    this.#recall();
  }

  /** Has `callback` called once, after `delay` µs, counted from this round or else from the next. */
  setTimer(delay: number, callback: () => void): IxevTimer {
    if (this.#inRound) return this.#timers.add(this.#now + delay, callback);
    this.#recall();
    return this.#timers.addLater(delay, callback);
  }

  /** Has `call` make raw calls at the end of this round, or else of the next. */
  later(call: () => void): void {
    this.#calls.push(call);
    this.#recall();
  }

  // -------------------------------------------------------------------------------------------
  // Rounds

  handle(ix: Ix, now: number): void {
    this.#inRound = true;
    this.#now = now;
    this.#timers.settle(now);
    this.#takeResults(ix.takeResults());
    this.#takeEvents(ix);
    this.#offerBuffers();
    try {
      this.#timers.run(now);
      this.#runHandlers();
    } finally {
      this.commit();
      this.#armTimer();
      this.#inRound = false;
    }
  }

  /**
   * Makes the calls that were asked for. The loop does so at the end of every round; whoever has used
   * a context between rounds may do so at once, and saves a poll.
   */
  commit(): void {
    if (this.#calls.length > 0) {
      for (const call of this.#calls.splice(0, MOST_PER_ROUND)) call();
    }
    // The queue may grow meanwhile: by results of a call array that was full.
    for (let context = this.#firstCommit; context !== null; context = this.#firstCommit) {
      this.#firstCommit = context.nextCommit;
      context.nextCommit = null;
      context.commitRequested = false;
      context.commit();
    }
    this.#vectorsUsed = 0;
    this.#releaseDead();
    if (this.#calls.length > 0 || this.#firstCommit || this.#firstRun) this.#comeBack();
    if (this.#waiting.length > 0 && this.buffers.returns !== this.#returnsSeen) this.#comeBack();
  }

  #runHandlers(): void {
    // What handlers bring about themselves is for the next round.
    const last = this.#lastRun;
    let context = this.#firstRun;
    this.#firstRun = null;
    this.#lastRun = null;
    try {
      while (context !== null) {
        const current: IxevContext = context;
        context = current.nextRun;
        current.nextRun = null;
        current.runRequested = false;
        current.run();
      }
    } finally {
      // After a handler that threw, the others have their turn in the next round.
      if (context !== null) {
        last!.nextRun = this.#firstRun;
        this.#firstRun = context;
        this.#lastRun ??= last;
      }
    }
  }

  #offerBuffers(): void {
    if (this.#waiting.length === 0 || this.buffers.returns === this.#returnsSeen) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const context of waiting) {
      context.awaitingBuffers = false;
      if (!context.isDead) context.roomReturned();
    }
  }

  /** Parts with the connections that are over, except those whose handler has yet to hear of it. */
  #releaseDead(): void {
    if (this.#dead.length === 0) return;
    const dead = this.#dead.splice(0);
    for (const context of dead) {
      if (context.runRequested) this.#dead.push(context);
      else this.#release(context);
    }
  }

  #release(context: IxevContext): void {
    this.#forget(context);
    context.release();
    if (!context.everOpen) this.#operations.dialed?.(context, context.reason);
    this.#operations.released?.(context);
  }

  #forget(context: IxevContext): void {
    const slot = context.cookie & HANDLE_INDEX_MASK;
    if (this.#contexts[slot] !== context) return;
    this.#contexts[slot] = null;
    this.#freeSlots.push(slot);
  }

  #armTimer(): void {
    const earliest = this.#timers.earliest();
    if (earliest === Infinity && this.#armed !== 0) {
      // All were cancelled: the kernel's would only wake an idle core for nothing.
      this.ix.timerCancel(this.#armed);
      this.#armed = 0;
      this.#armedFor = Infinity;
      return;
    }
    if (earliest >= this.#armedFor) return;
    if (this.#armed !== 0) this.ix.timerCancel(this.#armed);
    const delay = Math.min(Math.max(Math.ceil(earliest - this.#now), 0), LONGEST_TIMER);
    this.ix.timerSet(TIMER_COOKIE, delay);
    this.#armed = 0;
    this.#armedFor = this.#now + delay;
  }

  /** Sees to it that there is another round. */
  #comeBack(): void {
    if (this.ix.pendingCalls === 0) this.ix.nop();
  }

  /** The same, for what is asked for between rounds. */
  #recall(): void {
    if (this.#inRound) return;
    this.#comeBack();
    this.#wake?.();
  }

  // -------------------------------------------------------------------------------------------
  // IxevLoop

  requestCommit(context: IxevContext): void {
    if (context.commitRequested) return;
    context.commitRequested = true;
    if (this.#firstCommit === null) this.#firstCommit = context;
    else this.#lastCommit!.nextCommit = context;
    this.#lastCommit = context;
    this.#recall();
  }

  requestRun(context: IxevContext): void {
    if (context.runRequested) return;
    context.runRequested = true;
    if (this.#firstRun === null) this.#firstRun = context;
    else this.#lastRun!.nextRun = context;
    this.#lastRun = context;
    this.#recall();
  }

  awaitBuffers(context: IxevContext): void {
    this.#returnsSeen = this.buffers.returns;
    if (context.awaitingBuffers) return;
    context.awaitingBuffers = true;
    this.#waiting.push(context);
  }

  takeVector(entries: number): number {
    const bytes = entries * SG_SIZE;
    if (this.#vectorsUsed + bytes > VECTOR_BYTES) {
      // The kernel has read the vectors when it has run the calls.
      this.ix.flush();
      this.#vectorsUsed = 0;
    }
    const vector = this.#vectors + this.#vectorsUsed;
    this.#vectorsUsed += bytes;
    return vector;
  }

  // -------------------------------------------------------------------------------------------
  // Results of calls

  #takeResults(results: number): void {
    const { ix } = this;
    for (let i = 0; i < results; i++) {
      switch (ix.resultOperation(i)) {
        case SYS_SEND:
        case SYS_SENDV:
          this.#find(ix.resultCookie(i))?.sendResult(ix.result(i));
          break;
        case SYS_CONNECT:
          this.#connectResult(i);
          break;
        case SYS_ACCEPT:
          this.#acceptResult(i);
          break;
        case SYS_ABORT:
          // It is gone now, unless it was before, or is on its way to another core.
          if (ix.result(i) === RC_MOVED) this.#refused(i);
          else this.#end(this.#find(ix.resultCookie(i)), RC_CLOSED, 0);
          break;
        case SYS_RECV_DONE:
        case SYS_SHUTDOWN:
        case SYS_CLOSE:
        case SYS_TAG:
        case SYS_OPTION:
          if (ix.result(i) === RC_MOVED) this.#refused(i);
          break;
        case SYS_LISTEN:
          this.#listenResult(i);
          break;
        case SYS_TIMER_SET:
          if (ix.resultCookie(i) === TIMER_COOKIE) this.#timerResult(i);
          else this.#operations.result?.(ix, i);
          break;
        default:
          this.#otherResult(i);
      }
    }
  }

  #refused(index: number): void {
    const { ix } = this;
    const context = this.#find(ix.resultCookie(index));
    context?.refused(ix.resultOperation(index), ix.callA(index));
  }

  #timerResult(index: number): void {
    const { ix } = this;
    if (ix.result(index) === RC_OK) this.#armed = ix.resultHandle(index);
    else this.#armedFor = Infinity;
  }

  #otherResult(index: number): void {
    const { ix } = this;
    if (ix.resultOperation(index) >= SYS_UDP_SEND) this.#operations.result?.(ix, index);
  }

  #connectResult(index: number): void {
    const { ix } = this;
    const context = this.#find(ix.resultCookie(index));
    if (ix.result(index) === RC_OK) context?.handleKnown(ix.resultHandle(index));
    else this.#end(context, ix.result(index), 0);
  }

  #acceptResult(index: number): void {
    const { ix } = this;
    const result = ix.result(index);
    if (result === RC_OK) return;
    // No handle any more: the peer has reset the connection since it knocked.
    this.#end(this.#find(ix.resultCookie(index)), result === RC_BADH ? RC_RESET : result, 0);
  }

  #listenResult(index: number): void {
    const { ix } = this;
    const listener = this.#listeners.get(ix.resultCookie(index))!;
    listener.outcome = ix.result(index);
    if (listener.outcome === RC_OK) {
      listener.handle = ix.resultHandle(index);
      if (listener.closed) this.#endListening(listener);
    } else {
      this.#listeners.delete(listener.cookie);
    }
    this.#operations.listening?.(listener);
  }

  // -------------------------------------------------------------------------------------------
  // Events

  #takeEvents(ix: Ix): void {
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#find(ix.eventCookie(i))?.received(ix.eventA(i), ix.eventB(i));
          break;
        case EV_SENT:
          this.#find(ix.eventCookie(i))?.sentBytes(ix.eventA(i), ix.eventB(i));
          break;
        case EV_KNOCK:
          this.#knocked(i);
          break;
        case EV_CONNECTED:
          this.#connected(i);
          break;
        case EV_LEFT:
          this.#left(this.#find(ix.eventCookie(i)), ix.eventA(i));
          break;
        case EV_ARRIVED:
          this.#arrived(i);
          break;
        case EV_DEAD:
          this.#end(this.#find(ix.eventCookie(i)), ix.eventResult(i), ix.eventA(i));
          break;
        default:
          this.#otherEvent(ix, i);
      }
    }
  }

  #otherEvent(ix: Ix, index: number): void {
    const operation = ix.eventOp(index);
    if (operation === EV_TIMER && ix.eventCookie(index) === TIMER_COOKIE) {
      this.#armed = 0;
      this.#armedFor = Infinity;
    } else if (this.#operations.event !== undefined) {
      this.#operations.event(ix, index);
    } else if (operation === EV_UDP_RECV) {
      ix.udpRecvDone(ix.eventHandle(index), ix.eventD(index));
    }
  }

  #knocked(index: number): void {
    const { ix } = this;
    const handle = ix.eventHandle(index);
    const listener = this.#listeners.get(ix.eventCookie(index));
    const knock = this.#knock;
    ix.knockAddress(index, knock.address);
    knock.port = ix.knockRemotePort(index);
    knock.localPort = ix.knockLocalPort(index);
    const context = listener === undefined ? null : (this.#operations.accept?.(knock) ?? null);
    const cookie = context === null ? 0 : this.#bind(context, handle);
    if (cookie === 0) {
      ix.reject(handle);
      return;
    }
    context!.localPort = knock.localPort;
    ix.accept(handle, cookie);
  }

  #left(context: IxevContext | null, core: number): void {
    if (context === null || context.isDead) return;
    if (context.isClosed) {
      this.#end(context, RC_OK, 0);
      return;
    }
    const { handle } = context;
    const luggage = context.leave();
    this.buffers.trim();
    const complete = luggage === null || this.#luggage.send(handle, core, luggage);
    this.#forget(context);
    context.release();
    this.#operations.left?.(context, core, complete);
  }

  #arrived(index: number): void {
    const { ix } = this;
    const handle = ix.eventHandle(index);
    const arrival = this.#arrival;
    arrival.from = ix.eventC(index);
    const luggage = this.#luggage.collect(handle, arrival.from);
    arrival.rescued = (ix.eventD(index) & ARRIVED_RESCUED) !== 0;
    arrival.tag = luggage?.tag ?? ix.eventA(index);
    ix.readAddress(ix.eventB(index), arrival.address);
    arrival.port = ix.knockRemotePort(index);
    arrival.localPort = ix.knockLocalPort(index);
    const refused = arrival.rescued && this.#resetsRescued;
    const context = refused ? null : (this.#operations.arrived?.(arrival) ?? null);
    const dialing = (ix.eventD(index) & ARRIVED_CONNECTING) !== 0;
    const cookie = context === null ? 0 : this.#bind(context, handle, dialing);
    if (cookie === 0) {
      ix.reject(handle);
      return;
    }
    ix.accept(handle, cookie);
    context!.carry(ix.eventA(index), luggage);
  }

  #connected(index: number): void {
    const context = this.#find(this.ix.eventCookie(index));
    const outcome = this.ix.eventResult(index);
    if (outcome !== RC_OK) {
      this.#end(context, outcome, 0);
    } else if (context !== null) {
      context.connected(this.ix.eventA(index));
      this.#operations.dialed?.(context, RC_OK);
    }
  }

  // -------------------------------------------------------------------------------------------
  // Contexts

  /** Gives a context a slot; returns its cookie, or 0 when all slots are taken. */
  #bind(context: IxevContext, handle: number, dialing = handle === 0): number {
    if (this.connections >= MAX_CONNECTIONS) return 0;
    const slot = this.#freeSlots.pop() ?? this.#contexts.length;
    const last = this.#generations[slot] ?? 0;
    const generation = last === LAST_GENERATION ? 1 : last + 1;
    const cookie = ((generation << HANDLE_INDEX_BITS) | slot) >>> 0;
    this.#generations[slot] = generation;
    this.#contexts[slot] = context;
    context.attach(this, cookie, handle, dialing);
    return cookie;
  }

  #find(cookie: number): IxevContext | null {
    const context = this.#contexts[cookie & HANDLE_INDEX_MASK];
    // A slot that was never used is undefined.
    return context?.cookie === cookie ? context : null;
  }

  #end(context: IxevContext | null, reason: number, acknowledged: number): void {
    if (context === null || context.isDead) return;
    context.die(reason, acknowledged);
    this.#dead.push(context);
  }
}
