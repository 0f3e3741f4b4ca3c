/**
 * An application that behaves at random: it sends its stream in pieces of any size, short ones copied
 * and long ones referenced, uses their memory anew as soon as it may, gives received bytes back late and by
 * dribs and drabs, and closes at any time after its last byte. It checks every byte it receives.
 */
import {
  FLAG_MORE,
  FLAG_NAGLE,
  FLAG_QUIET,
  RC_CLOSED,
  RC_NOBUFS,
  RC_OK,
  SYS_RECV_DONE,
  SYS_SEND,
  SYS_SENDV,
} from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import type { KernelEvent } from "../support/events.ts";
import type { KernelHarness } from "../support/kernel.ts";
import type { Random } from "../support/random.ts";
import type { Application } from "./network.ts";

/** Bytes of the window for one connection's stream: sent data stays until it is acknowledged. */
const RING = 128 * 1024;

export interface Outcome {
  /** Bytes received in order, and whether the stream's end followed. */
  received: number;
  ended: boolean;
  /** How the connection ended for the application, once it has: RC_*. */
  reason: number | undefined;
}

/** One end of a connection. */
export class Talker implements Application {
  readonly outcome: Outcome = { received: 0, ended: false, reason: undefined };
  readonly #k: KernelHarness;
  readonly #random: Random;
  readonly #sends: number;
  /** Number of the stream that it sends. */
  readonly stream: number;
  readonly #expects: number;
  readonly #ring: number;
  #handle: number | undefined;
  #open = false;
  #sent = 0;
  #acked = 0;
  #blocked = false;
  #shut = false;
  #pendingBack = 0;
  #nextAt = 0;

  /**
   * @param sends bytes of stream number `stream` to send
   * @param expects number of the stream to receive
   */
  constructor(k: KernelHarness, random: Random, sends: number, stream: number, expects: number) {
    this.#k = k;
    this.#random = random;
    this.#sends = sends;
    this.stream = stream;
    this.#expects = expects;
    this.#ring = k.alloc(RING);
  }

  /** FLAG_* for connect or accept, drawn once. */
  flags(): number {
    return (
      (this.#random.chance(0.3) ? FLAG_NAGLE : 0) | (this.#random.chance(0.3) ? FLAG_QUIET : 0)
    );
  }

  attach(handle: number, open: boolean): void {
    this.#handle = handle;
    this.#open = open;
  }

  get handle(): number | undefined {
    return this.#handle;
  }

  /** An event of this connection. */
  take(event: KernelEvent): void {
    this.#nextAt = 0;
    switch (event.kind) {
      case "connected":
        if (event.outcome === RC_OK) this.#open = true;
        else this.#end(event.outcome);
        break;
      case "recv":
        this.#receive(event.data);
        break;
      case "sent":
        this.#reuse(this.#acked, event.acked);
        this.#acked += event.acked;
        this.#blocked = false;
        break;
      case "dead":
        this.#end(event.reason);
        break;
    }
  }

  /** Writes over bytes of the stream that are its own again, from the `from`-th on: they must not be sent. */
  #reuse(from: number, length: number): void {
    const at = from % RING;
    const first = Math.min(length, RING - at);
    this.#k.bytes.fill(0xee, this.#ring + at, this.#ring + at + first);
    this.#k.bytes.fill(0xee, this.#ring, this.#ring + length - first);
  }

  step(now: number): boolean {
    if (this.#handle === undefined || !this.#open || now < this.#nextAt) return false;
    this.#nextAt = Infinity;
    const acted = this.#giveBack(now) || this.#send(now);
    if (acted) this.#nextAt = now;
    return acted;
  }

  next(): number {
    return this.#open ? this.#nextAt : Infinity;
  }

  done(): boolean {
    return this.outcome.reason !== undefined;
  }

  #receive(data: Uint8Array): void {
    if (data.length === 0) {
      this.outcome.ended = true;
      return;
    }
    const expected = pattern(data.length, this.outcome.received, this.#expects);
    for (let i = 0; i < data.length; i++) {
      if (data[i] !== expected[i]) {
        throw new Error(
          `byte ${this.outcome.received + i} of the stream is wrong\n${this.#k.log()}`,
        );
      }
    }
    this.outcome.received += data.length;
    this.#pendingBack += data.length;
  }

  /** Gives a part of what was received back, now or some time later. */
  #giveBack(now: number): boolean {
    if (this.#pendingBack === 0) return false;
    if (this.#random.chance(0.2)) {
      this.#nextAt = now + this.#random.below(20_000);
      return false;
    }
    const bytes = this.#random.chance(0.5)
      ? this.#pendingBack
      : this.#random.between(1, this.#pendingBack);
    const { result } = this.#k.call({ op: SYS_RECV_DONE, handle: this.#handle, a: bytes });
    if (result !== RC_OK) {
      // The connection may have ended by a call before; else this is a fault.
      if (this.outcome.reason === undefined && this.#k.contract.connections.has(this.#handle!)) {
        throw new Error(`recv_done of ${bytes} said ${result}\n${this.#k.log()}`);
      }
      return false;
    }
    this.#pendingBack -= bytes;
    return true;
  }

  #send(now: number): boolean {
    if (this.#shut || this.#blocked) return false;
    if (this.#sent === this.#sends) return this.#close(now);
    if (this.#random.chance(0.1)) {
      this.#nextAt = now + this.#random.below(30_000);
      return false;
    }
    const room = RING - (this.#sent - this.#acked);
    const size = this.#random.pick([1, 7, 100, 900, 1024, 1460, 1461, 5000, 20_000]);
    const wanted = Math.min(this.#random.between(1, size), this.#sends - this.#sent, room);
    // A quiet connection may not have said what was acknowledged: wait for it.
    if (wanted === 0) return false;
    const taken = this.#submit(wanted);
    if (taken < 0 && taken !== RC_NOBUFS) {
      if (!this.#k.contract.connections.has(this.#handle!)) return false;
      // The connection is ending.
      if (taken === RC_CLOSED) {
        this.#shut = true;
        return false;
      }
      throw new Error(`send of ${wanted} said ${taken}\n${this.#k.log()}`);
    }
    if (taken < wanted) this.#blocked = true;
    this.#sent += Math.max(taken, 0);
    return taken > 0;
  }

  /** Writes the next bytes into the ring and sends them, in two parts where the ring wraps. */
  #submit(length: number): number {
    const at = this.#sent % RING;
    const first = Math.min(length, RING - at);
    const data = pattern(length, this.#sent, this.stream);
    this.#k.bytes.set(data.subarray(0, first), this.#ring + at);
    this.#k.bytes.set(data.subarray(first), this.#ring);
    const flags = this.#random.chance(0.2) ? FLAG_MORE : 0;
    if (first === length && this.#random.chance(0.5)) {
      const call = { op: SYS_SEND, handle: this.#handle, a: this.#ring + at, b: length, flags };
      return this.#k.call(call).result;
    }
    const entries: [number, number][] = [[this.#ring + at, first]];
    if (first < length) entries.push([this.#ring, length - first]);
    const cut = this.#random.below(first + 1);
    entries.splice(0, 1, [this.#ring + at, cut], [this.#ring + at + cut, first - cut]);
    const a = this.#k.writeEntries(entries);
    return this.#k.call({ op: SYS_SENDV, handle: this.#handle, a, b: entries.length, flags })
      .result;
  }

  /** The last byte was accepted: shut down, at once or later. */
  #close(now: number): boolean {
    if (this.#random.chance(0.3)) {
      this.#nextAt = now + this.#random.below(50_000);
      return false;
    }
    this.#shut = true;
    const result = this.#k.shutdown(this.#handle!);
    if (result !== RC_OK && this.#k.contract.connections.has(this.#handle!)) {
      throw new Error(`shutdown said ${result}\n${this.#k.log()}`);
    }
    return true;
  }

  #end(reason: number): void {
    this.outcome.reason = reason;
    this.#open = false;
    this.#reuse(0, RING);
  }
}

/** Hands a side's events to the talkers they concern; knocks go to `onKnock`. */
export class Dispatcher implements Application {
  readonly #k: KernelHarness;
  readonly talkers: Talker[] = [];
  readonly #onKnock: (event: Extract<KernelEvent, { kind: "knock" }>) => void;

  constructor(
    k: KernelHarness,
    onKnock: (event: Extract<KernelEvent, { kind: "knock" }>) => void = () => undefined,
  ) {
    this.#k = k;
    this.#onKnock = onKnock;
  }

  step(now: number): boolean {
    let busy = false;
    const events = this.#k.events();
    for (const event of events) {
      if (event.kind === "knock") this.#onKnock(event);
      else this.#find(event.handle)?.take(event);
    }
    for (const talker of this.talkers) if (talker.step(now)) busy = true;
    return busy || events.length > 0;
  }

  next(): number {
    return Math.min(Infinity, ...this.talkers.map((talker) => talker.next()));
  }

  done(): boolean {
    return this.talkers.every((talker) => talker.done());
  }

  /** The latest talker of that handle: ended ones keep theirs. */
  #find(handle: number): Talker | undefined {
    return this.talkers.findLast((talker) => talker.handle === handle && !talker.done());
  }
}
