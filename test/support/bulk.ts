/** A stream that never ends, to a peer that acknowledges as the test says. */
import { pattern } from "./bytes.ts";
import { startKernel, type HarnessOptions, type KernelHarness } from "./kernel.ts";
import type { KernelBuild } from "./kernels.ts";
import { TcpPeer, type PeerOptions } from "./peer.ts";

export const MSS = 1000;

/** A connection to a peer with a huge window, and a supply of data that does not end. */
export class Bulk {
  readonly k: KernelHarness;
  readonly peer: TcpPeer;
  /** Ends of the segments that were sent and not acknowledged. */
  #ends: number[] = [];
  #offered = 0;
  /** What was acknowledged last. */
  una = 1;

  constructor(k: KernelHarness, peer: TcpPeer) {
    this.k = k;
    this.peer = peer;
  }

  static start(
    build: KernelBuild,
    options: HarnessOptions = {},
    peerOptions: PeerOptions = {},
  ): Bulk {
    const k = startKernel(build, { references: 4096, applicationWindow: 4 << 20, ...options });
    const given = { mss: MSS, windowScale: 7, window: 4 << 20, ...peerOptions };
    return new Bulk(k, TcpPeer.established(k, given));
  }

  /** Lets the kernel send what it may; returns how many segments' worth of bytes it was. */
  flight(): number {
    for (let i = 0; i < 50; i++) {
      const taken = this.k.send(this.peer.handle, pattern(64 * MSS, this.#offered));
      if (taken > 0) this.#offered += taken;
      if (taken < 64 * MSS) break;
    }
    let bytes = 0;
    for (const { seq, payload } of this.peer.takeAll()) {
      this.#ends.push(seq + payload.length);
      bytes += payload.length;
    }
    return Math.ceil(bytes / MSS);
  }

  /** Acknowledges all that was sent, by one ACK for each segment. */
  ackEach(): void {
    for (const ack of this.#ends.splice(0)) this.#ack(ack);
  }

  /** Acknowledges all that was sent, by one ACK. */
  ackOnce(): void {
    this.#ack(Math.max(...this.#ends.splice(0)));
  }

  /** Forgets what was sent and not acknowledged: the network lost it. */
  lose(): void {
    this.#ends = [];
  }

  /** Repeats the last ACK. */
  duplicate(ack = this.una): void {
    this.peer.send({ ack });
  }

  #ack(ack: number): void {
    this.una = Math.max(this.una, ack);
    this.peer.send({ ack });
  }
}
