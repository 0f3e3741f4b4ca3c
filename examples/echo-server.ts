/**
 * A TCP echo server on the raw arrays. What arrives is sent back from where it lies, in the packet
 * frame; the result of the send says how much the kernel has taken, and so much is given back. A
 * connection needs state here only while its peer does not read what it is sent.
 */
import {
  EV_ARRIVED,
  EV_DEAD,
  EV_KNOCK,
  EV_LEFT,
  EV_RECV,
  EV_SENT,
  FLAG_QUIET,
  RC_OK,
  SYS_LISTEN,
  SYS_SEND,
} from "../assembly/abi.ts";
import type { App, AppContext } from "../host/libix/app.ts";
import type { Ix } from "../host/libix/ix.ts";

export interface EchoServerOptions {
  /** Ports to listen on. */
  readonly ports: readonly number[];
  /** Connections that may wait to be accepted, per port. Default 1024. */
  readonly backlog?: number;
}

/** A connection that takes no more for now. */
interface Stalled {
  /** What waits to be sent: address, length, address, length, … */
  readonly ranges: number[];
  /** A send of the first range is in the call array. */
  sending: boolean;
  /** The peer will send nothing more: close when the ranges are out. */
  ended: boolean;
}

export class EchoServer implements App {
  readonly #options: EchoServerOptions;
  readonly #stalled = new Map<number, Stalled>();
  /** Bytes to give back: handle, count, handle, count, … */
  readonly #owed: number[] = [];
  #owedWords = 0;
  /** Calls before the first send of this round. */
  #firstSend = 0;
  /** Handles whose peer has ended its stream, and those that can send their next range. */
  readonly #ended: number[] = [];
  readonly #ready: number[] = [];

  constructor(options: EchoServerOptions) {
    this.#options = options;
  }

  start(ix: Ix): void {
    ix.onFlush = (results) => this.#takeResults(ix, results);
    for (const port of this.#options.ports) ix.listen(0, port, this.#options.backlog ?? 1024);
  }

  handle(ix: Ix): void {
    this.#takeResults(ix, ix.takeResults());
    this.#settle(ix);
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      const handle = ix.eventHandle(i);
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#received(ix, handle, ix.eventA(i), ix.eventB(i));
          break;
        case EV_KNOCK:
          ix.accept(handle, 0, FLAG_QUIET);
          break;
        case EV_SENT:
          this.#sendNext(ix, handle);
          break;
        case EV_ARRIVED:
          // What was sent and not yet given back only the core it comes from knows. The event layer
          // (echo-server-ixev.ts) passes such things on.
          ix.reject(handle);
          break;
        case EV_LEFT:
        case EV_DEAD:
          this.#stalled.delete(handle);
          break;
      }
    }
  }

  #received(ix: Ix, handle: number, address: number, length: number): void {
    const stalled = this.#stalled.size === 0 ? undefined : this.#stalled.get(handle);
    if (length === 0) {
      // Whether all was sent is known when the results are: in the next round.
      this.#ended.push(handle);
      ix.nop();
    } else if (stalled) {
      stalled.ranges.push(address, length);
    } else {
      ix.send(handle, address, length);
    }
  }

  /** Notes what came of the last round's calls. Makes none: they would be written over the results. */
  #takeResults(ix: Ix, results: number): void {
    for (let i = this.#firstSend; i < results; i++) {
      const operation = ix.resultOperation(i);
      if (operation === SYS_SEND) {
        const handle = ix.resultHandle(i);
        const taken = Math.max(ix.result(i), 0);
        this.#owed[this.#owedWords++] = handle;
        this.#owed[this.#owedWords++] = taken;
        if (taken < ix.callB(i) || this.#stalled.size > 0) {
          this.#stall(handle, ix.callA(i), ix.callB(i), taken);
        }
      } else if (operation === SYS_LISTEN && ix.result(i) !== RC_OK) {
        throw new Error(`cannot listen on port ${ix.callA(i)}: code ${ix.result(i)}`);
      }
    }
    this.#firstSend = 0;
  }

  /** Gives back what was sent, and ends connections whose peer has ended theirs. */
  #settle(ix: Ix): void {
    const owed = this.#owed;
    for (let i = 0; i < this.#owedWords; i += 2) ix.recvDone(owed[i], owed[i + 1]);
    this.#owedWords = 0;
    this.#firstSend = ix.pendingCalls;
    if (this.#ready.length > 0) {
      for (const handle of this.#ready.splice(0)) this.#sendNext(ix, handle);
    }
    if (this.#ended.length > 0) {
      for (const handle of this.#ended.splice(0)) this.#end(ix, handle);
    }
  }

  #end(ix: Ix, handle: number): void {
    const stalled = this.#stalled.get(handle);
    if (stalled) stalled.ended = true;
    else ix.close(handle);
  }

  /** A send of `length` bytes at `address` was cut short, or belongs to a connection that stalls. */
  #stall(handle: number, address: number, length: number, taken: number): void {
    const stalled = this.#stalled.get(handle);
    if (!stalled) {
      if (taken === length) return;
      const ranges = [address + taken, length - taken];
      this.#stalled.set(handle, { ranges, sending: false, ended: false });
    } else if (!stalled.sending) {
      stalled.ranges.push(address, length);
    } else {
      stalled.sending = false;
      const { ranges } = stalled;
      if (taken < length) {
        ranges[0] += taken;
        ranges[1] -= taken;
        return;
      }
      ranges.splice(0, 2);
      if (ranges.length > 0) {
        this.#ready.push(handle);
      } else {
        this.#stalled.delete(handle);
        if (stalled.ended) this.#ended.push(handle);
      }
    }
  }

  #sendNext(ix: Ix, handle: number): void {
    const stalled = this.#stalled.get(handle);
    if (!stalled || stalled.sending) return;
    stalled.sending = true;
    ix.send(handle, stalled.ranges[0], stalled.ranges[1]);
  }
}

export default function echoServer({ options }: AppContext): App {
  return new EchoServer(options as EchoServerOptions);
}
