/**
 * A path between the kernel and a peer that takes all: a queue without end before a line of a fixed
 * rate, and a fixed time there and back. Each segment is acknowledged by itself.
 */
import type { KernelHarness } from "./kernel.ts";
import type { TcpPeer } from "./peer.ts";

export interface Transfer {
  readonly at: number;
  readonly bytes: number;
  /** In flight with it, bytes. */
  readonly flight: number;
}

const BLOCK = new Uint8Array(32_768);

export class Bottleneck {
  readonly #k: KernelHarness;
  readonly #peer: TcpPeer;
  readonly #microsPerByte: number;
  readonly #roundTrip: number;
  readonly #acks: { readonly at: number; readonly ack: number }[] = [];
  #free = 0;
  #una = 1;
  /** What the kernel sent. */
  readonly sent: Transfer[] = [];
  /** Bytes acknowledged. */
  acknowledged = 0;

  /** @param rate bytes a second @param roundTrip µs without waiting */
  constructor(k: KernelHarness, peer: TcpPeer, rate: number, roundTrip: number) {
    this.#k = k;
    this.#peer = peer;
    this.#microsPerByte = 1e6 / rate;
    this.#roundTrip = roundTrip;
  }

  /** Sends as much as is taken, for `micros` of virtual time. */
  run(micros: number): void {
    const end = this.#k.now + micros;
    this.#supply();
    while (this.#k.now < end) {
      const next = this.#acks.shift();
      const until = Math.min(next?.at ?? Infinity, end, this.#k.now + this.#roundTrip);
      this.#k.advance(Math.max(until - this.#k.now, 0));
      this.#carry();
      if (next === undefined) continue;
      if (next.at > this.#k.now) {
        this.#acks.unshift(next);
        continue;
      }
      this.#peer.send({ ack: next.ack });
      this.acknowledged += next.ack - this.#una;
      this.#una = next.ack;
      this.#supply();
      this.#carry();
    }
  }

  #supply(): void {
    while (this.#k.send(this.#peer.handle, BLOCK) === BLOCK.length);
  }

  #carry(): void {
    for (const { seq, payload, at } of this.#peer.takeAll()) {
      if (payload.length === 0) continue;
      const ack = seq + payload.length;
      this.#free = Math.max(this.#free, at) + payload.length * this.#microsPerByte;
      this.#acks.push({ at: this.#free + this.#roundTrip, ack });
      this.sent.push({ at, bytes: payload.length, flight: ack - this.#una });
    }
    this.#k.events();
  }
}
