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

/** Most bytes sent by one call. */
const LONGEST_SEND = 256 * 1024;

export class EchoClient implements App {
  readonly #server: IpAddress;
  readonly #ports: readonly number[];
  readonly #conns: number;
  readonly #size: number;
  readonly #pipeline: number;
  #rounds: number;
  readonly #reopen: boolean;
  readonly #dials: number;
  readonly #stats: Uint32Array;
  readonly #samples: Uint32Array | null;

  /** In the window: the message, once or as many times as one call may send. */
  #pattern = 0;
  #patternLength = 0;

  /** By slot: handle, messages begun and echoed, bytes seen of the echo that is coming. */
  readonly #handle: Uint32Array;
  readonly #begun: Uint32Array;
  readonly #echoed: Uint32Array;
  readonly #partial: Uint32Array;
  /** By slot: bytes of messages begun that no send has taken, and of those asked for by a send. */
  readonly #unsent: Uint32Array;
  readonly #requested: Uint32Array;
  /** By slot: 1 while `sent` has to come before the next send. */
  readonly #blocked: Uint8Array;
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
    this.#reopen = options.atEnd !== "idle";
    this.#dials = options.dials ?? 256;
    const stats = options.stats ?? new SharedArrayBuffer(cores * STAT_WORDS * 4);
    this.#stats = new Uint32Array(stats, core * STAT_WORDS * 4, STAT_WORDS);
    this.#samples = options.samples ? new Uint32Array(options.samples) : null;
    this.#handle = new Uint32Array(this.#conns);
    this.#begun = new Uint32Array(this.#conns);
    this.#echoed = new Uint32Array(this.#conns);
    this.#partial = new Uint32Array(this.#conns);
    this.#unsent = new Uint32Array(this.#conns);
    this.#requested = new Uint32Array(this.#conns);
    this.#blocked = new Uint8Array(this.#conns);
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
    this.#dialMore(ix);
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
          if (ix.eventHandle(i) === this.#handle[slot]) {
            this.#received(ix, slot, ix.eventA(i), ix.eventB(i));
          }
          break;
        case EV_SENT:
          this.#blocked[slot] = 0;
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
   * has echoed `messages` more. All of them must be open and idle.
   */
  takeTurns(ix: Ix, messages: number, inFlight: number): void {
    this.#rounds = 0;
    this.#turn = 0;
    this.#turns = messages * this.#conns;
    for (let i = 0; i < inFlight; i++) this.#takeTurn(ix);
  }

  /** Resets all connections and opens no more. */
  stop(ix: Ix): void {
    this.#nextSlot = this.#conns;
    this.#stopped = true;
    for (let slot = 0; slot < this.#conns; slot++) {
      if (this.#handle[slot] !== 0) this.#reset(ix, slot);
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
    this.#handle[slot] = handle;
    this.#stats[STAT_OPENED]++;
    this.#stats[STAT_OPEN]++;
    this.#dialing--;
    this.#dialMore(ix);
    this.#begin(ix, slot, this.#pipeline);
  }

  #received(ix: Ix, slot: number, address: number, length: number): void {
    if (length === 0) throw new Error(`the server closed connection ${slot}`);
    if (this.#echoed[slot] === 0) this.#verify(ix, slot, address, length);
    ix.recvDone(this.#handle[slot], length, slot);
    const size = this.#size;
    let bytes = this.#partial[slot] + length;
    let whole = 0;
    if (bytes >= size) {
      whole = bytes === size ? 1 : Math.floor(bytes / size);
      bytes -= whole * size;
    }
    this.#partial[slot] = bytes;
    if (whole > 0) this.#echoedWhole(ix, slot, whole);
  }

  #echoedWhole(ix: Ix, slot: number, messages: number): void {
    if (this.#samples !== null) this.#sample();
    this.#stats[STAT_MESSAGES] += messages;
    const echoed = this.#echoed[slot] + messages;
    this.#echoed[slot] = echoed;
    if (this.#turns > 0) this.#takeTurn(ix);
    else if (this.#rounds === 0 || this.#begun[slot] < this.#rounds)
      this.#begin(ix, slot, messages);
    else if (this.#reopen && echoed === this.#rounds) {
      this.#reset(ix, slot);
      this.#dial(ix, slot);
    }
  }

  #takeTurn(ix: Ix): void {
    if (this.#turn < this.#turns) this.#begin(ix, this.#turn++ % this.#conns, 1);
  }

  /** Resets the connection, as the paper's clients do: no TIME-WAIT is left behind. */
  #reset(ix: Ix, slot: number): void {
    ix.abort(this.#handle[slot], slot);
    this.#stats[STAT_OPEN]--;
    this.#handle[slot] = 0;
    this.#begun[slot] = 0;
    this.#echoed[slot] = 0;
    this.#partial[slot] = 0;
    this.#unsent[slot] = 0;
    this.#requested[slot] = 0;
    this.#blocked[slot] = 0;
  }

  /** Begins up to `messages` messages more. */
  #begin(ix: Ix, slot: number, messages: number): void {
    const begun = this.#begun[slot];
    const count = this.#rounds === 0 ? messages : Math.min(messages, this.#rounds - begun);
    this.#begun[slot] = begun + count;
    this.#unsent[slot] += count * this.#size;
    this.#send(ix, slot);
  }

  /** Makes a send of what is unsent, as far as the pattern reaches. */
  #send(ix: Ix, slot: number): void {
    const unsent = this.#unsent[slot];
    if (unsent === 0 || this.#requested[slot] !== 0 || this.#blocked[slot] !== 0) return;
    const rest = unsent === this.#size ? 0 : unsent % this.#size;
    const offset = rest === 0 ? 0 : this.#size - rest;
    const length = Math.min(unsent, this.#patternLength - offset);
    this.#requested[slot] = length;
    ix.send(this.#handle[slot], this.#pattern + offset, length, slot);
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
    if (handle !== this.#handle[slot]) return;
    const taken = Math.max(result, 0);
    if (taken < this.#requested[slot]) this.#blocked[slot] = 1;
    this.#requested[slot] = 0;
    this.#unsent[slot] -= taken;
    if (this.#unsent[slot] > 0) this.#ready.push(slot);
  }

  #verify(ix: Ix, slot: number, address: number, length: number): void {
    const from = this.#partial[slot];
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
