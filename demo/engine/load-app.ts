/**
 * The clients: connections that send requests and wait for their echoes. In an open loop requests come
 * at random (Poisson) on random connections, whatever came back so far, and their latency counts from
 * then on; in a closed loop each connection keeps a number of requests under way.
 */
import {
  TCP_INFO_CWND,
  TCP_INFO_IN_FLIGHT,
  TCP_INFO_RECOVERY,
  TCP_INFO_RTO,
  TCP_INFO_SIZE,
  TCP_INFO_SRTT,
  TCP_INFO_SSTHRESH,
  TCP_INFO_STATE,
  RC_OK,
  SYS_TCP_INFO,
} from "../../assembly/abi.ts";
import { Ixev, IxevContext, IXEVHUP, IXEVIN, Random, type Ix } from "../../host/index.ts";
import { CLIENT_IP, hashOfPort, SERVER_IP, SERVER_PORT } from "./addresses.ts";
import { Board } from "./board.ts";
import { RANGES } from "./messages.ts";
import { Tally } from "./tally.ts";

export interface LoadOptions {
  readonly board: SharedArrayBuffer;
  readonly tally: SharedArrayBuffer;
  /** Calls back `delay` µs later, in place of the kernel's timers, which come at multiples of 16 µs. */
  readonly alarm?: (ixev: Ixev, delay: number, callback: () => void) => void;
  /** Has the core that sleeps look at calls made between rounds. */
  readonly wake?: () => void;
  /** The time, µs, where it is known between rounds. */
  readonly clock?: () => number;
}

/** Longest time between two looks at the levers, µs. */
const LOOK = 2000;
/** Connections opened in one look, and how soon one that died is opened again, µs. */
const DIALS = 16;
const REDIAL = 20_000;
/** Requests that may wait for a connection. */
const BACKLOG = 256;

/** A request under way: when it was due, and bytes of its echo that are still to come. */
interface Request {
  readonly due: number;
  awaited: number;
}

class Conversation {
  readonly index: number;
  context: IxevContext | null = null;
  isOpen = false;
  /** Oldest first. */
  readonly underWay: Request[] = [];
  /** When requests that wait were due. */
  readonly waiting: number[] = [];

  constructor(index: number) {
    this.index = index;
  }
}

export class Load {
  readonly ixev: Ixev;
  readonly #options: LoadOptions;
  readonly #board: Board;
  readonly #tally: Tally;
  readonly #random: Random;
  /** Where the requests' bytes lie in the window; nobody changes them. */
  readonly #message: number;
  /** Where the kernel writes how the connection is that is followed; an answer is awaited. */
  readonly #info: number;
  #isAsking = false;
  readonly #all: Conversation[] = [];
  #dialing = 0;
  /** When the next request is due, µs; Infinity in a closed loop. */
  #next = Infinity;

  constructor(ix: Ix, options: LoadOptions) {
    this.#options = options;
    this.#board = new Board(options.board);
    this.#tally = new Tally(options.tally);
    this.#random = new Random(this.#board.get("seed"));
    const longest = RANGES.size[1];
    this.#message = ix.window.allocate(longest);
    this.#info = ix.window.allocate(TCP_INFO_SIZE);
    const message = ix.bytes.subarray(this.#message, this.#message + longest);
    for (let i = 0; i < longest; i++) message[i] = 32 + (i % 95);
    this.ixev = new Ixev(
      ix,
      {
        dialed: (context, outcome) => this.#dialed(context.data as Conversation, outcome),
        released: (context) => this.#released(context.data as Conversation),
        result: (ix, index) => this.#takeInfo(ix, index),
      },
      { wake: options.wake },
    );
    this.#after(0);
  }

  get #now(): number {
    return this.#options.clock?.() ?? this.ixev.now;
  }

  #after(delay: number): void {
    const look = (): void => this.#look();
    if (this.#options.alarm) this.#options.alarm(this.ixev, delay, look);
    else this.ixev.setTimer(delay, look);
  }

  /** Opens and closes connections as the lever says, and sends what is due. */
  #look(): void {
    this.#reshape();
    this.#askInfo(this.#board.watched);
    const now = this.#now;
    const rate = this.#board.loadAt(now);
    const isClosedLoop = this.#board.get("load") === 0;
    if (this.#board.paused) this.#next = Infinity;
    else if (!isClosedLoop) this.#offer(now, rate);
    else for (const each of this.#all) this.#fill(each);
    this.#after(Math.max(Math.min(this.#next - now, LOOK), 0));
  }

  /** Sends the requests that have become due at `rate` a second. */
  #offer(now: number, rate: number): void {
    const open = this.#all.filter(({ isOpen }) => isOpen);
    const mean = 1e6 / Math.max(rate, 1e-3);
    if (this.#next === Infinity || this.#next > now + 20 * mean) this.#next = now + this.#gap(mean);
    // What a thread that was held up has missed is not made up for.
    if (this.#next < now - LOOK * 5) this.#next = now;
    for (; this.#next <= now; this.#next += this.#gap(mean)) {
      if (open.length === 0) continue;
      const conversation = open[this.#random.below(open.length)];
      if (conversation.waiting.length < BACKLOG) conversation.waiting.push(this.#next);
      else this.#tally.countShed();
      this.#sendWaiting(conversation);
    }
  }

  #gap(mean: number): number {
    return -mean * Math.log(1 - this.#random.uniform());
  }

  #reshape(): void {
    const wanted = this.#board.get("connections");
    if (this.#board.get("load") === 0) this.#next = Infinity;
    while (this.#all.length > wanted) this.#all.pop()!.context?.abort();
    // One first: only few SYNs could wait until the server's MAC address is known.
    const room = this.#tally.open === 0 ? 1 : DIALS;
    while (this.#all.length < wanted && this.#dialing < room) {
      const conversation = new Conversation(this.#all.length);
      this.#all.push(conversation);
      this.#dial(conversation);
    }
  }

  #dial(conversation: Conversation): void {
    if (this.#all[conversation.index] !== conversation) return;
    const context = new IxevContext(conversation);
    conversation.context = context;
    context.setHandler(IXEVIN | IXEVHUP, () => this.#received(conversation));
    this.#dialing++;
    this.ixev.dial(context, SERVER_IP, SERVER_PORT);
  }

  #dialed(conversation: Conversation, outcome: number): void {
    this.#dialing--;
    if (outcome !== RC_OK) return;
    const { localPort } = conversation.context!;
    conversation.isOpen = true;
    this.#tally.opened(conversation.index, hashOfPort(localPort) & 127, localPort);
    this.#fill(conversation);
    this.#reshape();
  }

  /** The connection is over, or was never there. */
  #released(conversation: Conversation): void {
    if (conversation.isOpen) this.#tally.closed(conversation.index);
    conversation.isOpen = false;
    conversation.context = null;
    conversation.underWay.length = 0;
    conversation.waiting.length = 0;
    this.ixev.setTimer(REDIAL, () => this.#dial(conversation));
  }

  /** In a closed loop: as many requests as may be under way. */
  #fill(conversation: Conversation): void {
    if (!conversation.isOpen || this.#board.paused || this.#board.get("load") > 0) return;
    while (conversation.underWay.length < this.#board.get("inFlight")) {
      if (!this.#send(conversation, this.#now)) return;
    }
  }

  #sendWaiting(conversation: Conversation): void {
    const { waiting, underWay } = conversation;
    while (waiting.length > 0 && underWay.length < this.#board.get("inFlight")) {
      if (!this.#send(conversation, waiting[0])) return;
      waiting.shift();
    }
  }

  #send(conversation: Conversation, due: number): boolean {
    const size = this.#board.get("size");
    if (conversation.context!.sendZeroCopy(this.#message, size) !== size) return false;
    conversation.underWay.push({ due, awaited: size });
    return true;
  }

  #received(conversation: Conversation): void {
    const context = conversation.context!;
    if (conversation.index === this.#board.watched) this.#askInfo(conversation.index);
    let length = context.available;
    context.consume(length);
    const { underWay } = conversation;
    while (length > 0 && underWay.length > 0) {
      const request = underWay[0];
      const part = Math.min(length, request.awaited);
      request.awaited -= part;
      length -= part;
      if (request.awaited > 0) break;
      underWay.shift();
      this.#tally.countAnswer(this.#now - request.due);
    }
    // The server has closed it, or it is no echo server.
    if (context.ended || length > 0) {
      context.abort();
      return;
    }
    if (this.#board.get("load") > 0) this.#sendWaiting(conversation);
    else this.#fill(conversation);
  }

  /** Asks the kernel how a connection is. */
  #askInfo(index: number): void {
    const handle = this.#all[index]?.context?.handle ?? 0;
    if (handle === 0 || this.#isAsking) return;
    this.#isAsking = true;
    this.ixev.later(() => this.ixev.ix.tcpInfo(handle, this.#info));
  }

  #takeInfo(ix: Ix, index: number): void {
    if (ix.resultOperation(index) !== SYS_TCP_INFO) return;
    this.#isAsking = false;
    if (ix.result(index) !== RC_OK) return;
    const word = (offset: number): number => ix.words[(this.#info + offset) >>> 2];
    this.#tally.info = {
      state: word(TCP_INFO_STATE),
      cwnd: word(TCP_INFO_CWND),
      ssthresh: word(TCP_INFO_SSTHRESH),
      inFlight: word(TCP_INFO_IN_FLIGHT),
      srtt: word(TCP_INFO_SRTT),
      rto: word(TCP_INFO_RTO),
      recovery: word(TCP_INFO_RECOVERY),
    };
  }
}

/** "10.0.0.2:40001", of a port of the client. */
export function clientName(port: number): string {
  return `${CLIENT_IP}:${port}`;
}
