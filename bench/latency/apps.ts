/**
 * A client in an open loop: requests are due at random moments (Poisson), on random connections, and are
 * sent when they are due, whatever has come back. Latency counts from when a request was due, not from
 * when it could be sent: a client that was late itself hides nothing (no coordinated omission).
 *
 * While it warms up it does exactly what it does while it measures, in other words of memory. A step that
 * the engine has not seen before would have it take back the code of the loop and everything in it, and
 * compile it anew; where the processors are all taken by threads that poll, that lasts milliseconds.
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
  /** The same before measuring, while there is code to be warmed up. */
  readonly warmupRate: number;
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
export const POISSON_SENT = 1;
export const POISSON_ANSWERED = 3;
export const POISSON_DONE = 4;
export const POISSON_WORDS = 5;

/** What is added to the words above: the same of the time before. */
const WARMING = -1;
const MEASURING = 0;

/** Time for the last answers, from the end of measuring or the last request on, µs. */
const DRAIN = 200_000;
const LONGEST = 2 ** 32 - 1;

export class PoissonClient implements App {
  readonly #options: PoissonOptions;
  readonly #client: OpenLoopClient;
  readonly #random: Random;
  /** Of the time before, and of measuring. */
  readonly #samples: readonly Uint32Array[];
  readonly #stats: Uint32Array;
  /** µs. A field, as a number that is handed on would be an object of its own each time. */
  #now = 0;
  /** When the next request is due, and measuring begins and ends, µs; 0 until all are open. */
  #due = 0;
  #begin = 0;
  #end = 0;
  /** When a request was sent last, µs: after it was due, if this thread was held up. */
  #sentAt = 0;

  constructor(options: PoissonOptions) {
    const { server, port, conns, size } = options;
    this.#options = options;
    this.#client = new OpenLoopClient({ server, port, conns, size });
    this.#client.onAnswer = (due, now) => this.#answered(due, now);
    this.#random = new Random(options.seed);
    this.#samples = [new Uint32Array(1024), new Uint32Array(options.samples)];
    this.#stats = new Uint32Array(options.stats);
  }

  start(ix: Ix): void {
    this.#client.start(ix);
  }

  handle(ix: Ix): void {
    // The iteration began earlier: what it did took its time.
    this.#now = performance.now() * 1000;
    if (ix.eventCount > 0) this.#client.handle(ix, this.#now);
    else this.#client.takeResults(ix);
    if (this.#client.open === this.#options.conns) this.#offer(ix);
    // A call that does nothing: who makes calls is called again after the next poll.
    ix.nop();
  }

  #offer(ix: Ix): void {
    if (this.#due === 0) this.#open();
    const now = this.#now;
    const { conns, rate, warmupRate } = this.#options;
    while (this.#due <= now && this.#due < this.#end) {
      const phase = this.#phaseOf(this.#due);
      this.#stats[POISSON_SENT + phase]++;
      this.#client.send(ix, this.#random.below(conns), this.#due);
      this.#sentAt = now;
      this.#due += this.#gap(phase === WARMING ? warmupRate : rate);
    }
    const over = Math.max(this.#end, this.#sentAt) + DRAIN;
    if (now > over) Atomics.store(this.#stats, POISSON_DONE, 1);
  }

  #open(): void {
    const { warmup, seconds } = this.#options;
    this.#due = this.#now;
    this.#begin = this.#now + warmup * 1e6;
    this.#end = this.#begin + seconds * 1e6;
  }

  #phaseOf(due: number): number {
    return due < this.#begin ? WARMING : MEASURING;
  }

  /** Time between two requests, µs. */
  #gap(rate: number): number {
    return (-Math.log(1 - this.#random.uniform()) * 1e6) / rate;
  }

  #answered(due: number, now: number): void {
    const phase = this.#phaseOf(due);
    const samples = this.#samples[phase - WARMING];
    const at = this.#stats[POISSON_ANSWERED + phase]++;
    samples[at % samples.length] = Math.min((now - due) * 1000, LONGEST);
  }
}

export default function poissonClient({ options }: AppContext): App {
  return new PoissonClient(options as PoissonOptions);
}
