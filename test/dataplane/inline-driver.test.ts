import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { InlineDriver } from "../../host/dataplane/inline-driver.ts";

/** A runner that never comes to rest: a step takes 100 µs of its own time. */
function restless(): { now: number; step(): number; nextDeadline(): number } {
  return {
    now: 0,
    step() {
      this.now += 100;
      return 1;
    },
    nextDeadline: () => 0,
  };
}

/** Turns of the event loop until `ended` says so. */
async function turnsUntil(ended: () => boolean): Promise<number> {
  let turns = 0;
  for (; !ended(); turns++) await new Promise((resolve) => setImmediate(resolve));
  return turns;
}

test("the event loop turns after every few slices of a runner that never rests", async () => {
  const runner = Object.assign(restless(), { parkings: [], polls: false });
  const driver = new InlineDriver(runner);
  const slices = 1000;
  const turns = await turnsUntil(() => runner.now >= slices * 2000);
  driver.stop();
  await driver.done;
  expect(turns).toBeGreaterThanOrEqual(slices / 5);
});

test("no slice comes after stop", async () => {
  const runner = Object.assign(restless(), { parkings: [], polls: false });
  const driver = new InlineDriver(runner);
  await turnsUntil(() => runner.now > 0);
  driver.stop();
  await driver.done;
  const { now } = runner;
  let left = 10;
  await turnsUntil(() => left-- === 0);
  expect(runner.now).toBe(now);
});

test("a runner that is stopped by a step neither steps again nor goes to sleep", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let steps = 0;
    const runner = {
      now: 0,
      step() {
        // Two slices that find nothing to do, and a third which would be followed by a sleep.
        if (++steps < 3) return 0;
        driver.stop();
        return steps === 3 ? 1 : 0;
      },
      nextDeadline: () => 60_000_000,
      parkings: [],
      polls: false,
    };
    const driver = new InlineDriver(runner);
    await driver.done;
    await new Promise((resolve) => setImmediate(resolve));
    expect(steps).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

/** Runs `program` in a process of its own, with `InlineDriver`; what it prints. */
async function outputOf(program: string): Promise<string> {
  const entry = new URL("../../dist/host/dataplane/inline-driver.js", import.meta.url).href;
  const source = `import { InlineDriver } from ${JSON.stringify(entry)}; ${program}`;
  const run = promisify(execFile);
  return (await run(process.execPath, ["--input-type=module", "-e", source])).stdout;
}

describe("a process that an unreferenced runner does not keep alive", () => {
  test("ends after the work in hand", async () => {
    const printed = await outputOf(`
      let left = 100;
      const runner = { now: 0, parkings: [], polls: false, nextDeadline: () => Infinity,
        step() { this.now += 100; if (left > 0 && --left === 0) console.log("done"); return left; } };
      new InlineDriver(runner).unref();`);
    expect(printed).toBe("done\n");
  });

  test("ends although the work has no end", async () => {
    const printed = await outputOf(`
      const runner = { now: 0, parkings: [], polls: false, nextDeadline: () => 0,
        step() { this.now += 100; return 1; } };
      new InlineDriver(runner).unref();
      process.on("exit", () => console.log("ended"));`);
    expect(printed).toBe("ended\n");
  });
});
