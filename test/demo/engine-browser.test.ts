/** The engine in a browser: threads where the page is isolated, one thread where it is not. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_SCENARIO, type Pace, type Scenario } from "../../demo/engine/messages.ts";
import type { EngineMessage, PageMessage, Snapshot } from "../../demo/engine/messages.ts";
import type { TestEngine } from "./fixture/main.ts";
import { buildSite, hasChromium, openPage, type OpenPage, type Site } from "./served-page.ts";

declare global {
  interface Window {
    engine: TestEngine;
  }
}

/** How long a page on a busy machine may take for anything, ms. */
const PATIENCE = 20_000;

let site: Site;
beforeAll(async () => {
  if (hasChromium) site = await buildSite(fileURLToPath(new URL("fixture", import.meta.url)));
});
afterAll(() => site?.remove());

class Remote {
  readonly #open: OpenPage;

  constructor(open: OpenPage) {
    this.#open = open;
  }

  async ask<Message extends EngineMessage>(
    message: PageMessage,
    type: Message["type"],
  ): Promise<Message> {
    const answer = await this.#open.page.evaluate(
      ([message, type]) => window.engine.ask(message, type),
      [message, type] as const,
    );
    if (answer.type === "failed" && type !== "failed") throw new Error(answer.message);
    return answer as Message;
  }

  start(changes: Partial<Scenario>, pace: Pace) {
    const scenario = { ...DEFAULT_SCENARIO, ...changes };
    return this.ask<Extract<EngineMessage, { type: "ready" }>>(
      { type: "start", scenario, pace },
      "ready",
    );
  }

  async send(message: PageMessage): Promise<void> {
    await this.#open.page.evaluate((message) => window.engine.send(message), message);
  }

  frame(): Promise<Snapshot> {
    return this.ask<Snapshot>({ type: "frame" }, "snapshot");
  }

  async until(holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const snapshot = await this.frame();
      if (holds(snapshot)) return snapshot;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    throw new Error("it did not come true");
  }
}

describe.runIf(hasChromium)("a page that is isolated", () => {
  let open: OpenPage;
  let engine: Remote;
  beforeAll(async () => {
    open = await openPage(site, true);
    engine = new Remote(open);
  });
  afterAll(() => open.close());

  test("runs a worker for every core and one for the clients", async () => {
    const ready = await engine.start({ cores: 2, load: 20_000 }, "full");
    expect(ready).toMatchObject({ mode: "threads", isolated: true, threads: 3 });
    const { totals } = await engine.until(({ totals }) => totals.answered > 5000);
    expect(totals.open).toBe(32);
    expect(open.complaints).toEqual([]);
  });

  test("has cores come and go while requests go on", async () => {
    await engine.send({ type: "set", changes: { cores: 3 } });
    const grown = await engine.until(({ active }) => active === 3);
    expect(new Set(grown.groups.owner).size).toBe(3);
    await engine.send({ type: "set", changes: { cores: 1 } });
    const { totals } = await engine.until(({ active }) => active === 1);
    const later = await engine.until((next) => next.totals.answered > totals.answered + 1000);
    expect(later.totals.open).toBe(32);
  });

  test("has others take over from a core that is killed", async () => {
    await engine.send({ type: "set", changes: { cores: 2 } });
    await engine.until(({ active }) => active === 2);
    await engine.send({ type: "kill", core: 1 });
    const { totals, active } = await engine.until(({ groups }) =>
      groups.owner.every((owner) => owner === 0),
    );
    expect(active).toBe(1);
    const later = await engine.until((next) => next.totals.answered > totals.answered + 1000);
    expect(later.totals.open).toBe(32);
    await engine.send({ type: "set", changes: { cores: 2 } });
    await engine.until(({ active }) => active === 2);
    expect(open.complaints).toEqual([]);
  });

  test("goes over to slow motion and back", async () => {
    const { mode } = await engine.ask<Extract<EngineMessage, { type: "ready" }>>(
      { type: "pace", pace: 1000 },
      "ready",
    );
    expect(mode).toBe("slow");
    await engine.until(({ packets }) => packets.length > 0);
    await engine.ask({ type: "pace", pace: "full" }, "ready");
    await engine.until(({ totals }) => totals.answered > 100);
    expect(open.complaints).toEqual([]);
  });
});

describe.runIf(hasChromium)("a page that is not isolated", () => {
  test("runs all on one thread, in slow motion and at full speed", async () => {
    const open = await openPage(site, false);
    const engine = new Remote(open);
    const slow = await engine.start({}, 1000);
    expect(slow).toMatchObject({ mode: "slow", isolated: false, threads: 0 });
    await engine.until(({ packets }) => packets.length > 0);
    const full = await engine.start({ load: 20_000 }, "full");
    expect(full).toMatchObject({ mode: "slices", threads: 0 });
    await engine.until(({ totals }) => totals.answered > 1000);
    expect(open.complaints).toEqual([]);
    await open.close();
  });
});
