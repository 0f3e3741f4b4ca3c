/** CUBIC (RFC 9438) against a floating-point oracle written from the RFC's figures. */
import { describe, expect, test } from "vitest";
import { compileParts } from "../support/assembly.ts";
import { Bulk } from "../support/bulk.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { Random } from "../support/random.ts";

const SECOND = 1_000_000;
const ROUND = 100_000;
const C = 0.4;
const BETA = 0.7;

/** Figure 1, in segments and seconds. */
function curve(t: number, k: number, wMax: number): number {
  return C * (t - k) ** 3 + wMax;
}

/** Congestion avoidance, in segments and seconds, from the start of its epoch. */
class Oracle {
  readonly #k: number;
  readonly #wMax: number;
  readonly #prior: number;
  #estimate: number;
  cwnd: number;

  constructor(cwnd: number, wMax: number, prior: number) {
    this.cwnd = cwnd;
    this.#wMax = Math.max(wMax, cwnd);
    this.#prior = prior;
    this.#estimate = cwnd;
    this.#k = Math.cbrt((this.#wMax - cwnd) / C);
  }

  /** One segment is acknowledged at `t`. */
  ack(t: number, rtt: number): void {
    const alpha = this.#estimate < this.#prior ? (3 * (1 - BETA)) / (1 + BETA) : 1;
    this.#estimate += alpha / this.cwnd;
    if (curve(t, this.#k, this.#wMax) < this.#estimate) {
      this.cwnd = Math.max(this.cwnd, this.#estimate);
      return;
    }
    const ahead = curve(t + rtt, this.#k, this.#wMax);
    const target = Math.min(Math.max(ahead, this.cwnd), 1.5 * this.cwnd);
    this.cwnd += (target - this.cwnd) / this.cwnd;
  }
}

const parts = await compileParts("tcp/cubic-curve.ts");

describe.each(parts)("$name build: the curve", ({ call }) => {
  const random = new Random(9438);

  test("K is where it is flat, to a thousandth", () => {
    for (let i = 0; i < 500; i++) {
      const mss = 536 + Math.floor(random.next() * 8500);
      const below = Math.floor(2 ** (random.next() * 29));
      const k = Math.cbrt(below / mss / C) * SECOND;
      const found = call.cubicK(below, mss) >>> 0;
      expect(Math.abs(found - k)).toBeLessThanOrEqual(1 + k / 1000);
    }
    expect(call.cubicK(0, 1460)).toBe(0);
  });

  test("the window follows it, to a segment's thousandth", () => {
    for (let i = 0; i < 500; i++) {
      const mss = 536 + Math.floor(random.next() * 8500);
      const wMax = Math.floor(2 ** (20 + random.next() * 9));
      const k = Math.floor(random.next() * 20 * SECOND);
      const t = Math.floor(random.next() * 40 * SECOND);
      const exact = curve(t / SECOND, k / SECOND, wMax / mss) * mss;
      const bytes = Math.min(Math.max(exact, 0), 0x7fffffff);
      const found = call.cubicWindow(t, k, wMax, mss) >>> 0;
      expect(Math.abs(found - bytes)).toBeLessThanOrEqual(2 + bytes / 10_000 + mss / 1000);
    }
  });

  test("no argument makes it wrap", () => {
    for (const t of [0, 1, 2 ** 27, 2 ** 31, 2 ** 32 - 1]) {
      for (const k of [0, 1, 2 ** 28, 2 ** 32 - 1]) {
        for (const mss of [48, 1460, 65_535]) {
          const window = call.cubicWindow(t, k, 2 ** 30, mss) >>> 0;
          if (t < k) expect(window).toBeLessThanOrEqual(2 ** 30);
          else expect(window).toBeGreaterThanOrEqual(2 ** 30);
          expect(window).toBeLessThan(2 ** 31);
        }
      }
    }
  });
});

/** The windows of successive rounds after a loss in a flight of `lost` segments. */
function afterLoss(build: KernelBuild, rounds: number): { bulk: Bulk; windows: number[] } {
  const bulk = Bulk.start(build);
  for (let round = 0; round < 4; round++) {
    bulk.flight();
    bulk.ackOnce();
  }
  const flight = bulk.flight();
  expect(Math.abs(flight - 160)).toBeLessThanOrEqual(2);
  for (let i = 1; i < flight; i++) bulk.duplicate();
  bulk.flight();
  bulk.ackOnce();
  const windows = [bulk.flight()];
  for (let round = 0; round < rounds; round++) {
    bulk.k.advance(ROUND);
    bulk.ackEach();
    windows.push(bulk.flight());
  }
  return { bulk, windows };
}

describe.each(kernels)("$name kernel", (build) => {
  test("a loss leaves 0.7 of the window (section 4.6)", () => {
    const { windows } = afterLoss(build, 0);
    expect(Math.abs(windows[0] - 112)).toBeLessThanOrEqual(2);
  });

  test("then it grows as the oracle's, round trip by round trip", () => {
    const { windows } = afterLoss(build, 80);
    const oracle = new Oracle(112, 160, 160);
    // The epoch begins with the first ACK after recovery.
    let t = 0;
    for (const [round, window] of windows.slice(1).entries()) {
      const acks = Math.floor(oracle.cwnd);
      for (let i = 0; i < acks; i++) oracle.ack(t, ROUND / SECOND);
      t += ROUND / SECOND;
      expect(Math.abs(window - oracle.cwnd), `round ${round}`).toBeLessThanOrEqual(
        2 + oracle.cwnd / 50,
      );
    }
    // Flat around W_max, which it reaches after K = 4.9 s, and beyond after 8 s.
    expect(windows[45] - windows[40]).toBeLessThanOrEqual(4);
    expect(windows[80]).toBeGreaterThan(165);
  });

  test("a second loss before the window is back lowers W_max further (section 4.7)", () => {
    const { bulk, windows } = afterLoss(build, 3);
    for (let i = 0; i < windows.at(-1)! - 1; i++) bulk.duplicate();
    bulk.flight();
    bulk.ackOnce();
    const start = bulk.flight();
    const before = windows.at(-1)!;
    expect(Math.abs(start - BETA * before)).toBeLessThanOrEqual(2);
    const oracle = new Oracle(start, before * ((1 + BETA) / 2), before);
    let t = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = Math.floor(oracle.cwnd); i > 0; i--) oracle.ack(t, ROUND / SECOND);
      t += ROUND / SECOND;
      bulk.k.advance(ROUND);
      bulk.ackEach();
      const window = bulk.flight();
      expect(Math.abs(window - oracle.cwnd)).toBeLessThanOrEqual(2 + oracle.cwnd / 50);
    }
  });

  test("after a timeout the curve begins where slow start ends (section 4.8)", () => {
    const bulk = Bulk.start(build);
    for (let round = 0; round < 3; round++) {
      bulk.flight();
      bulk.ackOnce();
    }
    expect(bulk.flight()).toBe(80);
    bulk.lose();
    bulk.k.advance(250_000);
    expect(bulk.flight()).toBe(1);
    const windows: number[] = [];
    for (let round = 0; round < 12; round++) {
      bulk.k.advance(ROUND);
      bulk.ackEach();
      windows.push(bulk.flight());
    }
    // ssthresh is 0.7 × 80 = 56.
    expect(windows.slice(0, 5)).toEqual([2, 4, 8, 16, 32]);
    expect(Math.abs(windows[5] - 56)).toBeLessThanOrEqual(1);
    expect(windows[11]).toBeGreaterThanOrEqual(57);
    expect(windows[11]).toBeLessThanOrEqual(64);
  });
});

describe.each(kernels)("$name kernel, HyStart++ (RFC 9406)", (build) => {
  /** Slow start over round trips of the given lengths, µs; returns the windows. */
  function rounds(lengths: readonly number[]): number[] {
    const bulk = Bulk.start(build);
    const windows = [bulk.flight()];
    for (const length of lengths) {
      bulk.k.advance(length);
      bulk.ackEach();
      windows.push(bulk.flight());
    }
    return windows;
  }

  test("steady round trips double the window each", () => {
    const windows = rounds([40_000, 40_000, 40_000, 40_000, 40_000]);
    expect(windows.slice(0, 4)).toEqual([10, 20, 40, 80]);
    expect(windows[5]).toBeGreaterThanOrEqual(316);
  });

  test("a rise by an eighth makes it grow by a quarter as fast", () => {
    const windows = rounds([40_000, 40_000, 46_000, 46_000, 46_000, 46_000]);
    // It takes a whole round of long round trips, and eight of its ACKs, to show.
    expect(windows.slice(0, 4)).toEqual([10, 20, 40, 80]);
    for (const round of [4, 5, 6]) {
      expect(windows[round] / windows[round - 1]).toBeGreaterThan(1.23);
      expect(windows[round] / windows[round - 1]).toBeLessThan(1.28);
    }
  });

  test("a smaller one does not", () => {
    const windows = rounds([40_000, 40_000, 44_000, 44_000, 44_000]);
    expect(windows[5]).toBeGreaterThanOrEqual(316);
  });

  test("when it passes, slow start goes on", () => {
    const windows = rounds([40_000, 40_000, 46_000, 46_000, 40_000, 40_000]);
    expect(windows[4] / windows[3]).toBeLessThan(1.3);
    expect(windows[5] / windows[4]).toBeGreaterThan(1.9);
    expect(windows[6] / windows[5]).toBeGreaterThan(1.9);
  });

  test("when it lasts five rounds, congestion avoidance begins", () => {
    const windows = rounds(Array.from({ length: 12 }, (_, round) => (round < 2 ? 40_000 : 46_000)));
    const growth = windows.map((window, round) => window / (windows[round - 1] ?? window));
    for (const round of [4, 5, 6, 7]) expect(growth[round]).toBeGreaterThan(1.2);
    for (const round of [9, 10, 11, 12]) expect(growth[round]).toBeLessThan(1.05);
  });
});
