/** What levers and commands do, in slow motion. */
import { describe, expect, test } from "vitest";
import type { Snapshot } from "../../demo/engine/messages.ts";
import { Bench } from "./bench.ts";

const FAST = 50_000;

function owners({ groups }: Snapshot): number[] {
  return [...new Set(groups.owner)].toSorted((a, b) => a - b);
}

describe("cores", () => {
  test("come and go with the lever, and share the flow groups", async () => {
    const bench = await Bench.start({ cores: 2, load: 20_000 }, FAST);
    await bench.send({ type: "set", changes: { cores: 4 } });
    const grown = await bench.framesUntil(({ active }) => active === 4);
    expect(owners(grown)).toEqual([0, 1, 2, 3]);
    await bench.send({ type: "set", changes: { cores: 1 } });
    const shrunk = await bench.framesUntil(({ active }) => active === 1);
    expect(owners(shrunk)).toEqual([0]);
    expect(shrunk.totals.retransmissions).toBe(0);
    expect(bench.all("incident").filter(({ what }) => what === "cores")).toHaveLength(2);
  });

  test("give dragged flow groups away without loss, and say so", async () => {
    const bench = await Bench.start({ cores: 2, load: 50_000 }, FAST);
    const before = await bench.frame();
    const groups = [...before.groups.owner.keys()].filter((g) => before.groups.owner[g] === 0);
    await bench.send({ type: "migrate", groups, to: 1 });
    const after = await bench.framesUntil((snapshot) => owners(snapshot).length === 1);
    expect([...after.groups.reta].every((core) => core === 1)).toBe(true);
    expect(after.totals.retransmissions).toBe(0);
    expect(bench.all("incident").at(-1)).toMatchObject({ what: "migrated", core: 1 });
  });

  test("show a migration's phases and backlogs while it goes on", async () => {
    const bench = await Bench.start({ cores: 2, load: 200_000, connections: 256 }, 50);
    await bench.send({
      type: "migrate",
      groups: Array.from({ length: 64 }, (_, i) => i * 2),
      to: 1,
    });
    const { migrations } = await bench.framesUntil((snapshot) => snapshot.migrations.length > 0);
    expect(migrations[0]).toMatchObject({ from: 0, to: 1 });
    expect(migrations[0].groups).toHaveLength(64);
  });

  test("that are killed are taken over, and no connection is lost", async () => {
    const bench = await Bench.start({ cores: 3, load: 50_000 }, FAST);
    await bench.frame();
    await bench.send({ type: "kill", core: 1 });
    const after = await bench.framesUntil(({ active }) => active === 2);
    expect(owners(after)).toEqual([0, 2]);
    expect(after.totals.open).toBe(32);
    const whats = bench.all("incident").map(({ what }) => what);
    expect(whats).toEqual(["killed", "taken over"]);
    const later = await bench.framesUntil(
      ({ totals }) => totals.answered > after.totals.answered + 500,
    );
    expect(later.totals.open).toBe(32);
    await bench.send({ type: "set", changes: { cores: 3 } });
    const revived = await bench.framesUntil(({ active }) => active === 3);
    expect(owners(revived)).toEqual([0, 1, 2]);
  });

  test("that are the last ones are not killed", async () => {
    const bench = await Bench.start({ cores: 1 }, FAST);
    await bench.send({ type: "kill", core: 0 });
    expect(bench.all("incident").at(-1)).toMatchObject({ what: "refused", core: 0 });
  });

  test("follow the load when a policy decides", async () => {
    const bench = await Bench.start({ cores: 1, load: 400_000, work: 8, policy: "delay" }, 200_000);
    const busy = await bench.framesUntil(({ active }) => active >= 4, 200);
    expect(busy.totals.messages).toBeGreaterThan(50_000);
    await bench.send({ type: "set", changes: { load: 5000 } });
    await bench.framesUntil(({ active }) => active <= 2, 400);
  });
});

describe("the link", () => {
  test("loses what the lever says, and TCP sends it again", async () => {
    const bench = await Bench.start({ load: 50_000, loss: 0.05 }, FAST);
    await bench.framesUntil(({ totals }) => totals.retransmissions > 20);
    const { totals } = await bench.frame();
    expect(totals.drops["lost on the link"]).toBeGreaterThan(20);
    const packets = bench.all("snapshot").flatMap(({ packets }) => packets);
    expect(packets.some(({ fate, why }) => fate === "lost" && why === "lost on the link")).toBe(
      true,
    );
    expect(packets.some(({ again, kind }) => again && kind === "data")).toBe(true);
  });

  test("delays what comes from then on", async () => {
    const bench = await Bench.start({ load: 20_000 }, FAST);
    await bench.send({ type: "set", changes: { delay: 500 } });
    for (let i = 0; i < 30; i++) await bench.frame();
    const { latency, packets } = await bench.frame();
    expect(latency.p50).toBeGreaterThan(1000);
    const flying = packets.find(({ fate, way }) => fate === "flying" && way === "in")!;
    expect(flying.arrives - flying.sent).toBeCloseTo(500, 0);
  });
});

test("a batch bound of one takes packets one by one, a larger one takes what waits", async () => {
  const bench = await Bench.start(
    { cores: 1, load: 0, connections: 200, delay: 0, batch: 1 },
    5000,
  );
  for (let i = 0; i < 20; i++) await bench.frame();
  const one = (await bench.frame()).cores[0];
  expect(one.batchHistogram.slice(1).every((count) => count === 0)).toBe(true);
  await bench.send({ type: "set", changes: { batch: 64 } });
  for (let i = 0; i < 20; i++) await bench.frame();
  const many = (await bench.frame()).cores[0];
  expect(many.batchHistogram.at(-1)).toBeGreaterThan(0);
});

test("a flood is answered with cookies, and requests go on", async () => {
  const bench = await Bench.start({ load: 20_000, flood: 200_000, cores: 2 }, FAST);
  const flooded = await bench.framesUntil(({ totals }) => totals.cookies > 1000);
  expect(flooded.totals.forged).toBeGreaterThan(1000);
  const packets = bench.all("snapshot").flatMap(({ packets }) => packets);
  expect(packets.some(({ kind, way }) => kind === "flood" && way === "in")).toBe(true);
  const later = await bench.framesUntil(
    ({ totals }) => totals.answered > flooded.totals.answered + 500,
  );
  expect(later.totals.open).toBe(32);
});

test("a load that swings is told by its steps", async () => {
  const bench = await Bench.start({ load: 50_000, pattern: "step" }, 1_000_000);
  const rates: number[] = [];
  for (let i = 0; i < 120; i++) rates.push((await bench.frame()).totals.messages);
  expect(Math.max(...rates)).toBeGreaterThan(4 * Math.min(...rates.slice(10)));
});
