/** Full speed on one thread: what a page that may not share memory gets. */
import { expect, test } from "vitest";
import { expectSound, LIVE } from "../support/expert.ts";
import type { Snapshot } from "../../demo/engine/messages.ts";
import { Bench } from "./bench.ts";

/** How long a busy machine may take for anything, ms. */
const PATIENCE = 20_000;

async function settle(bench: Bench): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    await bench.frame();
  }
}

/** Frames until it holds, which real time may take a while for. */
async function until(bench: Bench, holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    const snapshot = await bench.frame();
    if (holds(snapshot)) return snapshot;
  }
  throw new Error("it did not come true");
}

test("one thread runs all cores in slices, and requests are answered", async () => {
  const bench = await Bench.start({ load: 20_000, cores: 2 }, "full");
  expect(bench.all("ready").at(-1)).toMatchObject({ mode: "slices", threads: 0 });
  const seen: Snapshot["packets"][number][] = [];
  const { mode } = await until(bench, ({ totals, cores, packets }) => {
    seen.push(...packets);
    const batched = cores[0].batchHistogram.some((count) => count > 0);
    const arrived = seen.some(({ way, flow }) => way === "in" && flow >= 0);
    return totals.open === 32 && totals.messages > 0 && batched && arrived;
  });
  expect(mode).toBe("slices");
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
  await until(bench, ({ totals }) => totals.answered > before);
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
  await until(bench, ({ totals }) => totals.open === 32);
  await bench.send({ type: "kill", core: 0 });
  await until(bench, ({ groups }) => !groups.owner.includes(0));
  await settle(bench);
  const { active, totals } = await bench.frame();
  expect(active).toBe(1);
  expect(totals.open).toBe(32);
  expect(bench.all("incident").map(({ what }) => what)).toEqual(["killed", "taken over"]);
  await bench.stop();
});
