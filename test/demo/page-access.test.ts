/** The page for everyone: by keys, for screen readers, on a phone, in the dark, without motion. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildDemo, DemoPage } from "./demo-page.ts";
import { hasChromium, type Site } from "./served-page.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let site: Site;
beforeAll(async () => {
  if (hasChromium) site = await buildDemo();
});
afterAll(() => site?.remove());

/** What axe finds that is serious or worse. */
async function violations({ page }: DemoPage): Promise<string[]> {
  await page.evaluate(axe);
  const results = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, deviceScaleFactor: 2 };

const views = [
  ["a wide page", {}],
  ["a dark page", { colorScheme: "dark" }],
  ["a phone", phone],
] as const;

describe.runIf(hasChromium)("for everyone", { timeout: 120_000 }, () => {
  test.each(views)(
    "axe finds nothing serious on %s, in a tour, or in a packet",
    async (name, context) => {
      const demo = await DemoPage.open(site, true, { hash: "#pace=5", ...context });
      expect(await violations(demo)).toEqual([]);
      await demo.screenshot(`view, ${name}`);
      await demo.page.click("[data-tour=completion]");
      await demo.until(({ answered }) => answered > 0);
      await demo.page.focus("#canvas");
      await expect
        .poll(async () => {
          await demo.page.keyboard.press("p");
          return demo.page.isVisible("#inspector");
        })
        .toBe(true);
      expect(await violations(demo)).toEqual([]);
      await demo.screenshot(`packet, ${name}`);
      expect(demo.complaints).toEqual([]);
      await demo.close();
    },
  );

  test("a packet is opened and closed by keys, and the focus goes back", async () => {
    const demo = await DemoPage.open(site, false, { hash: "#pace=5" });
    const { page } = demo;
    await page.focus("#canvas");
    await expect
      .poll(async () => {
        await page.keyboard.press("p");
        return page.isVisible("#inspector");
      })
      .toBe(true);
    await expect
      .poll(() => page.textContent("#inspector"))
      .toMatch(/Toeplitz hash\s*0x[0-9a-f]{8}/);
    expect(await page.textContent("#inspector")).toContain("IPv4");
    await page.locator("#inspector button").focus();
    await page.keyboard.press("Escape");
    expect(await page.isVisible("#inspector")).toBe(false);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("canvas");
    await demo.close();
  });

  test("flow groups are chosen and moved by keys, and the page says so", async () => {
    const demo = await DemoPage.open(site, false, { hash: "#cores=2&pace=100" });
    const { page } = demo;
    await page.focus("#canvas");
    // To the first entry of core 0, then three lines down, choosing what is between.
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => page.textContent("#speech")).toContain("Flow group 0, core 0");
    for (let line = 0; line < 3; line++) await page.keyboard.press("Shift+ArrowDown");
    await expect.poll(() => page.textContent("#speech")).toContain("13 chosen");
    await page.keyboard.press("1");
    await expect.poll(() => page.textContent("#speech")).toContain("go to core 1");
    await demo.until(async () => (await demo.ofCore(1, "flow groups"))! > 64);
    await demo.close();
  });

  test("flow groups are dragged to a core", async () => {
    const demo = await DemoPage.open(site, false, { hash: "#cores=2&pace=100" });
    const { page } = demo;
    const { x, y, width, height } = (await page.locator("#canvas").boundingBox())!;
    // The RETA is about a third of the way along, core 1 in the lower half of the rows.
    await page.mouse.move(x + width * 0.33, y + height * 0.2);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.335, y + height * 0.6, { steps: 12 });
    await page.mouse.move(x + width * 0.8, y + height * 0.5, { steps: 6 });
    await demo.screenshot("dragging");
    await page.mouse.up();
    await demo.until(async () => (await demo.ofCore(1, "flow groups"))! > 64);
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });

  test("a phone shows all in its width", async () => {
    const demo = await DemoPage.open(site, false, phone);
    const width = await demo.page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(390);
    await demo.close();
  });

  test("nothing jumps while the page loads and runs", async () => {
    const demo = await DemoPage.open(site, true);
    await demo.page.waitForTimeout(2000);
    const shift = await demo.page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries())
              sum += (entry as PerformanceEntry & { value: number }).value;
          }).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(sum), 500);
        }),
    );
    expect(shift).toBeLessThan(0.02);
    await demo.close();
  });

  test("the theme follows the system until the reader chooses", async () => {
    const demo = await DemoPage.open(site, false, { colorScheme: "dark" });
    const { page } = demo;
    const shown = () =>
      page.evaluate(() => ({
        ground: getComputedStyle(document.body).backgroundColor,
        pressed: document.getElementById("theme")!.getAttribute("aria-pressed"),
      }));
    const dark = await shown();
    expect(dark.pressed).toBe("true");
    await page.emulateMedia({ colorScheme: "light" });
    await expect.poll(async () => (await shown()).pressed).toBe("false");
    const light = await shown();
    expect(light.ground).not.toBe(dark.ground);
    await page.click("#theme");
    expect(await shown()).toEqual(dark);
    await page.click("#theme");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(100);
    expect(await shown()).toEqual(light);
    await demo.close();
  });

  test("the theme is right before any of the page's programs has come", async () => {
    const demo = await DemoPage.open(site, false, { colorScheme: "dark" });
    const { page } = demo;
    const ground = (): Promise<string> =>
      page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.route("**/*.js", (route) => route.abort());
    await page.reload();
    expect(await page.textContent("#mode")).toBe("Loading the kernel…");
    expect(await ground()).toBe(dark);
    await page.emulateMedia({ colorScheme: "light" });
    await page.reload();
    expect(await ground()).not.toBe(dark);
    await demo.close();
  });

  test("the theme is kept, and less motion is respected", async () => {
    const demo = await DemoPage.open(site, false, {
      colorScheme: "light",
      reducedMotion: "reduce",
    });
    const { page } = demo;
    const ground = (): Promise<string> =>
      page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.click("#theme");
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    await demo.until(({ answered }) => answered > 0);
    expect(await ground()).toBe(dark);
    expect(
      await page.evaluate(
        () => getComputedStyle(document.querySelector("button")!).transitionDuration,
      ),
    ).toBe("0s");
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });
});
