/**
 * The load generator of the kv experiment on the raw arrays: requests of memcached's text protocol, begun at
 * the times of a Poisson process whatever has been answered (open loop), and timed from then on, not from when
 * there was room to send them. First it stores all keys, then it measures one load after another.
 *
 * A request takes the next connection with fewer than `depth` in flight; while all are taken it waits in line.
 */
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_RECV,
  FLAG_QUIET,
  RC_OK,
  SYS_CONNECT,
  SYS_SEND,
} from "../../assembly/abi.ts";
import type { App, AppContext } from "../../host/libix/app.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { Random } from "../lib/random.ts";
import { Schedule, type KvClientOptions } from "./schedule.ts";
import { GETS, KEYS, record } from "./workload.ts";

/** Answers to SET, and what is around the value in the answer to GET. */
const STORED_LENGTH = "STORED\r\n".length;
const STORED_FIRST = 0x53;
const VALUE_FIRST = 0x56;

/** Requests begun in one round, at most: no more than the call array takes. */
const AT_ONCE = 1024;
/** Dials in progress at the same time. */
const DIALS = 64;

export class KvClient implements App {
  readonly #options: KvClientOptions;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #gets: number;

  /** By key: its GET and its SET, where they lie, and how long the answer to the GET is. */
  readonly #getAt = new Uint32Array(KEYS);
  readonly #getLength = new Uint32Array(KEYS);
  readonly #setAt = new Uint32Array(KEYS);
  readonly #setLength = new Uint32Array(KEYS);
  readonly #answerLength = new Uint32Array(KEYS);

  /** By connection: handle, requests in flight and the oldest of them, bytes seen of its answer. */
  readonly #handle: Uint32Array;
  readonly #inFlight: Uint32Array;
  readonly #oldest: Uint32Array;
  readonly #seen: Uint32Array;
  /** By place in flight: when it was due, µs, and how long its answer is; 0 as time: it is not measured. */
  readonly #due: Float64Array;
  readonly #expected: Uint32Array;

  #dialed = 0;
  #open = 0;
  #turn = 0;
  #free = 0;
  /** Keys stored so far, and answers to that. */
  #stored = 0;
  #confirmed = 0;

  constructor(options: KvClientOptions) {
    this.#options = options;
    const { conns, depth, seed, load } = options;
    this.#random = new Random(seed);
    this.#gets = GETS[load] / 1000;
    this.#schedule = new Schedule(options, this.#random);
    this.#handle = new Uint32Array(conns);
    this.#inFlight = new Uint32Array(conns);
    this.#oldest = new Uint32Array(conns);
    this.#seen = new Uint32Array(conns);
    this.#due = new Float64Array(conns * depth);
    this.#expected = new Uint32Array(conns * depth);
  }

  start(ix: Ix): void {
    ix.onFlush = (results) => this.#takeResults(ix, results);
    this.#prepareRequests(ix);
    this.#dial(ix, 1);
  }

  handle(ix: Ix): void {
    this.#takeResults(ix, ix.takeResults());
    const now = performance.now() * 1000;
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      const connection = ix.eventCookie(i);
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#received(ix, connection, ix.eventA(i), ix.eventB(i), now);
          break;
        case EV_CONNECTED:
          this.#connected(ix, connection, ix.eventHandle(i), ix.eventResult(i));
          break;
        case EV_DEAD:
          throw new Error(`kv client: connection ${connection} died: code ${ix.eventResult(i)}`);
      }
    }
    if (this.#open === this.#options.conns) this.#generate(ix, now);
    // The next request is due at a time, not at an event.
    if (ix.pendingCalls === 0) ix.nop();
  }

  // -------------------------------------------------------------------------------------------

  /** Writes the requests for all keys into the window. */
  #prepareRequests(ix: Ix): void {
    const encoder = new TextEncoder();
    const place = (text: string): number => {
      const address = ix.window.allocate(text.length);
      if (address === 0) throw new RangeError("kv client: no room for requests in the window");
      ix.write(address, encoder.encode(text));
      return address;
    };
    for (let index = 0; index < KEYS; index++) {
      const { key, length } = record(this.#options.load, index);
      const get = `get ${key}\r\n`;
      const set = `set ${key} 0 0 ${length}\r\n${"v".repeat(length)}\r\n`;
      this.#getAt[index] = place(get);
      this.#getLength[index] = get.length;
      this.#setAt[index] = place(set);
      this.#setLength[index] = set.length;
      this.#answerLength[index] =
        `VALUE ${key} 0 ${length}\r\n`.length + length + "\r\nEND\r\n".length;
    }
  }

  #dial(ix: Ix, limit: number): void {
    const { conns, server, port } = this.#options;
    const address = IpAddress.parse(server);
    while (this.#dialed < Math.min(conns, this.#open + limit)) {
      ix.connect(this.#dialed++, address, port, 0, FLAG_QUIET);
    }
  }

  #connected(ix: Ix, connection: number, handle: number, outcome: number): void {
    if (outcome !== RC_OK) throw new Error(`kv client: connect failed: code ${outcome}`);
    this.#handle[connection] = handle;
    this.#open++;
    this.#free += this.#options.depth;
    this.#dial(ix, DIALS);
  }

  #generate(ix: Ix, now: number): void {
    let begun = 0;
    for (; this.#stored < KEYS && this.#free > 0 && begun < AT_ONCE; begun++) {
      this.#begin(ix, this.#stored++, false, 0);
    }
    if (this.#confirmed < KEYS) return;
    const schedule = this.#schedule;
    schedule.advance(now);
    for (; this.#free > 0 && begun < AT_ONCE && schedule.hasDue(now); begun++) {
      const due = schedule.takeDue(now);
      const index = this.#random.below(KEYS);
      this.#begin(ix, index, this.#random.uniform() < this.#gets, due);
    }
  }

  /** Sends a request for a key on the next connection with room. */
  #begin(ix: Ix, index: number, isGet: boolean, due: number): void {
    const { conns, depth } = this.#options;
    let connection = this.#turn;
    while (this.#inFlight[connection] === depth) {
      connection = connection + 1 === conns ? 0 : connection + 1;
    }
    this.#turn = connection + 1 === conns ? 0 : connection + 1;
    const place =
      connection * depth + ((this.#oldest[connection] + this.#inFlight[connection]) % depth);
    this.#inFlight[connection]++;
    this.#free--;
    this.#due[place] = due;
    this.#expected[place] = isGet ? this.#answerLength[index] : STORED_LENGTH;
    const address = isGet ? this.#getAt[index] : this.#setAt[index];
    const length = isGet ? this.#getLength[index] : this.#setLength[index];
    ix.send(this.#handle[connection], address, length, connection);
  }

  #received(ix: Ix, connection: number, address: number, length: number, now: number): void {
    if (length === 0) throw new Error(`kv client: the server closed connection ${connection}`);
    ix.recvDone(this.#handle[connection], length, connection);
    const { depth } = this.#options;
    let at = address;
    const end = address + length;
    while (at < end) {
      const place = connection * depth + this.#oldest[connection];
      const expected = this.#expected[place];
      const seen = this.#seen[connection];
      if (seen === 0) this.#check(ix.bytes[at], expected);
      const part = Math.min(expected - seen, end - at);
      at += part;
      this.#seen[connection] = seen + part;
      if (seen + part < expected) return;
      this.#seen[connection] = 0;
      this.#oldest[connection] = (this.#oldest[connection] + 1) % depth;
      this.#inFlight[connection]--;
      this.#free++;
      if (this.#due[place] === 0) this.#confirmed++;
      else this.#schedule.answered(this.#due[place], now);
    }
  }

  /** An answer begins as it should; so a key that is not there, or an error, is noticed. */
  #check(first: number, expected: number): void {
    const wanted = expected === STORED_LENGTH ? STORED_FIRST : VALUE_FIRST;
    if (first !== wanted) throw new Error(`kv client: unexpected answer, begins with ${first}`);
  }

  #takeResults(ix: Ix, results: number): void {
    for (let i = 0; i < results; i++) {
      const operation = ix.resultOperation(i);
      if (operation === SYS_SEND && ix.result(i) !== ix.callB(i)) {
        throw new Error(`kv client: a request was not taken whole: ${ix.result(i)}`);
      } else if (operation === SYS_CONNECT && ix.result(i) !== RC_OK) {
        throw new Error(`kv client: connect failed: code ${ix.result(i)}`);
      }
    }
  }
}

export default function kvClient({ options }: AppContext): App {
  return new KvClient(options as KvClientOptions);
}
