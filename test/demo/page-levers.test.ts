/** Each lever of the page, moved as a person would: the numbers that must change do. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LEVER_GROUPS } from "../../demo/state/levers.ts";
import { buildDemo, DemoPage, type Numbers } from "./demo-page.ts";
import { hasChromium, type Site } from "./served-page.ts";

interface Move {
  readonly key: string;
  /** How the page begins. */
  readonly hash: string;
  readonly to: number | string;
  readonly shows: string;
  holds(after: Numbers, before: Numbers, demo: DemoPage): boolean | Promise<boolean>;
}

const HASH = "#load=100000&connections=32&pace=2000";
const BUSY = "#load=500000&connections=128&cores=1&work=2&pace=1000";

const moves: readonly Move[] = [
  {
    key: "load",
    hash: HASH,
    to: 500_000,
    shows: "more messages",
    holds: (after, before) => after.messages > 2 * before.messages,
  },
  {
    key: "inFlight",
    hash: "#load=0&inFlight=1&connections=4&pace=1000",
    to: 8,
    shows: "more messages",
    holds: (after, before) => after.messages > 2 * before.messages,
  },
  {
    key: "connections",
    hash: HASH,
    to: 128,
    shows: "more connections",
    holds: ({ open }) => open === 128,
  },
  {
    key: "size",
    hash: HASH,
    to: 1024,
    shows: "more bits",
    holds: (after, before) => after.bits > 3 * before.bits,
  },
  {
    key: "pattern",
    hash: HASH,
    to: "step",
    shows: "the lower step of the load",
    holds: (after, before) => after.messages < 0.8 * before.messages,
  },
  { key: "cores", hash: HASH, to: 2, shows: "fewer cores", holds: ({ active }) => active === 2 },
  {
    key: "batch",
    hash: BUSY,
    to: 1,
    shows: "iterations of one packet",
    holds: async (_, __, demo) => (await demo.ofCore(0, "packets an iteration"))! <= 1.1,
  },
  {
    key: "work",
    hash: HASH,
    to: 20,
    shows: "less idle time",
    holds: async (_, __, demo) => (await demo.ofCore(0, "idle"))! < 65,
  },
  {
    key: "policy",
    hash: BUSY,
    to: "delay",
    shows: "a core more",
    holds: ({ active }) => active > 1,
  },
  {
    key: "delay",
    hash: HASH,
    to: 200,
    shows: "a longer latency",
    holds: ({ p50 }) => p50 >= 400,
  },
  {
    key: "loss",
    hash: HASH,
    to: 0.1,
    shows: "lost packets, and packets sent again",
    holds: ({ drops, retransmissions }) => drops > 10 && retransmissions > 0,
  },
  {
    key: "reorder",
    hash: HASH,
    to: 0.2,
    shows: "a longer latency of some",
    holds: (after, before) => after.p99 > before.p99 + 20,
  },
  {
    key: "jitter",
    hash: HASH,
    to: 200,
    shows: "a longer latency",
    holds: (after, before) => after.p90 > before.p90 + 50,
  },
  {
    key: "rate",
    hash: "#load=500000&connections=32&size=1024&pace=1000",
    to: 1e8,
    shows: "no more bits than the link carries",
    // Bits of both directions; a window's edges may have a little more.
    holds: ({ bits }, before) => before.bits > 1e9 && bits > 0 && bits < 2.2e8,
  },
  {
    key: "congestion",
    hash: HASH,
    to: "bbr",
    shows: "connections that are opened anew",
    holds: (after, before) => after.now < before.now && after.open === 32,
  },
  {
    key: "flood",
    hash: HASH,
    to: 200_000,
    shows: "cookies for strangers, and answers for clients",
    holds: (after, before) => after.cookies > 50 && after.messages > 0.8 * before.messages,
  },
];

let site: Site;
beforeAll(async () => {
  if (hasChromium) site = await buildDemo();
});
afterAll(() => site?.remove());

test("each lever is moved here", () => {
  const keys = LEVER_GROUPS.flatMap(({ levers }) => levers.map(({ key }) => key as string));
  expect(moves.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
});

describe.runIf(hasChromium)("moving the lever", { timeout: 120_000 }, () => {
  test.each(moves)("$key shows $shows", async ({ key, hash, to, holds }) => {
    const demo = await DemoPage.open(site, false, { hash });
    // Numbers of a whole window, before anything is moved.
    const before = await demo.until(({ now, count }) => now > 4000 && count > 0);
    await demo.setLever(key, to);
    await demo.until((after) => holds(after, before, demo));
    // The page writes its address a moment after the last change.
    await expect.poll(() => new URL(demo.page.url()).hash).toContain(`${key}=${to}`);
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });
});

describe.runIf(hasChromium)("of this run", { timeout: 120_000 }, () => {
  test("another seed begins anew, and the address has it", async () => {
    const demo = await DemoPage.open(site, false, { hash: HASH });
    const before = await demo.until(({ now }) => now > 4000);
    await demo.page.getByRole("button", { name: "Another" }).click();
    await demo.until(({ now }) => now < before.now);
    await expect.poll(() => new URL(demo.page.url()).hash).toMatch(/seed=\d+/);
    await demo.close();
  });

  test("the address brings the levers back", async () => {
    const hash = "#cores=2&loss=0.05&congestion=bbr&seed=7&pace=500";
    const demo = await DemoPage.open(site, false, { hash });
    expect(await demo.page.inputValue("#lever-congestion")).toBe("bbr");
    expect(await demo.page.getAttribute("#lever-loss", "aria-valuetext")).toContain("5");
    await demo.until(({ active, drops }) => active === 2 && drops > 0);
    await demo.page.evaluate(() => (location.hash = "#cores=3"));
    await demo.until(({ active }) => active === 3);
    expect(await demo.page.inputValue("#lever-congestion")).toBe("cubic");
    await demo.close();
  });

  test("flow groups move by the panel, and a killed core's connections go on", async () => {
    const demo = await DemoPage.open(site, false, { hash: HASH });
    await demo.page.selectOption("#move-from", "0");
    await demo.page.selectOption("#move-to", "1");
    await demo.page.getByRole("button", { name: "Move" }).click();
    await demo.until(async () => (await demo.ofCore(1, "flow groups")) === 48);
    await demo.page.selectOption("#kill-core", "2");
    await demo.page.getByRole("button", { name: "Kill" }).click();
    const killed = await demo.until(({ active }) => active === 3);
    const later = await demo.until(({ answered }) => answered > killed.answered + 100);
    expect(later.open).toBe(32);
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });

  test("pausing stops time, and a step by packet or iteration lets a little of it pass", async () => {
    const demo = await DemoPage.open(site, false, { hash: "#pace=50" });
    const { page } = demo;
    await page.click("#pause");
    await page.waitForTimeout(800);
    const paused = await demo.numbers();
    await page.waitForTimeout(800);
    expect((await demo.numbers()).now).toBe(paused.now);
    // What a step ends with may come at the time that it is already: then the next one lets some pass.
    const step = (by: string, since: number) =>
      demo.until(async ({ now }) => {
        if (now > since) return true;
        await page.click(`#step-${by}`);
        await page.waitForTimeout(500);
        return false;
      });
    const stepped = await step("packet", paused.now);
    expect(stepped.now - paused.now).toBeLessThan(20);
    await page.waitForTimeout(800);
    const rested = await demo.numbers();
    await step("iteration", rested.now);
    await page.click("#pause");
    await demo.until(({ now }) => now > rested.now + 50);
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });
});
