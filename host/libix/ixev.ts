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
 * Contexts and listeners have cookies in tables of their own; which one a cookie belongs to follows from
 * the operation.
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
  RC_BADH,
  RC_CLOSED,
  RC_MOVED,
  RC_NOMEM,
  RC_OK,
  RC_RESET,
  ENDPOINT_SIZE,
  SG_SIZE,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
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
import { ContextTable } from "./context-table.ts";
import { CopyBuffers } from "./copy-buffers.ts";
import { IpAddress } from "./ip-address.ts";
import type { Ix } from "./ix.ts";
import { LuggageService } from "./luggage.ts";
import type { IxevContext, IxevLoop } from "./ixev-context.ts";
import { IxevListeners, type IxevListener } from "./ixev-listeners.ts";
import type { IxevOperations, IxevOptions } from "./ixev-operations.ts";
import { IxevTimers, type IxevTimer } from "./ixev-timers.ts";
import { SegmentPool } from "./segments.ts";

const COPY_BUFFER = 4096;
const VECTOR_BYTES = 64 * 1024;
/** What an endpoint record takes of the vectors' room. */
const ENDPOINT_ENTRIES = Math.ceil(ENDPOINT_SIZE / SG_SIZE);
/** Calls in one round besides those of contexts: as many as a batch has packets, so that answers keep up. */
const MOST_PER_ROUND = 64;

export class Ixev implements App, IxevLoop {
  readonly ix: Ix;
  readonly segments = new SegmentPool();
  readonly buffers: CopyBuffers;
  readonly sendLimit: number;

  readonly #operations: IxevOperations;
  readonly #contexts = new ContextTable();
  readonly #listeners: IxevListeners;
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
  readonly #timers: IxevTimers;

  readonly #vectors: number;
  #vectorsUsed = 0;

  /** Throws a RangeError when the application window has no room for the layer's own needs. */
  constructor(ix: Ix, operations: IxevOperations = {}, options: IxevOptions = {}) {
    this.ix = ix;
    this.#operations = operations;
    this.#wake = options.wake;
    this.#listeners = new IxevListeners(ix, (call) => this.later(call));
    this.#timers = new IxevTimers(ix);
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
    return this.#contexts.size;
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
    checkPort(port);
    return this.#listeners.open(port, backlog, flags, fastOpen);
  }

  /** Listens no more. Connections that were accepted go on. */
  unlisten(listener: IxevListener): void {
    this.#listeners.close(listener);
  }

  /**
   * Opens a connection for a fresh context; `dialed` tells how it went.
   *
   * @param fastOpen what is sent on the context in this round goes with the SYN, as far as the server's cookie
   *   is known and a packet holds it (RFC 7413); the rest follows as ever. Only for what the server may see
   *   twice. Without the dataplane's option `tcp.fastOpen.client` all of it follows
   */
  dial(
    context: IxevContext,
    to: IpAddress | string,
    port: number,
    sourcePort = 0,
    fastOpen = false,
  ): void {
    checkPort(port);
    const address = typeof to === "string" ? IpAddress.parse(to) : to;
    const cookie = this.#bind(context, 0);
    if (cookie === 0) {
      context.die(RC_NOMEM, 0);
      this.#dead.push(context);
    } else {
      const fast = fastOpen && this.ix.canConnectSend;
      this.later(() => {
        if (fast) context.connectSend(this.#endpoint(address, port), sourcePort);
        else this.ix.connect(cookie, address, port, sourcePort);
      });
    }
    this.#recall();
  }

  /** Address of an endpoint record, kept until this round's calls are run. */
  #endpoint(address: IpAddress, port: number): number {
    const endpoint = this.takeVector(ENDPOINT_ENTRIES);
    this.ix.writeEndpoint(endpoint, address, port);
    return endpoint;
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
    if (ix.pendingCalls === 0) this.#vectorsUsed = 0;
    this.#timers.settle(now);
    this.#takeResults(ix.takeResults());
    this.#takeEvents(ix);
    this.#offerBuffers();
    try {
      this.#timers.run(now);
      this.#runHandlers();
    } finally {
      this.commit();
      this.#timers.arm(this.#now);
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
    this.#contexts.remove(context);
    context.release();
    if (!context.everOpen) this.#operations.dialed?.(context, context.reason);
    this.#operations.released?.(context);
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
    const contexts = this.#contexts;
    for (let i = 0; i < results; i++) {
      switch (ix.resultOperation(i)) {
        case SYS_SEND:
        case SYS_SENDV:
          contexts.find(ix.resultCookie(i))?.sendResult(ix.result(i));
          break;
        case SYS_CONNECT:
          this.#connectResult(i);
          break;
        case SYS_CONNECT_SEND:
          this.#connectSendResult(i);
          break;
        case SYS_ACCEPT:
          this.#acceptResult(i);
          break;
        case SYS_ABORT:
          // It is gone now, unless it was before, or is on its way to another core.
          if (ix.result(i) === RC_MOVED) this.#refused(i);
          else this.#end(contexts.find(ix.resultCookie(i)), RC_CLOSED, 0);
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
          if (!this.#timers.armed(i)) this.#operations.result?.(ix, i);
          break;
        default:
          this.#otherResult(i);
      }
    }
  }

  #refused(index: number): void {
    const { ix } = this;
    const context = this.#contexts.find(ix.resultCookie(index));
    context?.refused(ix.resultOperation(index), ix.callA(index));
  }

  #listenResult(index: number): void {
    const listener = this.#listeners.settle(index);
    this.#operations.listening?.(listener);
  }

  #otherResult(index: number): void {
    const { ix } = this;
    if (ix.resultOperation(index) >= SYS_UDP_SEND) this.#operations.result?.(ix, index);
  }

  #connectResult(index: number): void {
    const { ix } = this;
    const context = this.#contexts.find(ix.resultCookie(index));
    if (ix.result(index) === RC_OK) context?.handleKnown(ix.resultHandle(index));
    else this.#end(context, ix.result(index), 0);
  }

  #connectSendResult(index: number): void {
    const { ix } = this;
    const context = this.#contexts.find(ix.resultCookie(index));
    const result = ix.result(index);
    if (result < 0) this.#end(context, result, 0);
    else context?.synSent(ix.resultHandle(index), result);
  }

  #acceptResult(index: number): void {
    const { ix } = this;
    const result = ix.result(index);
    if (result === RC_OK) return;
    // No handle any more: the peer has reset the connection since it knocked.
    this.#end(
      this.#contexts.find(ix.resultCookie(index)),
      result === RC_BADH ? RC_RESET : result,
      0,
    );
  }

  // -------------------------------------------------------------------------------------------
  // Events

  #takeEvents(ix: Ix): void {
    const events = ix.eventCount;
    const contexts = this.#contexts;
    for (let i = 0; i < events; i++) {
      switch (ix.eventOp(i)) {
        case EV_RECV:
          contexts.find(ix.eventCookie(i))?.received(ix.eventA(i), ix.eventB(i));
          break;
        case EV_SENT:
          contexts.find(ix.eventCookie(i))?.sentBytes(ix.eventA(i), ix.eventB(i));
          break;
        case EV_KNOCK:
          this.#knocked(i);
          break;
        case EV_CONNECTED:
          this.#connected(i);
          break;
        case EV_LEFT:
          this.#left(contexts.find(ix.eventCookie(i)), ix.eventA(i));
          break;
        case EV_ARRIVED:
          this.#arrived(i);
          break;
        case EV_DEAD:
          this.#end(contexts.find(ix.eventCookie(i)), ix.eventResult(i), ix.eventA(i));
          break;
        default:
          this.#otherEvent(ix, i);
      }
    }
  }

  #otherEvent(ix: Ix, index: number): void {
    const operation = ix.eventOp(index);
    if (operation === EV_TIMER && this.#timers.fired(index)) return;
    if (this.#operations.event !== undefined) {
      this.#operations.event(ix, index);
    } else if (operation === EV_UDP_RECV) {
      ix.udpRecvDone(ix.eventHandle(index), ix.eventD(index));
    }
  }

  #knocked(index: number): void {
    const { ix } = this;
    const handle = ix.eventHandle(index);
    const listener = this.#listeners.find(ix.eventCookie(index));
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
    this.#contexts.remove(context);
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
    const context = this.#contexts.find(this.ix.eventCookie(index));
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
    if (context.isFresh !== true) {
      throw new TypeError("a connection needs a fresh IxevContext of its own");
    }
    const cookie = this.#contexts.add(context);
    if (cookie !== 0) context.attach(this, cookie, handle, dialing);
    return cookie;
  }

  #end(context: IxevContext | null, reason: number, acknowledged: number): void {
    if (context === null || context.isDead) return;
    context.die(reason, acknowledged);
    this.#dead.push(context);
  }
}

function checkPort(port: number): void {
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return;
  throw new RangeError(`port: ${JSON.stringify(port)} is not a whole number from 1 to 65535`);
}
