/**
 * The load that `ixwasm run` puts on what it runs: connections that send a message, wait for as many
 * bytes to come back, and send the next when it is time. No connection has more than one message on
 * the way, so the load is bounded by what the other side can do. One that dies is opened again.
 */
import { RC_OK } from "../../../assembly/abi.ts";
import type { App, AppContext } from "../../libix/app.ts";
import { IXEVHUP, IXEVIN } from "../../libix/ixev-conditions.ts";
import { IxevContext } from "../../libix/ixev-context.ts";
import { Ixev } from "../../libix/ixev.ts";
import {
  bucketOf,
  LOAD_FAILED,
  LOAD_MESSAGES,
  LOAD_OLDEST,
  LOAD_OPEN,
  LOAD_OPENED,
  loadBlock,
} from "./load-state.ts";

export interface LoadOptions {
  readonly server: string;
  readonly port: number;
  /** Connections and messages a second of all cores together; a rate of 0: as fast as echoes come. */
  readonly connections: number;
  readonly rate: number;
  /** Bytes of a message. */
  readonly size: number;
  readonly cores: number;
  /** From `createLoadState`. */
  readonly state: SharedArrayBuffer;
}

/** Time between two looks at how many messages are due, µs. */
const TICK = 1000;
/** Ticks between two looks at messages that do not come back. */
const LOOK = 100;
/** Time before a connection that could not be opened, or died, is opened again, µs. */
const REDIAL = 500_000;
/** Connections opened in one tick at most. */
const DIALS_PER_TICK = 16;

/** One connection after the other. */
class Conversation {
  context: IxevContext | null = null;
  /** Bytes of the echo that are still to come; 0 between messages. */
  awaited = 0;
  sentAt = 0;
}

class Load {
  readonly ixev: Ixev;
  readonly #options: LoadOptions;
  readonly #counts: Float64Array;
  /** Where the message lies in the window; nobody changes it. */
  readonly #message: number;
  /** All connections; open ones without a message on the way, a queue; those to be opened. */
  readonly #all: readonly Conversation[];
  readonly #idle: Conversation[] = [];
  readonly #closed: Conversation[];
  #ticks = 0;
  /** Messages that are due, and when that was found out. */
  #due = 0;
  #dueAt = 0;
  readonly #rate: number;

  constructor({ ix, core, options }: AppContext) {
    this.#options = options as LoadOptions;
    const { connections, cores, rate, size, state } = this.#options;
    this.#counts = loadBlock(state, core);
    this.#message = ix.window.allocate(size);
    if (this.#message === 0) throw new RangeError("size: a message does not fit the window");
    ix.bytes.subarray(this.#message, this.#message + size).forEach((_, i, to) => (to[i] = i * 7));
    const own = Math.floor((connections + cores - 1 - core) / cores);
    this.#rate = (rate * own) / connections;
    this.#all = Array.from({ length: own }, () => new Conversation());
    this.#closed = [...this.#all];
    this.ixev = new Ixev(ix, {
      dialed: (context, outcome) => this.#dialed(context, outcome),
      released: (context) => this.#released(context.data as Conversation),
    });
    this.ixev.setTimer(0, () => this.#tick());
  }

  #tick(): void {
    this.ixev.setTimer(TICK, () => this.#tick());
    const opening = this.#closed.splice(0, DIALS_PER_TICK);
    for (const conversation of opening) this.#dial(conversation);
    if (this.#rate > 0) this.#sendDue();
    if (++this.#ticks % LOOK === 0) this.#counts[LOAD_OLDEST] = this.#oldest();
  }

  /** How long the message that is longest on its way has been, µs; 0 when none is. */
  #oldest(): number {
    const now = performance.now();
    let oldest = 0;
    for (const { awaited, sentAt } of this.#all) {
      if (awaited > 0) oldest = Math.max(oldest, now - sentAt);
    }
    return oldest * 1000;
  }

  /** Sends what the rate asks for; what found all connections busy is not made up for later. */
  #sendDue(): void {
    const { now } = this.ixev;
    if (this.#dueAt > 0) this.#due += ((now - this.#dueAt) * this.#rate) / 1e6;
    this.#dueAt = now;
    const ready = Math.min(Math.floor(this.#due), this.#idle.length);
    this.#due = ready < this.#idle.length ? this.#due - ready : 0;
    for (const conversation of this.#idle.splice(0, ready)) this.#send(conversation);
  }

  #dial(conversation: Conversation): void {
    const context = new IxevContext(conversation);
    conversation.context = context;
    conversation.awaited = 0;
    context.setHandler(IXEVIN | IXEVHUP, () => this.#received(conversation));
    this.ixev.dial(context, this.#options.server, this.#options.port);
  }

  #dialed(context: IxevContext, outcome: number): void {
    if (outcome !== RC_OK) return;
    this.#counts[LOAD_OPENED]++;
    this.#counts[LOAD_OPEN]++;
    this.#ready(context.data as Conversation);
  }

  /** The connection is over, or was never there. */
  #released(conversation: Conversation): void {
    if (conversation.context!.everOpen) this.#counts[LOAD_OPEN]--;
    this.#counts[LOAD_FAILED]++;
    conversation.context = null;
    conversation.awaited = 0;
    const at = this.#idle.indexOf(conversation);
    if (at >= 0) this.#idle.splice(at, 1);
    this.ixev.setTimer(REDIAL, () => this.#closed.push(conversation));
  }

  #ready(conversation: Conversation): void {
    if (this.#rate === 0) this.#send(conversation);
    else this.#idle.push(conversation);
  }

  #send(conversation: Conversation): void {
    const { size } = this.#options;
    conversation.awaited = size;
    conversation.sentAt = performance.now();
    conversation.context!.sendZeroCopy(this.#message, size);
  }

  #received(conversation: Conversation): void {
    const context = conversation.context!;
    const length = context.available;
    context.consume(length);
    if (context.ended || length > conversation.awaited) {
      // The server has closed it, or it is no echo server.
      context.abort();
      return;
    }
    if (length === 0) return;
    conversation.awaited -= length;
    if (conversation.awaited > 0) return;
    this.#counts[LOAD_MESSAGES]++;
    this.#counts[bucketOf((performance.now() - conversation.sentAt) * 1000)]++;
    this.#ready(conversation);
  }
}

export default function load(context: AppContext): App {
  return new Load(context).ixev;
}
