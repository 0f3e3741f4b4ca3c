/** Virtual time: it passes when everything is quiet, and only as far as somebody waits. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { mock } from "node:test";
import { describe, expect, it, vi } from "vitest";
import { fakeTimers } from "../../host/node/sim/index.ts";
import { aNetwork, connected, counting, echoServer } from "./support.ts";

describe("virtual time", () => {
  it("does not pass while nobody waits", async () => {
    const network = aNetwork(["a", "b"]);
    await network.advance(5);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(network.now).toBe(5);
  });

  it("passes as far as it is told to, without anything to do as well", async () => {
    const network = aNetwork();
    await network.advance(1500);
    await network.advance(0);
    await network.advance(0.25);
    expect(network.now).toBe(1500.25);
    await expect(network.advance(-1)).rejects.toThrow(RangeError);
  });

  it("passes until a promise is settled, and hands on its outcome", async () => {
    const network = aNetwork(["a", "b"]);
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    const before = network.now;
    socket.write("x");
    const [chunk] = await network.run(once(socket, "data"));
    expect(String(chunk)).toBe("x");
    // Two links each way, 100 µs each.
    expect(network.now - before).toBeCloseTo(0.4, 6);
    await expect(network.run(Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await network.run(async () => 7)).toBe(7);
  });

  it("passes until a condition holds", async () => {
    const network = aNetwork(["a", "b"]);
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    const count = counting(socket);
    socket.write(new Uint8Array(100_000));
    await network.until(() => count.received === 100_000);
    const before = network.now;
    await network.until(() => true);
    expect(network.now).toBe(before);
  });

  it("serves several who wait at once, each at its instant", async () => {
    const network = aNetwork();
    const order: [string, number][] = [];
    const note = (name: string) => (): void => void order.push([name, network.now]);
    await Promise.all([
      network.advance(30).then(note("late")),
      network.advance(10).then(note("early")),
      network.until(() => network.now >= 10).then(note("condition")),
      network.run(async () => {
        await network.advance(5);
        await network.advance(15);
        note("inner")();
      }),
    ]);
    expect(order.map(([, at]) => at)).toEqual([10, 10, 20, 30]);
    expect(order.map(([name]) => name)).toEqual(["early", "condition", "inner", "late"]);
  });

  it("waits for promises, immediates and messages of the application before it passes", async () => {
    const network = aNetwork(["a", "b"]);
    const server = network.host("a").net.createServer((socket) => {
      socket.on("data", async (chunk: Buffer) => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        await new Promise((resolve) => setImmediate(resolve));
        await new Promise((resolve) => process.nextTick(resolve));
        await new Promise((resolve) => setImmediate(resolve));
        socket.write(chunk);
      });
    });
    await network.run(once(server.listen(7), "listening"));
    const socket = await connected(network.host("b"), "a");
    // A deadline soon after, which time would jump to if it did not wait.
    const before = network.now;
    void network.advance(0.201);
    socket.write("x");
    await network.run(once(socket, "data"));
    expect(network.now - before).toBeCloseTo(0.4, 6);
  });

  it("stands still for what comes from outside", async () => {
    const network = aNetwork(["a"]);
    const text = await network.run(async () => {
      await network.advance(3);
      return network.outside(readFile(new URL(import.meta.url), "utf8"));
    });
    expect(text).toContain("stands still");
    expect(network.now).toBe(3);
  });
});

describe("a wait that leads nowhere", () => {
  it("ends when nothing will happen any more", async () => {
    const network = aNetwork();
    const never = new Promise(() => {});
    await expect(network.run(never)).rejects.toMatchObject({ code: "ERR_SIM_STUCK" });
    await expect(network.until(() => false)).rejects.toThrow(/nothing will happen/);
    // Those who wait for an instant are served first.
    const both = [network.advance(10), network.run(never)];
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
    ]);
    expect(network.now).toBe(10);
  });

  it("ends at its limit", async () => {
    const network = aNetwork([], { timers: "virtual" });
    setInterval(() => {}, 100);
    const waiting = network.until(() => false, { limit: 5000 });
    await expect(waiting).rejects.toMatchObject({ code: "ERR_SIM_LIMIT" });
    expect(network.now).toBe(5000);
    await expect(network.run(new Promise(() => {}))).rejects.toThrow(/limit/);
    expect(network.now).toBe(5000 + 3_600_000);
  });

  it("ends when an application goes round in circles and time cannot pass", async () => {
    const network = aNetwork([], { link: {} });
    for (const name of ["a", "b"]) network.addHost(name);
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    socket.on("data", (chunk: Buffer) => socket.write(chunk));
    socket.write("for ever");
    await expect(network.advance(1)).rejects.toThrow(/still busy/);
  }, 60_000);
});

describe("the cost of time", () => {
  it("of a minute with 20 mostly idle hosts is a few thousand steps", async () => {
    const network = aNetwork([], { timers: "virtual" });
    const hosts = Array.from({ length: 20 }, (_, i) => network.addHost(`h${i}`));
    for (const host of hosts) await echoServer(host);
    let beats = 0;
    for (const [i, host] of hosts.entries()) {
      const socket = await connected(host, `h${(i + 1) % 20}`);
      socket.on("data", () => beats++);
      setInterval(() => socket.write("beat"), 5000);
    }
    const { steps } = network.effort;
    const begin = process.hrtime.bigint();
    await network.advance(60_000);
    const took = Number(process.hrtime.bigint() - begin) / 1e6;
    const used = network.effort.steps - steps;
    console.log(`60 s of 20 hosts: ${used} steps in ${took.toFixed(0)} ms`);
    // The last replies may still be on their way.
    expect(beats).toBeGreaterThanOrEqual(220);
    expect(used).toBeLessThan(12_000);
  });

  it("of an hour in which nothing happens is next to nothing", async () => {
    const network = aNetwork(["a", "b", "c"]);
    await network.advance(1000);
    const { steps } = network.effort;
    await network.advance(3_600_000);
    expect(network.effort.steps - steps).toBeLessThan(50);
  });
});

describe("the application's timers", () => {
  it("are left alone unless asked for", () => {
    const { setTimeout, Date, performance } = globalThis;
    const { now } = performance;
    aNetwork();
    expect(globalThis.setTimeout).toBe(setTimeout);
    expect(globalThis.Date).toBe(Date);
    expect(performance.now).toBe(now);
  });

  it("are the network's when asked for, and the real ones again afterwards", async () => {
    const before = { ...globalThis, Date, setTimeout, setInterval, now: performance.now };
    const network = aNetwork([], { timers: "virtual", epoch: Date.UTC(2020, 0, 1) });
    const { timeout } = AbortSignal;
    expect(setTimeout).not.toBe(before.setTimeout);
    expect(() => aNetwork([], { timers: "virtual" })).toThrow(/another network/);
    await network.advance(1500);
    expect(new Date().toISOString()).toBe("2020-01-01T00:00:01.500Z");
    expect(new Date(0).getTime()).toBe(0);
    expect(new Date() instanceof Date).toBe(true);
    expect(performance.now()).toBe(1500);
    await network.close();
    expect(setTimeout).toBe(before.setTimeout);
    expect(setInterval).toBe(before.setInterval);
    expect(Date).toBe(before.Date);
    expect(performance.now).toBe(before.now);
    expect(AbortSignal.timeout).not.toBe(timeout);
  });

  it("drive sockets' timeouts", async () => {
    const network = aNetwork(["a", "b"], { timers: "virtual" });
    await echoServer(network.host("a"));
    const socket = await connected(network.host("b"), "a");
    const before = network.now;
    socket.setTimeout(30_000);
    await network.run(once(socket, "timeout"));
    expect(network.now - before).toBe(30_000);
  });

  it("are driven when vitest has faked them", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "Date"] });
    try {
      const timers = fakeTimers({
        advance: (ms) => vi.advanceTimersByTime(ms),
        count: () => vi.getTimerCount(),
      });
      const network = aNetwork(["a", "b"], { timers });
      await echoServer(network.host("a"));
      const socket = await connected(network.host("b"), "a");
      const count = counting(socket);
      setTimeout(() => socket.write("late"), 700);
      const { steps } = network.effort;
      await network.until(() => count.received === 4);
      expect(network.now).toBeGreaterThan(700);
      expect(network.now).toBeLessThan(702);
      // Without timers time passes in one step.
      const { jumps } = network.effort;
      await network.advance(100_000);
      expect(network.effort.jumps - jumps).toBeLessThan(50);
      expect(network.effort.steps).toBeGreaterThan(steps);
    } finally {
      vi.useRealTimers();
    }
  });

  it("are driven when node:test has faked them", async () => {
    mock.timers.enable({ apis: ["setTimeout", "Date"] });
    try {
      const network = aNetwork([], {
        timers: fakeTimers({ advance: (ms) => mock.timers.tick(ms) }),
      });
      const fired: number[] = [];
      setTimeout(() => fired.push(network.now, Date.now()), 25);
      await network.advance(100);
      expect(fired).toEqual([25, 25]);
    } finally {
      mock.timers.reset();
    }
  });

  it("must be something that can be driven", () => {
    expect(() => aNetwork([], { timers: "fake" as "real" })).toThrow(TypeError);
    expect(() => aNetwork([], { timers: {} as never })).toThrow(/fakeTimers/);
  });
});
