/** Timers in a network's time behave as Node's do. */
import { setTimeout as sleep, setInterval as every, scheduler } from "node:timers/promises";
import * as timersModule from "node:timers";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import type { NodeSimulatedNetwork } from "../../host/node/sim/index.ts";
import { aNetwork } from "./support.ts";

let network: NodeSimulatedNetwork;
beforeEach(() => {
  network = aNetwork([], { timers: "virtual" });
});

describe("setTimeout", () => {
  it("runs in the order of deadlines, and of calls among equals, with its arguments", async () => {
    const order: unknown[] = [];
    const note = (...args: unknown[]): void => void order.push([...args, network.now]);
    setTimeout(note, 20, "c", 1);
    setTimeout(note, 10, "a");
    setTimeout(note, 10, "b");
    setTimeout(note, 5, "first");
    await network.advance(20);
    expect(order).toEqual([
      ["first", 5],
      ["a", 10],
      ["b", 10],
      ["c", 1, 20],
    ]);
  });

  it("takes what is no delay for a millisecond", async () => {
    const at: number[] = [];
    for (const delay of [undefined, 0, -5, Number.NaN, 2 ** 31]) {
      setTimeout(() => at.push(network.now), delay);
    }
    await network.advance(3);
    expect(at).toEqual([1, 1, 1, 1, 1]);
    expect(() => setTimeout("code" as never, 1)).toThrow(TypeError);
  });

  it("lets promises have their turn before the next timer at the same instant", async () => {
    const order: string[] = [];
    setTimeout(() => {
      order.push("first");
      void Promise.resolve().then(() => order.push("microtask"));
      setImmediate(() => order.push("immediate"));
    }, 10);
    setTimeout(() => order.push("second"), 10);
    await network.advance(10);
    expect(order).toEqual(["first", "microtask", "immediate", "second"]);
  });

  it("is cleared, as an object and as a number", async () => {
    let fired = 0;
    const one = setTimeout(() => fired++, 5);
    const other = setTimeout(() => fired++, 5);
    clearTimeout(one);
    clearTimeout(Number(other));
    clearTimeout(undefined);
    clearTimeout(null as never);
    await network.advance(10);
    clearTimeout(one);
    expect(fired).toBe(0);
  });

  it("begins anew by refresh, also after it has fired", async () => {
    const at: number[] = [];
    const timeout = setTimeout(() => at.push(network.now), 10);
    await network.advance(6);
    timeout.refresh();
    await network.advance(6);
    expect(at).toEqual([]);
    await network.advance(6);
    expect(at).toEqual([16]);
    timeout.refresh();
    await network.advance(10);
    expect(at).toEqual([16, 28]);
    expect(timeout.unref().hasRef()).toBe(false);
    expect(timeout.ref().hasRef()).toBe(true);
  });

  it("hands what it throws to whoever waits", async () => {
    setTimeout(() => {
      throw new Error("in a timer");
    }, 5);
    await expect(network.advance(10)).rejects.toThrow("in a timer");
    await network.advance(10);
    expect(network.now).toBe(15);
  });
});

describe("setInterval", () => {
  it("runs until it is cleared, also by itself", async () => {
    const at: number[] = [];
    const interval = setInterval(() => {
      at.push(network.now);
      if (at.length === 3) clearInterval(interval);
    }, 10);
    await network.advance(100);
    expect(at).toEqual([10, 20, 30]);
  });
});

describe("what else knows time", () => {
  it("is node:timers and node:timers/promises", async () => {
    expect(timersModule.setTimeout).toBe(setTimeout);
    expect(await network.run(sleep(50, "value"))).toBe("value");
    expect(network.now).toBe(50);
    await network.run(scheduler.wait(50));
    await network.run(promisify(setTimeout)(50));
    expect(network.now).toBe(150);
    const ticks: number[] = [];
    await network.run(async () => {
      for await (const value of every(10, "tick")) {
        ticks.push(network.now);
        expect(value).toBe("tick");
        if (ticks.length === 3) break;
      }
    });
    expect(ticks).toEqual([160, 170, 180]);
    await network.close();
    expect(timersModule.setTimeout).toBe(setTimeout);
    await sleep(1);
  });

  it("ends a sleep, or a row of ticks, by its signal", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    setTimeout(() => controller.abort("enough"), 5);
    const rejected = { name: "AbortError", code: "ABORT_ERR", cause: "enough" };
    await expect(network.run(sleep(10, undefined, { signal }))).rejects.toMatchObject(rejected);
    await expect(network.run(sleep(10, undefined, { signal }))).rejects.toMatchObject(rejected);
    const ticks = every(10, undefined, { signal: AbortSignal.timeout(25) });
    let count = 0;
    const all = async (): Promise<void> => {
      for await (const _ of ticks) count++;
    };
    await expect(network.run(all)).rejects.toMatchObject({ name: "AbortError" });
    expect(count).toBe(2);
    expect(network.now).toBe(30);
  });

  it("is AbortSignal.timeout", async () => {
    const signal = AbortSignal.timeout(40);
    await network.advance(39);
    expect(signal.aborted).toBe(false);
    await network.advance(1);
    expect(signal.reason).toMatchObject({ name: "TimeoutError" });
  });

  it("and chance is the seed's", async () => {
    const draw = (): number[] => Array.from({ length: 4 }, () => Math.random());
    const first = draw();
    await network.close();
    network = aNetwork([], { timers: "virtual" });
    expect(draw()).toEqual(first);
    await network.close();
    expect(draw()).not.toEqual(first);
  });
});
