/**
 * A load generator for echo servers, on the raw arrays. Every connection keeps a number of messages
 * in flight; an echo that has come back complete starts the next message. Echoes are checked: by
 * their length, and the first of every connection byte for byte.
 *
 * A connection is its slot: the index of its state in the arrays here, and the cookie of its calls.
 */
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_RECV,
  EV_SENT,
  FLAG_QUIET,
  RC_OK,
  SYS_CONNECT,
  SYS_SEND,
} from "../assembly/abi.ts";
import type { App, AppContext } from "../host/libix/app.ts";
import { IpAddress } from "../host/libix/ip-address.ts";
import type { Ix } from "../host/libix/ix.ts";

export interface EchoClientOptions {
  /** Address and ports of the server; connections take the ports in turn. */
  readonly server: string;
  readonly ports: readonly number[];
  /** Connections of all cores together, and bytes per message. */
  readonly conns: number;
  readonly size: number;
  /** Messages in flight per connection. Default 1. */
  readonly pipeline?: number;
  /** Messages per connection; 0, the default: no end. */
  readonly rounds?: number;
  /** What follows the last round. Default "reopen": reset the connection and open it again. */
  readonly atEnd?: "reopen" | "idle";
  /** Dials in progress at the same time. Default 256. */
  readonly dials?: number;
  /** Cores that share the connections. Default 1. */
  readonly cores?: number;
  /** Where the counts of `STAT_*` are kept, u32 modulo 2^32: `STAT_WORDS` of them for each core. */
  readonly stats?: SharedArrayBuffer;
  /** Round-trip times in nanoseconds, u32: a ring as large as the buffer. For one message in flight. */
  readonly samples?: SharedArrayBuffer;
}

/** Messages echoed, connections opened, connections open now, samples taken. One cache line. */
export const STAT_MESSAGES = 0;
export const STAT_OPENED = 1;
export const STAT_OPEN = 2;
export const STAT_SAMPLES = 3;
export const STAT_WORDS = 16;

/** State of a connection: its handle, 0 while it has none; messages begun and echoed. */
const HANDLE = 0;
const BEGUN = 1;
const ECHOED = 2;
/** Bytes seen of the echo that is coming. */
const PARTIAL = 3;
/** Bytes of messages begun that no send has taken, and of those asked for by the last send. */
const UNSENT = 4;
const REQUESTED = 5;
/** 1 while `sent` has to come before the next send. */
const BLOCKED = 6;
const SLOT_WORDS = 8;

/** Most bytes sent by one call. */
const LONGEST_SEND = 256 * 1024;

export class EchoClient implements App {
  readonly #server: IpAddress;
  readonly #ports: readonly number[];
  readonly #conns: number;
  readonly #size: number;
  readonly #pipeline: number;
  readonly #rounds: number;
  readonly #endless: boolean;
  readonly #reopen: boolean;
  readonly #dials: number;
  readonly #stats: Uint32Array;
  readonly #samples: Uint32Array | null;

  /** In the window: the message, once or as many times as one call may send. */
  #pattern = 0;
  #patternLength = 0;

  /** SLOT_WORDS for each slot. */
  readonly #state: Uint32Array;
  /** Slots that have something to send, found while results were read. */
  readonly #ready: number[] = [];
  /** Next slot that was never dialed, and dials in progress. */
  #nextSlot = 0;
  #dialing = 0;
  #sentAt = 0;
  #stopped = false;
  /** Messages begun and to be begun by connections in turn; see `takeTurns`. */
  #turn = 0;
  #turns = 0;

  constructor(options: EchoClientOptions, core = 0) {
    this.#server = IpAddress.parse(options.server);
    this.#ports = options.ports;
    const cores = options.cores ?? 1;
    this.#conns = Math.floor((options.conns + cores - 1 - core) / cores);
    this.#size = options.size;
    this.#pipeline = options.pipeline ?? 1;
    this.#rounds = options.rounds ?? 0;
    this.#endless = this.#rounds === 0;
    this.#reopen = options.atEnd !== "idle";
    this.#dials = options.dials ?? 256;
    const stats = options.stats ?? new SharedArrayBuffer(cores * STAT_WORDS * 4);
    this.#stats = new Uint32Array(stats, core * STAT_WORDS * 4, STAT_WORDS);
    this.#samples = options.samples ? new Uint32Array(options.samples) : null;
    this.#state = new Uint32Array(this.#conns * SLOT_WORDS);
  }

  start(ix: Ix): void {
    const copies = Math.min(this.#pipeline, Math.max(Math.floor(LONGEST_SEND / this.#size), 1));
    this.#patternLength = copies * this.#size;
    this.#pattern = ix.window.allocate(this.#patternLength);
    if (this.#pattern === 0) throw new RangeError("size: a message does not fit the window");
    for (let i = 0; i < this.#patternLength; i++) {
      ix.bytes[this.#pattern + i] = messageByte(i % this.#size);
    }
    ix.onFlush = (results) => this.#takeResults(ix, results);
    // One first: only few of many SYNs could wait until the server's MAC address is known.
    this.#dial(ix, this.#nextSlot++);
  }

  handle(ix: Ix): void {
    this.#takeResults(ix, ix.takeResults());
    if (this.#ready.length > 0) this.#sendReady(ix);
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      const slot = ix.eventCookie(i);
      switch (ix.eventOp(i)) {
        case EV_RECV:
          // Events of a connection that was reset in this round are for nobody.
          if (ix.eventHandle(i) === this.#state[slot * SLOT_WORDS + HANDLE]) {
            this.#received(ix, slot, ix.eventA(i), ix.eventB(i));
          }
          break;
        case EV_SENT:
          this.#state[slot * SLOT_WORDS + BLOCKED] = 0;
          this.#send(ix, slot);
          break;
        case EV_CONNECTED:
          this.#connected(ix, slot, ix.eventHandle(i), ix.eventResult(i));
          break;
        case EV_DEAD:
          throw new Error(`connection ${slot} died: code ${ix.eventResult(i)}`);
      }
    }
  }

  /**
   * From now on connections take turns, `inFlight` messages altogether being in flight, until each
   * has echoed `messages` more. All of them must be open, and idle after a number of rounds.
   */
  takeTurns(ix: Ix, messages: number, inFlight: number): void {
    this.#turn = 0;
    this.#turns = messages * this.#conns;
    for (let i = 0; i < inFlight; i++) this.#takeTurn(ix);
  }

  /** Resets all connections and opens no more. */
  stop(ix: Ix): void {
    this.#nextSlot = this.#conns;
    this.#stopped = true;
    for (let slot = 0; slot < this.#conns; slot++) {
      if (this.#state[slot * SLOT_WORDS + HANDLE] !== 0) this.#reset(ix, slot);
    }
  }

  #dialMore(ix: Ix): void {
    while (this.#nextSlot < this.#conns && this.#dialing < this.#dials) {
      this.#dial(ix, this.#nextSlot++);
    }
  }

  #dial(ix: Ix, slot: number): void {
    this.#dialing++;
    ix.connect(slot, this.#server, this.#ports[slot % this.#ports.length], 0, FLAG_QUIET);
  }

  #connected(ix: Ix, slot: number, handle: number, outcome: number): void {
    if (outcome !== RC_OK) throw new Error(`connect failed: code ${outcome}`);
    if (this.#stopped) {
      ix.abort(handle, slot);
      return;
    }
    this.#state[slot * SLOT_WORDS + HANDLE] = handle;
    this.#stats[STAT_OPENED]++;
    this.#stats[STAT_OPEN]++;
    this.#dialing--;
    this.#dialMore(ix);
    this.#begin(ix, slot, this.#pipeline);
  }

  #received(ix: Ix, slot: number, address: number, length: number): void {
    if (length === 0) throw new Error(`the server closed connection ${slot}`);
    const state = this.#state;
    const at = slot * SLOT_WORDS;
    if (state[at + ECHOED] === 0) this.#verify(ix, slot, address, length);
    ix.recvDone(state[at + HANDLE], length, slot);
    const size = this.#size;
    let bytes = state[at + PARTIAL] + length;
    let whole = 0;
    if (bytes >= size) {
      whole = bytes === size ? 1 : Math.floor(bytes / size);
      bytes -= whole * size;
    }
    state[at + PARTIAL] = bytes;
    if (whole === 0) return;
    if (this.#samples !== null) this.#sample();
    this.#stats[STAT_MESSAGES] += whole;
    state[at + ECHOED] += whole;
    if (this.#endless) {
      state[at + UNSENT] += whole * size;
      this.#send(ix, slot);
    } else {
      this.#goOn(ix, slot, whole);
    }
  }

  /** What follows `messages` echoes where the number of messages is limited. */
  #goOn(ix: Ix, slot: number, messages: number): void {
    const state = this.#state;
    const at = slot * SLOT_WORDS;
    if (this.#turns > 0) {
      this.#takeTurn(ix);
    } else if (state[at + BEGUN] < this.#rounds) {
      this.#begin(ix, slot, messages);
    } else if (this.#reopen && state[at + ECHOED] === this.#rounds) {
      this.#reset(ix, slot);
      this.#dial(ix, slot);
    }
  }

  #takeTurn(ix: Ix): void {
    if (this.#turn < this.#turns) this.#begin(ix, this.#turn++ % this.#conns, 1);
  }

  /** Resets the connection, as the paper's clients do: no TIME-WAIT is left behind. */
  #reset(ix: Ix, slot: number): void {
    const at = slot * SLOT_WORDS;
    ix.abort(this.#state[at + HANDLE], slot);
    this.#stats[STAT_OPEN]--;
    this.#state.fill(0, at, at + SLOT_WORDS);
  }

  /** Begins up to `messages` messages more. */
  #begin(ix: Ix, slot: number, messages: number): void {
    const state = this.#state;
    const at = slot * SLOT_WORDS;
    const begun = state[at + BEGUN];
    const count =
      this.#endless || this.#turns > 0 ? messages : Math.min(messages, this.#rounds - begun);
    state[at + BEGUN] = begun + count;
    state[at + UNSENT] += count * this.#size;
    this.#send(ix, slot);
  }

  /** Makes a send of what is unsent, as far as the pattern reaches. */
  #send(ix: Ix, slot: number): void {
    const state = this.#state;
    const at = slot * SLOT_WORDS;
    const unsent = state[at + UNSENT];
    if (unsent === 0 || state[at + REQUESTED] !== 0 || state[at + BLOCKED] !== 0) return;
    const rest = unsent === this.#size ? 0 : unsent % this.#size;
    const offset = rest === 0 ? 0 : this.#size - rest;
    const length = Math.min(unsent, this.#patternLength - offset);
    state[at + REQUESTED] = length;
    ix.send(state[at + HANDLE], this.#pattern + offset, length, slot);
  }

  #sendReady(ix: Ix): void {
    for (const slot of this.#ready) this.#send(ix, slot);
    this.#ready.length = 0;
  }

  #takeResults(ix: Ix, results: number): void {
    for (let i = 0; i < results; i++) {
      switch (ix.resultOperation(i)) {
        case SYS_SEND:
          this.#sendResult(ix.resultCookie(i), ix.resultHandle(i), ix.result(i));
          break;
        case SYS_CONNECT:
          if (ix.result(i) !== RC_OK) throw new Error(`connect failed: code ${ix.result(i)}`);
          break;
      }
    }
  }

  #sendResult(slot: number, handle: number, result: number): void {
    const state = this.#state;
    const at = slot * SLOT_WORDS;
    if (handle !== state[at + HANDLE]) return;
    const taken = Math.max(result, 0);
    if (taken < state[at + REQUESTED]) state[at + BLOCKED] = 1;
    state[at + REQUESTED] = 0;
    const unsent = state[at + UNSENT] - taken;
    state[at + UNSENT] = unsent;
    if (unsent > 0) this.#ready.push(slot);
  }

  #verify(ix: Ix, slot: number, address: number, length: number): void {
    const from = this.#state[slot * SLOT_WORDS + PARTIAL];
    const count = Math.min(length, this.#size - from);
    for (let i = 0; i < count; i++) {
      if (ix.bytes[address + i] !== messageByte(from + i)) {
        throw new Error(`connection ${slot}: byte ${from + i} of the echo is not what was sent`);
      }
    }
  }

  #sample(): void {
    const now = performance.now();
    const samples = this.#samples!;
    if (this.#sentAt !== 0) {
      const taken = this.#stats[STAT_SAMPLES]++;
      samples[taken & (samples.length - 1)] = (now - this.#sentAt) * 1e6;
    }
    this.#sentAt = now;
  }
}

function messageByte(place: number): number {
  return (place * 7 + (place >>> 8)) & 0xff;
}

export default function echoClient({ options, core }: AppContext): App {
  return new EchoClient(options as EchoClientOptions, core);
}
