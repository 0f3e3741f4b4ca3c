/**
 * A client in an open loop: requests are due at random moments (Poisson), on random connections, and are
 * sent when they are due, whatever has come back. Latency counts from when a request was due, not from
 * when it could be sent: a client that was late itself hides nothing (no coordinated omission).
 */
import type { App, AppContext } from "../../host/libix/app.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { OpenLoopClient } from "../elastic/apps.ts";
import { Random } from "../lib/random.ts";

export interface PoissonOptions {
  readonly server: string;
  readonly port: number;
  readonly conns: number;
  readonly size: number;
  /** Requests a second over all connections. */
  readonly rate: number;
  /** Seconds before measuring, and of measuring. */
  readonly warmup: number;
  readonly seconds: number;
  readonly seed: number;
  /** Latencies of the requests that were due while measuring, u32 ns. */
  readonly samples: SharedArrayBuffer;
  /** Words of POISSON_*. */
  readonly stats: SharedArrayBuffer;
}

/** Requests that were due while measuring, how many of them were answered, and 1 when all is over. */
export const POISSON_SENT = 0;
export const POISSON_ANSWERED = 1;
export const POISSON_DONE = 2;
export const POISSON_WORDS = 3;

/** Time for the last answers, µs. */
const DRAIN = 200_000;
const LONGEST = 2 ** 32 - 1;

export class PoissonClient implements App {
  readonly #options: PoissonOptions;
  readonly #client: OpenLoopClient;
  readonly #random: Random;
  readonly #samples: Uint32Array;
  readonly #stats: Uint32Array;
  /** When the next request is due, and measuring begins and ends, µs; 0 until all are open. */
  #due = 0;
  #begin = 0;
  #end = 0;

  constructor(options: PoissonOptions) {
    const { server, port, conns, size } = options;
    this.#options = options;
    this.#client = new OpenLoopClient({ server, port, conns, size });
    this.#client.onAnswer = (due, now) => this.#answered(due, now);
    this.#random = new Random(options.seed);
    this.#samples = new Uint32Array(options.samples);
    this.#stats = new Uint32Array(options.stats);
  }

  start(ix: Ix): void {
    this.#client.start(ix);
  }

  handle(ix: Ix): void {
    const now = performance.now() * 1000;
    this.#client.handle(ix, now);
    if (this.#client.open === this.#options.conns) this.#offer(ix, now);
    // A call that does nothing: who makes calls is called again after the next poll.
    ix.nop();
  }

  #offer(ix: Ix, now: number): void {
    if (this.#due === 0) this.#open(now);
    const { conns, rate } = this.#options;
    for (; this.#due <= now && this.#due < this.#end; this.#due += this.#gap(rate)) {
      if (this.#due >= this.#begin) this.#stats[POISSON_SENT]++;
      this.#client.send(ix, this.#random.below(conns), this.#due);
    }
    if (now > this.#end + DRAIN) Atomics.store(this.#stats, POISSON_DONE, 1);
  }

  #open(now: number): void {
    const { warmup, seconds } = this.#options;
    this.#due = now;
    this.#begin = now + warmup * 1e6;
    this.#end = this.#begin + seconds * 1e6;
  }

  /** Time between two requests, µs. */
  #gap(rate: number): number {
    return (-Math.log(1 - this.#random.uniform()) * 1e6) / rate;
  }

  #answered(due: number, now: number): void {
    if (due < this.#begin) return;
    const at = this.#stats[POISSON_ANSWERED]++;
    if (at < this.#samples.length) this.#samples[at] = Math.min((now - due) * 1000, LONGEST);
  }
}

export default function poissonClient({ options }: AppContext): App {
  return new PoissonClient(options as PoissonOptions);
}
