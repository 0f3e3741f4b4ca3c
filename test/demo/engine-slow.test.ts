/** Slow motion: pacing, stepping, and what a snapshot says, in virtual time. */
import { describe, expect, test } from "vitest";
import { Bench } from "./bench.ts";

describe("the pace", () => {
  test("lets as much virtual time pass as the person's clock says", async () => {
    const bench = await Bench.start({}, 1000);
    const before = await bench.frame(0);
    const after = await bench.frame(50);
    expect(after.now - before.now).toBeCloseTo(50, 3);
  });

  test("of a pause is nothing, and resuming owes nothing", async () => {
    const bench = await Bench.start({}, 1000);
    await bench.send({ type: "pause" });
    const before = await bench.frame();
    expect(before.paused).toBe(true);
    expect((await bench.frame(1000)).now).toBe(before.now);
    await bench.send({ type: "resume" });
    expect((await bench.frame(10)).now - before.now).toBeCloseTo(10, 3);
  });

  test("opens all connections first, in every flow of its own group", async () => {
    const bench = await Bench.start({ connections: 40 });
    const { flows, totals, groups } = await bench.frame();
    expect(totals.open).toBe(40);
    expect(flows).toHaveLength(40);
    const counted = Array.from({ length: 128 }, () => 0);
    for (const group of flows) counted[group]++;
    expect([...groups.connections]).toEqual(counted);
  });
});

describe("a step", () => {
  test("by packet moves one packet or a batch of them, and pauses", async () => {
    const bench = await Bench.start();
    await bench.send({ type: "pause" });
    await bench.frame();
    await bench.send({ type: "step", by: "packet" });
    const stepped = await bench.frame();
    expect(stepped.paused).toBe(true);
    expect(stepped.packets.length).toBeGreaterThan(0);
    const again = await bench.frame();
    expect(again.now).toBe(stepped.now);
    expect(again.packets).toEqual([]);
  });

  test("by iteration shows one iteration more", async () => {
    const bench = await Bench.start();
    const count = (cores: readonly { iteration?: { number: number } }[]): number =>
      cores.reduce((sum, { iteration }) => sum + (iteration ? iteration.number + 1 : 0), 0);
    await bench.send({ type: "pause" });
    const before = count((await bench.frame()).cores);
    for (let steps = 1; steps <= 5; steps++) {
      await bench.send({ type: "step", by: "iteration" });
      expect(count((await bench.frame()).cores)).toBe(before + steps);
    }
  });
});

test("the same seed gives the same packets, another one others", async () => {
  const run = async (seed: number): Promise<string> => {
    const bench = await Bench.start({ seed, loss: 0.02 }, 20_000);
    for (let i = 0; i < 10; i++) await bench.frame();
    return JSON.stringify(bench.all("snapshot").map(({ packets }) => packets));
  };
  const first = await run(3);
  expect(await run(3)).toBe(first);
  expect(await run(4)).not.toBe(first);
});

test("requests are answered at the rate of the load", async () => {
  const bench = await Bench.start({ load: 100_000, cores: 2 }, 100_000);
  for (let i = 0; i < 40; i++) await bench.frame();
  const { totals, latency } = await bench.frame();
  expect(totals.messages).toBeGreaterThan(90_000);
  expect(totals.messages).toBeLessThan(110_000);
  expect(latency.p50).toBeGreaterThan(40);
  expect(latency.p99).toBeLessThan(200);
});
