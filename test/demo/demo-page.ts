/** The demo's page in Chromium, for its tests: what it shows as numbers, and its levers. */
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { indexOfValue, LEVER_GROUPS } from "../../demo/state/levers.ts";
import { buildSite, openPage, type OpenOptions, type OpenPage, type Site } from "./served-page.ts";

/** Screenshots are kept here for people to look at. */
export const SCREENSHOTS = join(tmpdir(), "ixwasm-demo-screenshots");

/** How long a page on a busy machine may take for anything, ms. */
const PATIENCE = 40_000;

export function buildDemo(): Promise<Site> {
  return buildSite(fileURLToPath(new URL("../../demo", import.meta.url)));
}

/** The numbers that the page's description has for programs. */
export type Numbers = Readonly<Record<string, number>>;

export class DemoPage {
  readonly page: Page;
  readonly complaints: readonly string[];
  readonly #open: OpenPage;

  private constructor(open: OpenPage) {
    this.#open = open;
    this.page = open.page;
    this.complaints = open.complaints;
  }

  /** Opens the page, and waits until requests are answered. */
  static async open(site: Site, isIsolated: boolean, options: OpenOptions = {}): Promise<DemoPage> {
    const viewport = { width: 1440, height: 900 };
    const demo = new DemoPage(await openPage(site, isIsolated, { viewport, ...options }));
    await demo.until(({ answered }) => answered > 0);
    return demo;
  }

  close(): Promise<void> {
    return this.#open.close();
  }

  numbers(): Promise<Numbers> {
    return this.page.evaluate(() => {
      const shown = document.querySelector<HTMLElement>("#description p")?.dataset ?? {};
      return Object.fromEntries(Object.entries(shown).map(([name, text]) => [name, Number(text)]));
    });
  }

  /** A line of text for each core in use. */
  cores(): Promise<string[]> {
    return this.page.locator("#description li").allTextContents();
  }

  /** The number before a word in the line of a core; undefined where it is not. */
  async ofCore(core: number, word: string): Promise<number | undefined> {
    const line = (await this.cores()).find((text) => text.startsWith(`Core ${core}:`)) ?? "";
    const found = new RegExp(String.raw`([\d.]+) (?:% )?${word}`).exec(line);
    return found === null ? undefined : Number(found[1]);
  }

  async until(holds: (numbers: Numbers) => boolean | Promise<boolean>): Promise<Numbers> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const numbers = await this.numbers();
      if (await holds(numbers)) return numbers;
      if (Date.now() > end) {
        const shown = JSON.stringify({ ...numbers, cores: await this.cores() });
        throw new Error(`it did not come true; the page shows ${shown}`);
      }
      await this.page.waitForTimeout(50);
    }
  }

  /** Moves a slider to a value, or chooses in a list, as a person would. */
  async setLever(key: string, value: number | string): Promise<void> {
    const lever = LEVER_GROUPS.flatMap(({ levers }) => levers).find((known) => known.key === key)!;
    const control = this.page.locator(`#lever-${key}`);
    if ("values" in lever) await control.fill(String(indexOfValue(lever.values, Number(value))));
    else await control.selectOption(String(value));
  }

  async screenshot(name: string): Promise<void> {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }
}
