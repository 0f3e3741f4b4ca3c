/** The generator of requests at random moments, against an echo server on the same thread. */
import { describe, expect, it } from "vitest";
import {
  POISSON_ANSWERED,
  POISSON_DONE,
  POISSON_SENT,
  POISSON_WORDS,
  PoissonClient,
} from "../../bench/latency/apps.ts";
import { createPair, SERVER_IP } from "../../bench/lib/pair.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { InlineRunner } from "../../host/index.ts";

const PORT = 7000;
/** Few enough that all of them could be on their way at once, should the machine hold this thread up. */
const LOAD = { conns: 64, size: 64, rate: 500, warmupRate: 1000, warmup: 0.2, seconds: 0.2 };

/** How long the thread is held up, so that measuring is long over when it goes on, ms. */
const STALL = 600;

/** Offers the load, held up once if asked to; what was counted, and the latencies, ns. */
function offer(seed: number, stall = 0) {
  const samples = new SharedArrayBuffer(4 * 1000);
  const stats = new SharedArrayBuffer(4 * POISSON_WORDS);
  const words = new Uint32Array(stats);
  const { server, client, serverWire, clientWire } = createPair();
  const runner = new InlineRunner({ clock: "real" });
  runner.add(server, {
    wire: serverWire,
    app: () => new EchoServer({ ports: [PORT], backlog: 64 }),
  });
  const options = { ...LOAD, server: SERVER_IP, port: PORT, seed, samples, stats };
  runner.add(client, { wire: clientWire, app: () => new PoissonClient(options) });
  let isHeldUp = stall === 0;
  const isDone = (): boolean => {
    if (!isHeldUp && words[POISSON_SENT] > 5) {
      isHeldUp = true;
      holdUp(stall);
    }
    return words[POISSON_DONE] === 1;
  };
  const isOver = runner.run({ until: isDone, forMicros: 20e6 });
  expect(isOver).toBe(true);
  return { words, latencies: new Uint32Array(samples) };
}

function holdUp(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe("the generator of an open loop", () => {
  it("counts what was due while measuring, apart from what was before", () => {
    const { words, latencies } = offer(1);
    const sent = words[POISSON_SENT];
    const before = words[POISSON_SENT - 1];
    expect(words[POISSON_ANSWERED]).toBe(sent);
    expect(words[POISSON_ANSWERED - 1]).toBe(before);
    // A Poisson process: within five standard deviations.
    expect(Math.abs(sent - 100)).toBeLessThan(50);
    expect(Math.abs(before - 200)).toBeLessThan(75);
    expect(latencies.findIndex((nanoseconds) => nanoseconds === 0)).toBe(sent);
  });

  it("waits for answers to what it has sent too late", () => {
    const { words } = offer(1, STALL);
    expect(words[POISSON_SENT]).toBeGreaterThan(20);
    expect(words[POISSON_ANSWERED]).toBe(words[POISSON_SENT]);
  });

  it("offers the same for the same seed, whatever the machine does", () => {
    const [first, again, other] = [offer(1), offer(1), offer(2)].map(({ words }) => [...words]);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
