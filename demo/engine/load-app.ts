/**
 * The clients: connections that send requests and wait for their echoes. In an open loop requests come
 * at random (Poisson) on random connections, whatever came back so far, and their latency counts from
 * then on; in a closed loop each connection keeps a number of requests under way.
 */
import { RC_OK } from "../../assembly/abi.ts";
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
    const message = ix.bytes.subarray(this.#message, this.#message + longest);
    for (let i = 0; i < longest; i++) message[i] = 32 + (i % 95);
    this.ixev = new Ixev(
      ix,
      {
        dialed: (context, outcome) => this.#dialed(context.data as Conversation, outcome),
        released: (context) => this.#released(context.data as Conversation),
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
}

/** Of a connection's index, for people. */
export function clientName(port: number): string {
  return `${CLIENT_IP}:${port}`;
}
