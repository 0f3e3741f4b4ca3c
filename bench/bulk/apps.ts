/**
 * A one-directional stream: the sender refers to the same memory again and again, as fast as its
 * sends are taken; the receiver gives back what arrives, once per connection and round. The beginning
 * of the stream is compared byte for byte.
 */
import {
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  FLAG_QUIET,
  RC_OK,
  SYS_SEND,
} from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { Sending } from "../lib/sending.ts";

export interface BulkOptions {
  readonly server: string;
  readonly port: number;
  /** Bytes per send. */
  readonly chunk: number;
  /** Bytes after which the sender closes; 0: never. */
  readonly limit: number;
  /** One u32 that the receiver keeps: KiB received, modulo 2^32. */
  readonly received: SharedArrayBuffer;
}

/** Bytes of the stream that are compared. */
const VERIFIED = 1 << 20;
/** The stream repeats itself after this many bytes. */
const PERIOD = 1 << 18;

/** Byte of the stream at a position. */
function streamByte(position: number): number {
  const place = position % PERIOD;
  return (Math.imul(place + 1, 0x9e3779b1) >>> 24) & 0xff;
}

export class BulkSender implements App {
  readonly #options: BulkOptions;
  #memory = 0;
  readonly #sending = new Sending();
  #sent = 0;
  /** True when everything was sent, acknowledged, and the connection closed in order. */
  done = false;

  constructor(options: BulkOptions) {
    this.#options = options;
  }

  start(ix: Ix): void {
    const { server, port, chunk } = this.#options;
    this.#memory = ix.window.allocate(PERIOD + chunk);
    if (this.#memory === 0) throw new RangeError("chunk: does not fit the window");
    for (let i = 0; i < PERIOD + chunk; i++) ix.bytes[this.#memory + i] = streamByte(i);
    ix.connect(0, IpAddress.parse(server), port, 0, FLAG_QUIET);
  }

  handle(ix: Ix): void {
    const results = ix.takeResults();
    for (let i = 0; i < results; i++) {
      if (ix.resultOperation(i) === SYS_SEND) this.#sent += this.#sending.taken(ix, i);
    }
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      switch (ix.eventOp(i)) {
        case EV_CONNECTED:
          this.#sending.connected(ix, i);
          break;
        case EV_SENT:
          this.#sending.sent(ix, i);
          break;
        case EV_DEAD:
          if (ix.eventResult(i) !== RC_OK) throw new Error(`died: code ${ix.eventResult(i)}`);
          this.done = true;
          this.#sending.forget();
          break;
      }
    }
    if (this.#sending.isFree) this.#send(ix);
  }

  #send(ix: Ix): void {
    const { chunk, limit } = this.#options;
    const left = limit === 0 ? chunk : Math.min(limit - this.#sent, chunk);
    if (left > 0) {
      this.#sending.send(ix, this.#memory + (this.#sent % PERIOD), left);
    } else {
      ix.close(this.#sending.handle);
      this.#sending.forget();
    }
  }
}

export class BulkReceiver implements App {
  readonly #options: BulkOptions;
  readonly #received: Uint32Array;
  #handle = 0;
  #total = 0;
  #fresh = 0;

  constructor(options: BulkOptions) {
    this.#options = options;
    this.#received = new Uint32Array(options.received);
  }

  start(ix: Ix): void {
    ix.listen(0, this.#options.port, 16);
  }

  handle(ix: Ix): void {
    const events = ix.eventCount;
    for (let i = 0; i < events; i++) {
      switch (ix.eventOp(i)) {
        case EV_RECV:
          this.#take(ix, ix.eventA(i), ix.eventB(i));
          break;
        case EV_KNOCK:
          this.#handle = ix.eventHandle(i);
          ix.accept(this.#handle, 0, FLAG_QUIET);
          break;
      }
    }
    if (this.#fresh === 0) return;
    ix.recvDone(this.#handle, this.#fresh);
    this.#fresh = 0;
    this.#received[0] = this.#total / 1024;
  }

  #take(ix: Ix, address: number, length: number): void {
    if (length === 0) {
      ix.close(this.#handle);
      return;
    }
    if (this.#total < VERIFIED) {
      for (let i = 0; i < length; i++) {
        if (ix.bytes[address + i] !== streamByte(this.#total + i)) {
          throw new Error(`byte ${this.#total + i} of the stream is not what was sent`);
        }
      }
    }
    this.#total += length;
    this.#fresh += length;
  }
}
