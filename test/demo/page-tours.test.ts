/** Each guided tour from its first step to its last, and what its steps bring about. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TOURS } from "../../demo/tours/tours.ts";
import { buildDemo, DemoPage } from "./demo-page.ts";
import { hasChromium, type Site } from "./served-page.ts";

/** What the page shows after a step's own button, or after the step where it has none. */
const outcomes: Record<string, (demo: DemoPage) => Promise<unknown>> = {
  "rss 3": (demo) => demo.until(({ open }) => open === 128),
  "rss 4": (demo) => demo.until(async () => (await demo.ofCore(1, "flow groups")) === 48),
  "completion 1": (demo) => expect.poll(() => demo.page.textContent("#pause")).toBe("Go on"),
  "completion 2": (demo) =>
    demo.until(async () => (await demo.ofCore(0, "packets an iteration"))! > 8),
  "completion 3": (demo) =>
    demo.until(async () => (await demo.ofCore(0, "packets an iteration"))! > 8),
  "loss 2": (demo) => demo.until(({ drops, retransmissions }) => drops > 0 && retransmissions > 0),
  "elastic 3": (demo) => demo.until(({ active }) => active > 1),
  "protection 2": (demo) => demo.until(({ cookies }) => cookies > 0),
  "protection 3": (demo) =>
    demo.until(async () => (await demo.ofCore(2, "flow groups")) === undefined),
};

let site: Site;
beforeAll(async () => {
  if (hasChromium) site = await buildDemo();
});
afterAll(() => site?.remove());

describe.runIf(hasChromium)("the tour", { timeout: 240_000 }, () => {
  test.each(TOURS.map((tour) => [tour.id, tour] as const))("%s is taken", async (id, tour) => {
    const demo = await DemoPage.open(site, true);
    const { page } = demo;
    await page.click(`[data-tour=${id}]`);
    for (const [index, step] of tour.steps.entries()) {
      expect(await page.textContent("#tour h2")).toBe(step.title);
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(step.title);
      await demo.until(({ answered }) => answered > 0);
      if (step.act !== undefined) await page.click("#tour .act");
      await outcomes[`${id} ${index + 1}`]?.(demo);
      await demo.screenshot(`tour ${id} ${index + 1}`);
      await page.click("#tour .next");
    }
    expect(await page.locator("[data-tour]").count()).toBe(TOURS.length);
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });

  test("can be left, and goes back to what a step before has set", async () => {
    const demo = await DemoPage.open(site, false);
    const { page } = demo;
    await page.click("[data-tour=loss]");
    await page.click("#tour .next");
    expect(await page.getAttribute("#lever-loss", "aria-valuetext")).toContain("2");
    await page.getByRole("button", { name: "Back" }).click();
    expect(await page.getAttribute("#lever-loss", "aria-valuetext")).toMatch(/^0\s/);
    await page.keyboard.press("Escape");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-tour"))).toBe(
      "loss",
    );
    await demo.close();
  });
});
