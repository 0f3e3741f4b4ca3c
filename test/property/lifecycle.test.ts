/**
 * Connections that come and go at random over a bad network: few ports, so that tuples are used again
 * while the old connection is still in TIME-WAIT, and every way to end. Each handle ends exactly once
 * (the contract sees to it), both kernels come to rest, and nothing leaks.
 */
import { describe, expect, test } from "vitest";
import { FLAG_DEFER, RC_INUSE, RC_NOMEM, RC_OK } from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import type { KernelEvent } from "../support/events.ts";
import type { KernelHarness } from "../support/kernel.ts";
import { kernels } from "../support/kernels.ts";
import { Random } from "../support/random.ts";
import { Network, RIGHT, type Application } from "./network.ts";

const SEED = Number(process.env.PROPERTY_SEED ?? 20_140_813);
const SECOND = 1_000_000;

/** One side: does something at random to a random connection, now and then. */
class Fickle implements Application {
  /** How many connections ended, by the kind of their last event or call. */
  readonly ends = new Map<string, number>();
  readonly #k: KernelHarness;
  readonly #random: Random;
  readonly #dials: boolean;
  #budget: number;
  #nextAt = 0;

  /** @param budget actions it takes before it only lets things end */
  constructor(k: KernelHarness, random: Random, budget: number, dials: boolean) {
    this.#k = k;
    this.#random = random;
    this.#budget = budget;
    this.#dials = dials;
  }

  step(now: number): boolean {
    const events = this.#k.events();
    for (const event of events) this.#take(event);
    if (now < this.#nextAt) return events.length > 0;
    if (this.#budget > 0) {
      this.#budget--;
      this.#act();
      this.#nextAt = now + this.#random.pick([0, 100, 5000, 50_000, 400_000]);
      return true;
    }
    this.#nextAt = Infinity;
    return this.#closeAll() || events.length > 0;
  }

  next(): number {
    return this.#nextAt;
  }

  done(): boolean {
    return this.#budget === 0 && this.#k.contract.connections.size === 0;
  }

  #take(event: KernelEvent): void {
    const random = this.#random;
    if (event.kind === "knock") {
      // Ended already, by the same batch of events.
      if (!this.#k.contract.connections.has(event.handle)) return;
      if (random.chance(0.8)) this.#k.accept(event.handle);
      else {
        this.#k.reject(event.handle);
        this.#count("reject");
      }
    } else if (event.kind === "dead" || (event.kind === "connected" && event.outcome !== RC_OK)) {
      this.#count(`${event.kind} ${event.kind === "dead" ? event.reason : event.outcome}`);
    }
    // When there is nothing left to do but to end, every event may be what it waited for.
    if (this.#budget === 0) this.#nextAt = 0;
  }

  #act(): void {
    const random = this.#random;
    const k = this.#k;
    const handles = [...k.contract.connections.keys()];
    if (this.#dials && (handles.length === 0 || random.chance(0.4))) {
      const sourcePort = random.between(6000, 6007);
      const { result } = k.connect(RIGHT.ip, random.pick([80, 81, 82]), { sourcePort });
      expect([RC_OK, RC_INUSE, RC_NOMEM]).toContain(result);
      return;
    }
    if (handles.length === 0) return;
    const handle = random.pick(handles);
    switch (random.below(10)) {
      case 0:
        if (k.abort(handle) === RC_OK) this.#count("abort");
        break;
      case 1:
        k.close(handle);
        break;
      case 2:
      case 3:
        k.shutdown(handle);
        break;
      case 4: {
        const held = k.contract.heldBytes(handle);
        if (held > 0) k.recvDone(handle, random.between(1, held));
        break;
      }
      default:
        k.send(handle, pattern(random.pick([1, 500, 1500, 8000])));
    }
  }

  /** Gives everything back and closes what is open; true when that did something. */
  #closeAll(): boolean {
    let acted = false;
    for (const handle of this.#k.contract.connections.keys()) {
      const held = this.#k.contract.heldBytes(handle);
      if (held > 0) acted = this.#k.recvDone(handle, held) === RC_OK || acted;
      acted = this.#k.close(handle) === RC_OK || acted;
    }
    return acted;
  }

  #count(end: string): void {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }
}

describe.each(kernels)("$name kernel", (build) => {
  test.each([
    [0, "a good network", { loss: 0, duplicate: 0, corrupt: 0 }],
    [1, "a lossy network", { loss: 0.1, duplicate: 0.05, corrupt: 0.02 }],
    [2, "a network that repeats everything", { loss: 0.02, duplicate: 0.5, corrupt: 0 }],
    [3, "a network that loses every other frame", { loss: 0.5, duplicate: 0, corrupt: 0.05 }],
  ])("seed + %i: %s", { timeout: 60_000 }, (offset, _what, faults) => {
    const seed = SEED + offset;
    const random = new Random(seed);
    const network = new Network(build, { delay: 1000, jitter: 3000, ...faults }, seed, {
      maxConnections: 12,
      frames: 512,
      ringSize: 64,
      tcp: { timeWait: 2 * SECOND, finWait2: 5 * SECOND, dataRetries: 6, synRetries: 4 },
    });
    const { left, right } = network;
    right.listen(80, { backlog: 4 });
    right.listen(81, { backlog: 4, flags: FLAG_DEFER });
    const dialler = new Fickle(left, new Random(random.below(2 ** 31)), 600, true);
    const answerer = new Fickle(right, new Random(random.below(2 ** 31)), 500, false);
    network.run([dialler, answerer], 20_000 * SECOND);
    const ends = [...dialler.ends.values()].reduce((sum, count) => sum + count, 0);
    expect(ends, network.log()).toBeGreaterThan(40);
    expect(left.contract.connections.size, network.log()).toBe(0);
    expect(right.contract.connections.size, network.log()).toBe(0);
    network.finish();
  });
});
