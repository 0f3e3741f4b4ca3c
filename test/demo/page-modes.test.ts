/** The built page, isolated and not: that it runs, what it weighs, and how well it keeps up. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectSound, LIVE } from "../support/expert.ts";
import { buildDemo, DemoPage } from "./demo-page.ts";
import { hasChromium, type Site } from "./served-page.ts";

let site: Site;
beforeAll(async () => {
  if (hasChromium) site = await buildDemo();
});
afterAll(() => site?.remove());

/**
 * Frames a second, and messages a second meanwhile, of a page that does not stand still. How many they are the
 * machine decides, and what else it has to do.
 */
async function frameRate({ page }: DemoPage): Promise<{ fps: number; messages: number }> {
  await page.waitForTimeout(3000);
  const rates = () =>
    page.evaluate(() => {
      const { fps, messages } = document.documentElement.dataset;
      return { fps: Number(fps), messages: Number(messages) };
    });
  let seen!: { fps: number; messages: number };
  await expect.poll(async () => (seen = await rates()).fps).toBeGreaterThan(2);
  return seen;
}

describe.runIf(hasChromium)("the built page", { timeout: 120_000 }, () => {
  test("is less than 300 kB, and its kernel less than 60 kB, as gzip has it", () => {
    const files = readdirSync(site.folder, { recursive: true, encoding: "utf8" });
    const sizes = files
      .filter((file) => /\.\w+$/.test(file))
      .map((file) => [file, gzipSync(readFileSync(join(site.folder, file))).length] as const);
    const total = sizes.reduce((sum, [, size]) => sum + size, 0);
    const kernel = sizes.find(([file]) => file.endsWith(".wasm"))![1];
    console.log(`the page has ${total} bytes, its kernel ${kernel}`);
    expect(total).toBeLessThan(300_000);
    expect(kernel).toBeLessThan(60_000);
  });

  test.each([
    ["isolated", true, "threads"],
    ["not isolated", false, "one thread"],
  ])("runs when it is %s, in slow motion and at full speed", async (name, isIsolated, words) => {
    // As many messages as the machine can do.
    const hash = "#cores=1&load=0&inFlight=4&connections=64";
    const demo = await DemoPage.open(site, isIsolated, { hash });
    const { page } = demo;
    const paint = await page.evaluate(() => performance.getEntriesByType("paint")[0].startTime);
    expect(await page.textContent("#mode")).toContain("Virtual time");
    const slow = await frameRate(demo);
    await demo.screenshot(`slow, ${name}`);
    await page.click("#full");
    await expect.poll(() => page.textContent("#mode"), { timeout: 30_000 }).toContain(words);
    await demo.until(({ answered }) => answered > 1000);
    const full = await frameRate(demo);
    await demo.screenshot(`full, ${name}`);
    console.log(
      `${name}: first paint after ${paint.toFixed()} ms; ` +
        `slow motion ${slow.fps} frames/s; ` +
        `full speed ${full.fps} frames/s at ${full.messages} messages/s`,
    );
    expect(paint).toBeLessThan(10_000);
    await page.click("#slow");
    await expect.poll(() => page.textContent("#mode"), { timeout: 30_000 }).toContain("Virtual");
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });

  test("saves the capture as pcapng", async () => {
    const demo = await DemoPage.open(site, true);
    const [download] = await Promise.all([
      demo.page.waitForEvent("download"),
      demo.page.click("#capture"),
    ]);
    expect(download.suggestedFilename()).toBe("ixwasm.pcapng");
    const bytes = readFileSync(await download.path());
    expect(bytes.readUInt32LE(0)).toBe(0x0a0d0d0a);
    expect(bytes.length).toBeGreaterThan(1000);
    expectSound(bytes, { possible: LIVE });
    expect(demo.complaints).toEqual([]);
    await demo.close();
  });
});
