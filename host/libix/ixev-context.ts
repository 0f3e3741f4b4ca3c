/**
 * One connection of the event layer: what its application reads, writes and waits for. Everything is
 * recorded here and carried out once per round by the loop (`Ixev`), so that however often an
 * application reads and writes, a connection costs one recv_done and one send.
 *
 * Life:   IDLE ── dial ──► DIALING ── connected ──► OPEN ── dead, abort, left ──► DEAD
 *           └──── knock or arrived, accept ────────►┘
 */
import {
  OPTION_KEEP_ALIVE,
  OPTION_NAGLE,
  OPTION_USER_TIMEOUT,
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_MOVED,
  RC_NOBUFS,
  RC_NOMEM,
  RC_OK,
  SYS_ABORT,
  SYS_CLOSE,
  SYS_OPTION,
  SYS_RECV_DONE,
  SYS_SHUTDOWN,
} from "../../assembly/abi.ts";
import { ConnectionOptions } from "./connection-options.ts";
import type { Ix } from "./ix.ts";
import { IXEVHUP, IXEVIN, IXEVOUT, Interest, type IxevHandler } from "./ixev-conditions.ts";
import { LUGGAGE_ABORT, LUGGAGE_CLOSE, LUGGAGE_SHUTDOWN, type Luggage } from "./luggage.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import type { Completion } from "./segments.ts";
import { SendQueue, type SendLoop } from "./send-queue.ts";
import { readTcpInfo, type ConnectionInfo } from "./tcp-info.ts";

const IDLE = 0;
const DIALING = 1;
const OPEN = 2;
const DEAD = 3;

const NOT_BYTES = "send takes a Uint8Array: new TextEncoder().encode(text) makes one of a text";

/** What contexts ask of the loop that they belong to. */
export interface IxevLoop extends SendLoop {
  /** Has `commit` called at the end of this round. */
  requestCommit(context: IxevContext): void;
  /** Has `run` called: in this round for what events bring, in the next for what handlers do. */
  requestRun(context: IxevContext): void;
  /** Has `roomReturned` called when copy buffers have come back. */
  awaitBuffers(context: IxevContext): void;
}

export class IxevContext {
  /** For the application. */
  data: unknown;
  /** The connection's port on this side, once it is open. */
  localPort = 0;

  #loop: IxevLoop | null = null;
  #receive: ReceiveQueue | null = null;
  #send: SendQueue | null = null;
  #handle = 0;
  #cookie = 0;
  #state = IDLE;
  #reason: number = RC_OK;
  #everOpen = false;

  readonly #interest = new Interest();
  /** The application was refused room and waits for it. */
  #wantsRoom = false;

  #closing = false;
  #shutdown = false;
  #aborting = false;
  /** The call was made: shutdown, close, abort. */
  #shutdownCalled = false;
  #closeCalled = false;
  #abortCalled = false;

  #options: ConnectionOptions | null = null;
  #tag = 0;
  #tagWanted = false;
  #hasArrived = false;
  /** Bytes of the stream that came along from another core and found no copy buffer yet. */
  #carried: Uint8Array | null = null;
  /** Received bytes still to come that were consumed on another core. */
  #skip = 0;

  /** The loop's: on its queues of contexts to commit and to run, with the next in each. */
  commitRequested = false;
  nextCommit: IxevContext | null = null;
  runRequested = false;
  nextRun: IxevContext | null = null;
  /** The loop's: waiting for copy buffers. */
  awaitingBuffers = false;

  constructor(data?: unknown) {
    this.data = data;
  }

  // -------------------------------------------------------------------------------------------
  // What the application waits for

  /**
   * Calls `handler` for the conditions in `mask`, edge-triggered and again and again unless the mask
   * contains IXEVLEVEL or IXEVONESHOT. A condition that already holds counts as having begun.
   */
  setHandler(mask: number, handler: IxevHandler): void {
    if (typeof handler !== "function") throw new TypeError("setHandler needs a handler to call");
    this.#interest.begin(handler);
    this.enable(mask);
  }

  /** Adds conditions to wait for; IXEVLEVEL and IXEVONESHOT apply to all of them from now on. */
  enable(mask: number): void {
    this.#interest.enable(mask);
    this.#trigger(this.#holding() & mask);
  }

  /** Takes conditions out of those waited for. */
  disable(mask: number): void {
    this.#interest.disable(mask);
  }

  // -------------------------------------------------------------------------------------------
  // State

  /** True until it is given a connection. */
  get isFresh(): boolean {
    return this.#state === IDLE;
  }

  /** True from `connected` or accept until the connection is over. */
  get isOpen(): boolean {
    return this.#state === OPEN;
  }

  get isDead(): boolean {
    return this.#state === DEAD;
  }

  /** Why the connection is over: RC_OK after an orderly end of both directions. */
  get reason(): number {
    return this.#reason;
  }

  /** The kernel's handle of the connection, for raw calls; 0 while there is none. */
  get handle(): number {
    return this.#handle;
  }

  /** Bytes that can be read now. */
  get available(): number {
    return this.#receive === null ? 0 : this.#receive.available;
  }

  /** True when the peer has ended its stream and all of it was read. */
  get ended(): boolean {
    return this.#receive !== null && this.#receive.ended && this.#receive.available === 0;
  }

  /** Bytes sent that the kernel has not accepted yet. */
  get unsent(): number {
    return (this.#send === null ? 0 : this.#send.unsent) + (this.#carried?.length ?? 0);
  }

  /** A number that stays with the connection when it moves to another core: `arrived` tells it there. */
  get tag(): number {
    return this.#tag;
  }

  set tag(tag: number) {
    this.#tag = tag >>> 0;
    this.#tagWanted = true;
    this.#loop?.requestCommit(this);
  }

  /** What the kernel knows of the connection at this moment; null while there is none. */
  info(): ConnectionInfo | null {
    const alive = this.#loop !== null && this.#handle !== 0 && this.#state !== DEAD;
    return alive ? readTcpInfo(this.#loop!.ix, this.#handle) : null;
  }

  /** Bytes sent that the peer has not acknowledged yet. */
  get unacknowledged(): number {
    return this.#send === null ? 0 : this.#send.queued - this.#send.acknowledged;
  }

  // -------------------------------------------------------------------------------------------
  // Reading

  /**
   * Copies received bytes out. Returns how many; 0 at the end of the peer's stream (or for an empty
   * array), RC_AGAIN when there is nothing yet, the reason when the connection is over.
   */
  recv(into: Uint8Array): number {
    const receive = this.#receive;
    if (receive !== null && receive.available > 0 && !this.#closing) {
      const taken = receive.copyInto(this.#loop!.ix, into);
      this.#loop!.requestCommit(this);
      return taken;
    }
    if (into.length === 0 || this.ended) return 0;
    if (this.#state === DEAD && this.#reason !== RC_OK) return this.#reason;
    return this.#state === DEAD || this.#closing ? RC_CLOSED : RC_AGAIN;
  }

  /**
   * Address of the next `length` bytes, consumed by this call but left in place until the handler's
   * round is over. 0 when they have not all arrived or do not lie contiguous: use `recv` then.
   */
  recvZeroCopy(length: number): number {
    const receive = this.#receive;
    if (receive === null || this.#closing || length === 0 || receive.frontLength < length) return 0;
    const address = receive.frontAddress;
    this.consume(length);
    return address;
  }

  /** Address of the next byte, which stays where it is until consumed; 0 when there is none. */
  get frontAddress(): number {
    return this.#receive === null ? 0 : this.#receive.frontAddress;
  }

  /** Bytes that lie contiguous at `frontAddress`. */
  get frontLength(): number {
    return this.#receive === null ? 0 : this.#receive.frontLength;
  }

  /** Consumes up to `length` bytes in place; the peer's window opens by as much. */
  consume(length: number): void {
    const receive = this.#receive;
    if (receive === null || length <= 0) return;
    receive.consume(Math.min(length, receive.available));
    this.#loop!.requestCommit(this);
  }

  // -------------------------------------------------------------------------------------------
  // Writing

  /**
   * Sends a copy of `bytes`. Returns how many were taken, perhaps fewer than all or none: IXEVOUT
   * then says when to go on. RC_CLOSED when nothing can be sent any more.
   */
  send(bytes: Uint8Array): number {
    if (bytes.BYTES_PER_ELEMENT !== 1) throw new TypeError(NOT_BYTES);
    if (!this.#canSend()) return RC_CLOSED;
    if (!this.#mayQueue()) return 0;
    return this.#queued(this.#send!.copyIn(bytes), bytes.length);
  }

  /** Like `send`, for bytes in the dataplane's memory, for example ones just received. */
  sendMemory(address: number, length: number): number {
    if (!this.#canSend()) return RC_CLOSED;
    if (!this.#mayQueue()) return 0;
    return this.#queued(this.#send!.copyWithin(address, length), length);
  }

  /**
   * Sends `length` bytes of the application's window at `address` without copying them. They must
   * not change until `done` is called: with true when the peer has acknowledged them or they have gone
   * to another core, with false when the connection ended before. Returns `length`, or RC_CLOSED when
   * nothing can be sent any more; 0 in the short time until what came along from another core is sent.
   */
  sendZeroCopy(address: number, length: number, done: Completion | null = null): number {
    if (!this.#canSend()) return RC_CLOSED;
    if (length === 0 || !this.#mayQueue()) return 0;
    this.#send!.refer(address, length, done);
    return this.#queued(length, length);
  }

  // -------------------------------------------------------------------------------------------
  // Behaviour. What is asked for before the connection is open holds from then on.

  /** False: small segments wait for outstanding ones (Nagle's algorithm). */
  setNoDelay(noDelay = true): void {
    this.#setOption(OPTION_NAGLE, noDelay ? 0 : 1);
  }

  /**
   * Has the peer asked whether it is still there after `idle` seconds in silence, every `interval` seconds
   * and `probes` times before the connection is reset; 0 leaves each to the dataplane's options.
   */
  setKeepAlive(enable: boolean, idle = 0, interval = 0, probes = 0): void {
    this.#setOption(OPTION_KEEP_ALIVE, enable ? 1 : 0, idle, interval | (probes << 16));
  }

  /** Ends the connection when data goes unacknowledged for so many seconds; 0: as the dataplane's options say. */
  setUserTimeout(seconds: number): void {
    this.#setOption(OPTION_USER_TIMEOUT, seconds);
  }

  #setOption(option: number, b: number, c = 0, d = 0): void {
    if (this.#state === DEAD) return;
    this.#options ??= new ConnectionOptions();
    this.#options.set(option, b, c, d);
    this.#loop?.requestCommit(this);
  }

  // -------------------------------------------------------------------------------------------
  // Ending

  /** Ends the sending direction once everything sent is out; reading goes on. */
  shutdown(): void {
    if (this.#state === DEAD || this.#shutdown) return;
    this.#shutdown = true;
    this.#loop?.requestCommit(this);
  }

  /**
   * Ends the connection: sends what is unsent, then a FIN. What is received from now on is thrown
   * away and the handler is not called any more; the loop's `released` tells when all is over.
   */
  close(): void {
    if (this.#state === DEAD || this.#closing) return;
    this.#closing = true;
    this.#loop?.requestCommit(this);
  }

  /** Ends the connection at once, with RST; what is unsent is lost. */
  abort(): void {
    if (this.#state === DEAD || this.#aborting) return;
    this.#closing = true;
    this.#aborting = true;
    this.#loop?.requestCommit(this);
  }

  // -------------------------------------------------------------------------------------------
  // For the loop only

  /** Joins a loop: `handle` is 0 for a connection that is being dialed, until it is known. */
  attach(loop: IxevLoop, cookie: number, handle: number, dialing = handle === 0): void {
    this.#loop = loop;
    this.#receive = new ReceiveQueue(loop.segments);
    this.#send = new SendQueue(loop);
    this.#cookie = cookie;
    this.#handle = handle;
    this.#state = dialing ? DIALING : OPEN;
    this.#everOpen = !dialing;
    const { enabled } = this.#interest;
    if (enabled !== 0) this.enable(enabled);
    if (this.#shutdown || this.#closing || this.#tagWanted || this.#options) {
      loop.requestCommit(this);
    }
  }

  get cookie(): number {
    return this.#cookie;
  }

  /** False for a dial that has not succeeded. */
  get everOpen(): boolean {
    return this.#everOpen;
  }

  /** The kernel has given the dialed connection its handle. */
  handleKnown(handle: number): void {
    this.#handle = handle;
    if (this.#closing) this.#loop!.requestCommit(this);
  }

  /** Dials the endpoint whose record is at `endpoint`, with what is to be sent first. */
  connectSend(endpoint: number, sourcePort: number): void {
    this.#send!.emitWithSyn(this.#cookie, endpoint, sourcePort);
  }

  /** The SYN is out, and `accepted` bytes with it. */
  synSent(handle: number, accepted: number): void {
    this.#send!.acceptWithSyn(accepted);
    this.handleKnown(handle);
    this.#offerRoom();
  }

  /** @param localPort the port that the kernel chose */
  connected(localPort: number): void {
    this.localPort = localPort;
    this.#state = OPEN;
    this.#everOpen = true;
    this.#trigger(IXEVOUT);
    this.#loop!.requestCommit(this);
  }

  /** A `recv` event; length 0 is the peer's FIN. */
  received(address: number, length: number): void {
    const receive = this.#receive!;
    if (length === 0) receive.ended = true;
    else receive.push(address, length);
    if (this.#skip > 0 && length > 0) {
      const skipped = Math.min(this.#skip, length);
      this.#skip -= skipped;
      this.consume(skipped);
      if (receive.available === 0) return;
    }
    if (this.#closing) this.#loop!.requestCommit(this);
    else this.#trigger(IXEVIN);
  }

  /** A `sent` event. */
  sentBytes(bytes: number, window: number): void {
    const send = this.#send!;
    if (bytes > 0) send.acknowledge(bytes);
    if (window > 0 && send.blocked) {
      send.blocked = false;
      this.#loop!.requestCommit(this);
    }
    if (this.#carried !== null) this.#loop!.requestCommit(this);
    this.#offerRoom();
  }

  /** The result of the send of the last round. */
  sendResult(result: number): void {
    const send = this.#send!;
    if (this.#state === DEAD || send.requested === 0) return;
    if (result === RC_MOVED) {
      // On its way to another core: `left` is near, unless the connection stays after all.
      send.refuse();
      this.#loop!.requestCommit(this);
      return;
    }
    const accepted = Math.max(0, result);
    const referenced = send.requested >= this.#loop!.ix.copyBreak;
    send.accept(accepted, referenced && accepted > 0);
    if (result === RC_CLOSED || result === RC_BADH) {
      // The connection is over; `dead` is on its way and says why.
      this.#shutdown = true;
      this.#shutdownCalled = true;
      return;
    }
    if (result < 0 && result !== RC_AGAIN && result !== RC_NOBUFS && result !== RC_NOMEM) {
      // What cannot be sent leaves a hole in the stream, so nothing after it can be sent either.
      this.#reason = result;
      this.#aborting = true;
    }
    if (!send.blocked || this.#aborting) this.#loop!.requestCommit(this);
    this.#offerRoom();
  }

  /**
   * A call of this connection was refused with RC_MOVED: it is made again, here or where it goes.
   *
   * @param value the first of the call: bytes, or the option
   */
  refused(operation: number, value: number): void {
    if (this.#state === DEAD) return;
    if (operation === SYS_RECV_DONE) this.#receive!.putBack(value);
    else if (operation === SYS_SHUTDOWN) this.#shutdownCalled = false;
    else if (operation === SYS_CLOSE) this.#closeCalled = false;
    else if (operation === SYS_ABORT) this.#abortCalled = false;
    else if (operation === SYS_OPTION) this.#options!.refused(value);
    else this.#tagWanted = true;
    this.#loop!.requestCommit(this);
  }

  /** True when the kernel finishes the connection alone. */
  get isClosed(): boolean {
    return this.#closeCalled;
  }

  /**
   * The connection has left for another core: what has to follow it, or null when nothing has. The
   * context is over, without its handler being called.
   */
  leave(): Luggage | null {
    const unsent = joined(this.#send!.copyUnsent(), this.#carried);
    const skip = this.#receive!.consumed + this.#skip;
    const flags =
      (this.#shutdown ? LUGGAGE_SHUTDOWN : 0) |
      (this.#closing ? LUGGAGE_CLOSE : 0) |
      (this.#aborting ? LUGGAGE_ABORT : 0);
    this.#state = DEAD;
    this.#reason = RC_MOVED;
    this.#interest.clear();
    this.#send!.drop(true);
    const nothing = unsent.length === 0 && skip === 0 && flags === 0 && !this.#tagWanted;
    return nothing ? null : { flags, tag: this.#tag, skip, unsent };
  }

  /** The connection has arrived from another core, and this with it. */
  carry(tag: number, luggage: Luggage | undefined): void {
    this.#tag = tag;
    this.#hasArrived = true;
    if (luggage === undefined) return;
    if (luggage.tag !== tag) this.tag = luggage.tag;
    this.#skip = luggage.skip;
    if (luggage.unsent.length > 0) this.#carried = luggage.unsent;
    if ((luggage.flags & LUGGAGE_SHUTDOWN) !== 0) this.shutdown();
    if ((luggage.flags & LUGGAGE_CLOSE) !== 0) this.close();
    if ((luggage.flags & LUGGAGE_ABORT) !== 0) this.abort();
    this.#loop!.requestCommit(this);
  }

  /** Copy buffers have come back. */
  roomReturned(): void {
    if (this.#carried !== null) this.#loop!.requestCommit(this);
    this.#offerRoom();
  }

  /** The connection is over. What was received can be read until the round is. */
  die(reason: number, acknowledged: number): void {
    if (this.#reason === RC_OK) this.#reason = reason;
    this.#state = DEAD;
    if (acknowledged > 0) this.#send!.acknowledge(acknowledged);
    if (this.#everOpen && !this.#closing) this.#trigger(IXEVHUP);
  }

  /** Frees what the connection held, after the round in which it died; calls open completions. */
  release(): void {
    this.#receive?.drop();
    this.#send?.drop();
    this.#interest.end();
    this.#handle = 0;
  }

  /** Calls the handler for what has been triggered. */
  run(): void {
    if (this.#closing) this.#interest.clear();
    else if (this.#interest.report(this)) this.#trigger(this.#holding() & ~IXEVHUP);
  }

  /** Makes this round's calls: one send, one recv_done, and what ends the connection. */
  commit(): void {
    if (this.#state === DEAD || this.#handle === 0 || this.#abortCalled) return;
    const loop = this.#loop!;
    const { ix } = loop;
    const send = this.#send!;
    if (this.#aborting || (this.#closing && this.#isInVain)) {
      this.#abortCalled = true;
      ix.abort(this.#handle, this.#cookie);
      return;
    }
    if (this.#tagWanted) {
      this.#tagWanted = false;
      ix.tag(this.#handle, this.#tag, this.#cookie);
    }
    if (this.#state === DIALING || this.#closeCalled) return;
    this.#options?.emit(ix, this.#handle, this.#cookie);
    if (this.#carried !== null) this.#unpack(this.#carried);
    send.emit(this.#handle, this.#cookie);
    this.#giveBack(ix);
    if (this.unsent > 0) return;
    if (this.#closing) {
      this.#closeCalled = true;
      ix.close(this.#handle, this.#cookie);
    } else if (this.#shutdown && !this.#shutdownCalled) {
      this.#shutdownCalled = true;
      ix.shutdown(this.#handle, this.#cookie);
    }
  }

  /** Moves what came along into copy buffers, as far as there are any. */
  #unpack(bytes: Uint8Array): void {
    const done = this.#send!.copyIn(bytes);
    if (done === bytes.length) {
      this.#carried = null;
      return;
    }
    this.#carried = bytes.subarray(done);
    this.#awaitBuffers();
  }

  #giveBack(ix: Ix): void {
    const receive = this.#receive!;
    if (this.#closing) receive.consume(receive.available);
    const consumed = receive.takeConsumed();
    if (consumed > 0) ix.recvDone(this.#handle, consumed, this.#cookie);
  }

  // -------------------------------------------------------------------------------------------

  /** A dial that nothing was written to. One that has arrived may have had its say on another core. */
  get #isInVain(): boolean {
    return this.#state === DIALING && this.#send!.queued === 0 && !this.#hasArrived;
  }

  #canSend(): boolean {
    return (this.#state === OPEN || this.#state === DIALING) && !this.#shutdown && !this.#closing;
  }

  /** What came along is sent first. */
  #mayQueue(): boolean {
    if (this.#carried === null) return true;
    this.#wantsRoom = true;
    return false;
  }

  /** `done` of `length` bytes were queued. */
  #queued(done: number, length: number): number {
    if (done < length) {
      this.#wantsRoom = true;
      this.#awaitBuffers();
    }
    if (done > 0) this.#loop!.requestCommit(this);
    return done;
  }

  #awaitBuffers(): void {
    if (this.#send!.starved) this.#loop!.awaitBuffers(this);
  }

  /** Triggers IXEVOUT for an application that was refused room, when there is some again. */
  #offerRoom(): void {
    if (!this.#wantsRoom || !this.#hasRoom()) return;
    this.#wantsRoom = false;
    this.#trigger(IXEVOUT);
  }

  /** Half of the limit must be free: a handler is not called for every byte that goes out. */
  #hasRoom(): boolean {
    return (
      !this.awaitingBuffers &&
      this.#carried === null &&
      this.#send!.copiesHeld <= this.#loop!.sendLimit / 2
    );
  }

  /** The conditions that hold now, whether or not they were reported. */
  #holding(): number {
    if (this.#state === DEAD) return IXEVHUP;
    if (this.#state !== OPEN) return 0;
    const readable = this.#receive!.available > 0 || this.#receive!.ended;
    return (readable ? IXEVIN : 0) | (this.#canSend() && this.#hasRoom() ? IXEVOUT : 0);
  }

  #trigger(conditions: number): void {
    if (this.#interest.trigger(conditions)) this.#loop!.requestRun(this);
  }
}

function joined(first: Uint8Array, second: Uint8Array | null): Uint8Array {
  if (second === null) return first;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
