/**
 * The applications of the experiments on elastic cores: an echo server whose connections may move from
 * core to core, and a client that sends requests when it is told to, whatever came back so far (open
 * loop), and notes how long each one took.
 */
import {
  EV_ARRIVED,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  FLAG_QUIET,
  RC_OK,
  SYS_CONNECT,
  SYS_SEND,
} from "../../assembly/abi.ts";
import { IpAddress } from "../../host/node/index.ts";
import type { App, AppContext, Ix } from "../../host/node/index.ts";

export interface MovableEchoOptions {
  readonly port: number;
  readonly backlog: number;
}

/**
 * Echoes short messages. It keeps nothing of its connections, so one that arrives from another core is
 * one like any other.
 */
export class MovableEcho implements App {
  readonly #options: MovableEchoOptions;

  constructor(options: MovableEchoOptions) {
    this.#options = options;
  }

  start(ix: Ix): void {
    ix.listen(0, this.#options.port, this.#options.backlog);
  }

  handle(ix: Ix): void {
    ix.takeResults();
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      const handle = ix.eventHandle(i);
      const op = ix.eventOp(i);
      if (op === EV_RECV) this.#echo(ix, handle, ix.eventA(i), ix.eventB(i));
      else if (op === EV_KNOCK || op === EV_ARRIVED) ix.accept(handle, 0, FLAG_QUIET);
    }
  }

  #echo(ix: Ix, handle: number, address: number, length: number): void {
    if (length === 0) {
      ix.close(handle);
      return;
    }
    // Short sends are copied when the call runs, and the calls run in this order.
    ix.send(handle, address, length);
    ix.recvDone(handle, length);
  }
}

export interface OpenLoopOptions {
  readonly server: string;
  readonly port: number;
  readonly conns: number;
  /** Bytes of a request and of its answer: less than the copy break. */
  readonly size: number;
}

/** Dials in progress at the same time. */
const DIALS = 64;

export class OpenLoopClient implements App {
  /** Connections that are open. */
  open = 0;
  /** Requests sent, and answers that have come. */
  sent = 0;
  answered = 0;
  /** Hears of every answer: when its request was sent, and now, µs. */
  onAnswer: (sentAt: number, now: number) => void = () => {};

  readonly #options: OpenLoopOptions;
  readonly #server: IpAddress;
  #request = 0;
  #dialed = 0;
  /** Of each connection: its handle, bytes of the answer that is coming, and when requests were sent. */
  readonly #handles: Uint32Array;
  readonly #partial: Uint32Array;
  readonly #sentAt: number[][];

  constructor(options: OpenLoopOptions) {
    const { conns } = options;
    this.#options = options;
    this.#server = IpAddress.parse(options.server);
    this.#handles = new Uint32Array(conns);
    this.#partial = new Uint32Array(conns);
    this.#sentAt = Array.from({ length: conns }, () => []);
  }

  start(ix: Ix): void {
    const { size } = this.#options;
    if (size >= ix.copyBreak) throw new RangeError(`size: must be less than ${ix.copyBreak}`);
    this.#request = ix.window.allocate(size);
    ix.onFlush = (results) => this.#check(ix, results);
    // One first: only few SYNs could wait until the server's MAC address is known.
    this.#dial(ix);
  }

  handle(ix: Ix, now: number): void {
    this.takeResults(ix);
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      const slot = ix.eventCookie(i);
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#received(ix, slot, ix.eventB(i), now);
          break;
        case EV_CONNECTED:
          this.#connected(ix, slot, ix.eventHandle(i), ix.eventResult(i));
          break;
        case EV_DEAD:
          throw new Error(`connection ${slot} died: code ${ix.eventResult(i)}`);
      }
    }
  }

  /** What is left of `handle` when there are no events. */
  takeResults(ix: Ix): void {
    this.#check(ix, ix.takeResults());
  }

  /** Sends a request on a connection at `now` (µs), between two iterations. */
  send(ix: Ix, slot: number, now: number): void {
    this.sent++;
    this.#sentAt[slot].push(now);
    ix.send(this.#handles[slot], this.#request, this.#options.size, slot);
  }

  #dial(ix: Ix): void {
    ix.connect(this.#dialed++, this.#server, this.#options.port, 0, FLAG_QUIET);
  }

  #connected(ix: Ix, slot: number, handle: number, outcome: number): void {
    if (outcome !== RC_OK) throw new Error(`connect failed: code ${outcome}`);
    this.#handles[slot] = handle;
    this.open++;
    while (this.#dialed < this.#options.conns && this.#dialed - this.open < DIALS) this.#dial(ix);
  }

  #received(ix: Ix, slot: number, length: number, now: number): void {
    const { size } = this.#options;
    ix.recvDone(this.#handles[slot], length, slot);
    let bytes = this.#partial[slot] + length;
    for (; bytes >= size; bytes -= size) {
      this.answered++;
      this.onAnswer(this.#sentAt[slot].shift()!, now);
    }
    this.#partial[slot] = bytes;
  }

  #check(ix: Ix, results: number): void {
    const { size } = this.#options;
    for (let i = 0; i < results; i++) {
      const op = ix.resultOperation(i);
      if (op === SYS_SEND && ix.result(i) !== size) {
        throw new Error(`the client cannot send: result ${ix.result(i)}; offer less load`);
      }
      if (op === SYS_CONNECT && ix.result(i) !== RC_OK) {
        throw new Error(`connect failed: code ${ix.result(i)}`);
      }
    }
  }
}

/** For threads: the server as a module's default export. */
export default function movableEcho({ options }: AppContext): App {
  return new MovableEcho(options as MovableEchoOptions);
}
