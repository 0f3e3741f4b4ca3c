/**
 * NetPIPE's ping-pong: one message at a time goes there as a whole and comes back as a whole. Whoever
 * receives copies what arrives into memory of its own, as read() does, and answers when it has all of
 * it. A message says its length in its first four bytes.
 */
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  FLAG_QUIET,
  SYS_SEND,
} from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { Sending } from "../lib/sending.ts";

export interface PipeOptions {
  readonly server: string;
  readonly port: number;
  /** Bytes of a message, header included, in the order they are measured. */
  readonly sizes: readonly number[];
  /** Time for each size, s; a quarter of it passes before measuring. */
  readonly seconds: number;
  /** For each size the mean time one way, f64 µs. */
  readonly times: SharedArrayBuffer;
  /** How many sizes are done, i32. */
  readonly done: SharedArrayBuffer;
}

export const HEADER = 4;
const WARMING = 0.25;

/** What both ends do: take a whole message, send a whole message. */
abstract class PipeEnd implements App {
  protected readonly options: PipeOptions;
  /** In the window, as large as the largest message. */
  protected incoming = 0;
  protected readonly sending = new Sending();
  #got = 0;
  #expected = HEADER;
  #from = 0;
  #left = 0;

  constructor(options: PipeOptions) {
    this.options = options;
  }

  abstract start(ix: Ix): void;
  /** A whole message is there. */
  protected abstract completed(ix: Ix, length: number): void;
  protected abstract opened(ix: Ix, event: number): void;
  /** The peer has closed, or the connection is dead. */
  protected abstract ended(ix: Ix): void;

  handle(ix: Ix): void {
    const results = ix.takeResults();
    for (let i = 0; i < results; i++) {
      if (ix.resultOperation(i) === SYS_SEND) this.#taken(this.sending.taken(ix, i));
    }
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#received(ix, ix.eventA(i), ix.eventB(i));
          break;
        case EV_SENT:
          this.sending.sent(ix, i);
          break;
        case EV_KNOCK:
        case EV_CONNECTED:
          this.opened(ix, i);
          break;
        case EV_DEAD:
          // Of a client that has gone before: the next may be there already.
          if (ix.eventHandle(i) === this.sending.handle) this.ended(ix);
          break;
      }
    }
    if (this.#left > 0 && this.sending.isFree) this.#push(ix);
  }

  protected allocate(ix: Ix): number {
    const address = ix.window.allocate(Math.max(...this.options.sizes));
    if (address === 0) throw new RangeError("sizes: the largest does not fit the window");
    return address;
  }

  /** Forgets the connection; another may come. */
  protected forget(): void {
    this.sending.forget();
    this.#got = 0;
    this.#expected = HEADER;
    this.#left = 0;
  }

  protected send(ix: Ix, address: number, length: number): void {
    this.#from = address;
    this.#left = length;
    this.#push(ix);
  }

  #push(ix: Ix): void {
    this.sending.send(ix, this.#from, this.#left);
  }

  #taken(bytes: number): void {
    this.#from += bytes;
    this.#left -= bytes;
  }

  #received(ix: Ix, address: number, length: number): void {
    if (length === 0) {
      this.ended(ix);
      return;
    }
    ix.bytes.copyWithin(this.incoming + this.#got, address, address + length);
    ix.recvDone(this.sending.handle, length);
    this.#got += length;
    if (this.#got < HEADER) return;
    if (this.#expected === HEADER) this.#expected = readLength(ix.bytes, this.incoming);
    if (this.#got < this.#expected) return;
    const whole = this.#expected;
    this.#got = 0;
    this.#expected = HEADER;
    this.completed(ix, whole);
  }
}

export class PipeServer extends PipeEnd {
  start(ix: Ix): void {
    this.incoming = this.allocate(ix);
    ix.listen(0, this.options.port, 1);
  }

  protected opened(ix: Ix, event: number): void {
    this.sending.handle = ix.eventHandle(event);
    ix.accept(this.sending.handle, 0, FLAG_QUIET);
  }

  protected completed(ix: Ix, length: number): void {
    this.send(ix, this.incoming, length);
  }

  /** One client after the other. */
  protected ended(ix: Ix): void {
    if (this.sending.handle !== 0) ix.close(this.sending.handle);
    this.forget();
  }
}

export class PipeClient extends PipeEnd {
  readonly #times: Float64Array;
  readonly #done: Int32Array;
  #message = 0;
  #index = 0;
  #beganAt = 0;
  #measuring = false;
  #rounds = 0;

  constructor(options: PipeOptions) {
    super(options);
    this.#times = new Float64Array(options.times);
    this.#done = new Int32Array(options.done);
  }

  start(ix: Ix): void {
    const { server, port, sizes } = this.options;
    this.incoming = this.allocate(ix);
    this.#message = this.allocate(ix);
    for (let i = 0; i < Math.max(...sizes); i++) ix.bytes[this.#message + i] = messageByte(i);
    ix.connect(0, IpAddress.parse(server), port, 0, FLAG_QUIET);
  }

  protected opened(ix: Ix, event: number): void {
    this.sending.connected(ix, event);
    this.#begin(ix);
  }

  protected ended(): void {
    throw new Error("the connection ended");
  }

  protected completed(ix: Ix, length: number): void {
    const { sizes, seconds } = this.options;
    if (this.#rounds === 0) this.#verify(ix, length);
    this.#rounds++;
    const now = performance.now();
    const elapsed = (now - this.#beganAt) / 1000;
    if (!this.#measuring && elapsed >= seconds * WARMING) {
      this.#measuring = true;
      this.#beganAt = now;
      this.#rounds = 0;
    } else if (this.#measuring && elapsed >= seconds * (1 - WARMING)) {
      this.#times[this.#index++] = (elapsed * 1e6) / this.#rounds / 2;
      Atomics.store(this.#done, 0, this.#index);
      if (this.#index === sizes.length) return;
      this.#begin(ix);
      return;
    }
    this.send(ix, this.#message, length);
  }

  /** The first message of a size. */
  #begin(ix: Ix): void {
    const size = this.options.sizes[this.#index];
    for (let i = 0; i < HEADER; i++) ix.bytes[this.#message + i] = (size >>> (8 * i)) & 0xff;
    this.#measuring = false;
    this.#rounds = 0;
    this.#beganAt = performance.now();
    this.send(ix, this.#message, size);
  }

  #verify(ix: Ix, length: number): void {
    for (let i = 0; i < length; i++) {
      if (ix.bytes[this.incoming + i] !== ix.bytes[this.#message + i]) {
        throw new Error(`byte ${i} of ${length} is not what was sent`);
      }
    }
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

export function messageByte(place: number): number {
  return (place * 7 + (place >>> 8)) & 0xff;
}
