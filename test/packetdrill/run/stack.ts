/**
 * The dataplane under test in virtual time: an elastic thread whose NIC is played from here, so that
 * frames go in and come out one by one, each with the time it was sent.
 */
import { createDataplane, type Dataplane } from "../../../host/dataplane/dataplane.ts";
import { ElasticThread } from "../../../host/dataplane/elastic-thread.ts";
import type { DataplaneOptions } from "../../../host/dataplane/options.ts";
import type { App } from "../../../host/libix/app.ts";
import { Unsupported } from "../language/errors.ts";
import { TestNic } from "../../support/nic.ts";
import { rssHash } from "../../support/toeplitz.ts";
import { decodeFrame, type LivePacket } from "../packets/live.ts";

/** Rounds at one time after which the kernel counts as stuck. */
const ROUNDS_MAX = 100_000;

export class Stack {
  readonly dataplane: Dataplane;
  readonly thread: ElasticThread;
  /** Packets sent and not yet looked at, oldest first. */
  readonly sent: LivePacket[] = [];
  /** Virtual time, µs. */
  now: number;
  readonly #nic: TestNic;
  readonly #settled: (now: number) => void;

  /** `settled` is called whenever the kernel has become quiet. */
  constructor(
    options: DataplaneOptions,
    start: number,
    app: App,
    settled: (now: number) => void = () => undefined,
  ) {
    this.now = start;
    this.#settled = settled;
    this.dataplane = makeDataplane(options);
    const { memory, port } = this.dataplane;
    this.#nic = new TestNic(memory, port.queues[0], port.offloads);
    this.thread = new ElasticThread(this.dataplane.cores[0], start, {
      port,
      backends: [{ pump: () => this.#collect(), nextDeadline: () => Infinity }],
      app: () => app,
    });
  }

  /** Delivers frames at once and runs what follows from them. */
  receive(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      if (this.#nic.rx.free === 0) this.settle();
      if (!this.#nic.receive(frame, { hash: rssHash(frame) })) throw new Error("rx ring is full");
    }
    this.settle();
  }

  /** Runs the kernel until it is quiet; time stands still. */
  settle(): void {
    for (let round = 0; this.thread.iterate(this.now) !== 0; round++) {
      if (round > ROUNDS_MAX) throw new Error("the kernel is busy for ever");
    }
    this.#settled(this.now);
  }

  /** When the kernel's next timer is due; Infinity when none is. */
  get deadline(): number {
    const deadline = this.thread.nextDeadline();
    // One that has come and changed nothing must not hold up time.
    return deadline > this.now ? deadline : this.now + 1;
  }

  /** Moves time to `to`, at most to the next deadline. Returns false when `to` was reached. */
  step(to: number): boolean {
    const { deadline } = this;
    const next = Math.min(deadline, to);
    if (next > this.now) this.now = next;
    this.settle();
    return deadline < to;
  }

  #collect(): number {
    const frames = this.#nic.transmit();
    for (const frame of frames) {
      const packet = decodeFrame(frame, this.now);
      if (packet) this.sent.push(packet);
    }
    return frames.length;
  }
}

/** Refuses what a dataplane cannot be asked for. */
function makeDataplane(options: DataplaneOptions): Dataplane {
  try {
    return createDataplane(options);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new Unsupported(error.message);
  }
}
