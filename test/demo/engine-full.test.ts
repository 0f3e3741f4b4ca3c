/** Full speed on one thread: what a page that may not share memory gets. */
import { expect, test } from "vitest";
import { expectSound, LIVE } from "../support/expert.ts";
import { Bench } from "./bench.ts";

async function settle(bench: Bench): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    await bench.frame();
  }
}

test("one thread runs all cores in slices, and requests are answered", async () => {
  const bench = await Bench.start({ load: 20_000, cores: 2 }, "full");
  expect(bench.all("ready").at(-1)).toMatchObject({ mode: "slices", threads: 0 });
  await settle(bench);
  const { totals, cores, mode } = await bench.frame();
  const packets = bench.all("snapshot").flatMap(({ packets }) => packets);
  expect(mode).toBe("slices");
  expect(totals.open).toBe(32);
  expect(totals.messages).toBeGreaterThan(0);
  expect(cores[0].batchHistogram.some((count) => count > 0)).toBe(true);
  expect(packets.some(({ way, flow }) => way === "in" && flow >= 0)).toBe(true);
  await bench.stop();
});

test("a pause holds the requests back", async () => {
  const bench = await Bench.start({ load: 20_000 }, "full");
  await bench.send({ type: "pause" });
  await settle(bench);
  const before = (await bench.frame()).totals.answered;
  await settle(bench);
  const paused = await bench.frame();
  expect(paused.paused).toBe(true);
  expect(paused.totals.answered).toBe(before);
  await bench.send({ type: "resume" });
  await settle(bench);
  expect((await bench.frame()).totals.answered).toBeGreaterThan(before);
  await bench.stop();
});

test("a capture is a pcapng file of whole frames", async () => {
  const bench = await Bench.start({ load: 20_000 }, "full");
  await bench.send({ type: "capture" });
  while (bench.all("capture").length === 0) await settle(bench);
  const [{ bytes, packets }] = bench.all("capture");
  expect(packets).toBeGreaterThan(100);
  expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(0x0a0d0d0a);
  expectSound(bytes, { possible: LIVE });
  await bench.stop();
});

test("a core that is killed is taken over, and its connections stay", async () => {
  const bench = await Bench.start({ load: 20_000, cores: 2 }, "full");
  await bench.send({ type: "kill", core: 0 });
  while ((await bench.frame()).groups.owner.includes(0)) await settle(bench);
  await settle(bench);
  const { active, totals } = await bench.frame();
  expect(active).toBe(1);
  expect(totals.open).toBe(32);
  expect(bench.all("incident").map(({ what }) => what)).toEqual(["killed", "taken over"]);
  await bench.stop();
});
