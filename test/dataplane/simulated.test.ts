/** Simulated cores: work takes the time it is said to take, and the order of things follows from it. */
import { describe, expect, it } from "vitest";
import { MetricsReader } from "../../host/control/metrics.ts";
import { NO_COSTS, type CostModel } from "../../host/dataplane/cost-model.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { LivelockError } from "../../host/dataplane/errors.ts";
import { SimulatedRunner } from "../../host/dataplane/simulated.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import {
  CLIENT_IP,
  clientOptions,
  echoApp,
  SERVER_IP,
  SERVER_OPTIONS,
  smallDataplane,
} from "./support.ts";

/** Nothing costs anything but what a test says, and cores never sleep. */
const FREE: CostModel = NO_COSTS;

/** An echo server of that speed, and a client whose time costs nothing. */
function echoPair(
  costs: Partial<CostModel>,
  setup: { link?: LinkOptions; messages?: number; server?: Partial<DataplaneOptions> } = {},
) {
  const server = smallDataplane(SERVER_IP, setup.server);
  const client = smallDataplane(CLIENT_IP);
  const [fromServer, fromClient] = connectPorts(server.port, client.port, setup.link);
  const runner = new SimulatedRunner({ costs: { ...FREE, ...costs } });
  const messages: unknown[] = [];
  runner.add(server, { wire: fromServer, app: echoApp, options: SERVER_OPTIONS });
  runner.add(client, {
    wire: fromClient,
    costs: FREE,
    app: echoApp,
    options: clientOptions(setup.messages ?? 20),
    onMessage: (message) => messages.push(message),
  });
  const echoed = (): boolean => messages.length > 0;
  return { runner, server, client, messages, echoed };
}

/** What a model says of the work that a dataplane's counters show, µs. */
function costOf(dataplane: Dataplane, costs: CostModel): number {
  const { iterations, rxPackets, rxBytes, txPackets, txBytes, ...c } = dataplane.counters();
  const nanos =
    iterations * costs.poll +
    rxPackets * costs.packetIn +
    rxBytes * costs.byteIn +
    txPackets * costs.packetOut +
    txBytes * costs.byteOut +
    c.syscalls * costs.call +
    c.events * costs.event;
  return nanos / 1000;
}

/** An idle dataplane, and the runner that has it. */
function idleDataplane(costs: Partial<CostModel> = {}) {
  const runner = new SimulatedRunner({ costs: { ...FREE, ...costs } });
  const [core] = runner.add(smallDataplane(SERVER_IP, { announce: false }), {
    backend: () => ({ pump: () => 0, nextDeadline: () => Infinity }),
    app: () => ({ handle() {} }),
  });
  return { runner, core };
}

describe("work", () => {
  it("takes as long as the model says, item by item", () => {
    const costs = { packetIn: 1000, byteIn: 2, packetOut: 3000, byteOut: 4, call: 500, event: 700 };
    const { runner, server, echoed } = echoPair(costs, { server: { announce: false } });
    expect(runner.run({ until: echoed })).toBe(true);
    const [core] = runner.cores;
    expect(core.busyMicros).toBeCloseTo(costOf(server, { ...FREE, ...costs }), 6);
    expect(runner.now).toBeGreaterThanOrEqual(core.busyMicros);
  });

  it("takes an iteration's time even when it is next to nothing", () => {
    const { runner, echoed } = echoPair({ poll: 1000 });
    runner.run({ until: echoed });
    // A poll to receive and one to answer, for each of 20 messages.
    expect(runner.now).toBeGreaterThanOrEqual(40);
    expect(runner.now).toBeLessThan(80);
  });

  it("takes less on a faster core", () => {
    const times = [1, 2].map((speed) => {
      const { runner, echoed } = echoPair({ packetIn: 5000, packetOut: 5000 });
      runner.cores[0].speed = speed;
      runner.run({ until: echoed });
      return runner.now;
    });
    expect(times[1]).toBeCloseTo(times[0] / 2, 6);
  });

  it("is what the metrics of the core say it was busy with", () => {
    const { runner, server, echoed } = echoPair({ packetIn: 3000, poll: 500 });
    runner.run({ until: echoed });
    const { busyTime, idleTime } = new MetricsReader(server).read(0, runner.now);
    const { now, cores } = runner;
    expect(busyTime).toBeLessThanOrEqual(cores[0].busyMicros);
    expect(busyTime).toBeGreaterThan(cores[0].busyMicros - 10);
    expect(busyTime + idleTime).toBeCloseTo(now, -1);
    expect(server.counters().tcpRetransmits).toBe(0);
  });
});

describe("frames", () => {
  it("leave when the kernel has made them, and the application's part follows", () => {
    const slow = echoPair({ event: 50_000 });
    slow.runner.run({ until: slow.echoed });
    const quick = echoPair({});
    quick.runner.run({ until: quick.echoed });
    expect(quick.runner.now).toBe(0);
    // Each of 20 messages has two events at the server, `recv` and `sent`, of 50 µs each; knocking and
    // accepting adds two.
    expect(slow.runner.now).toBeGreaterThanOrEqual(39 * 50);
    expect(slow.runner.now).toBeLessThan(43 * 50);
  });

  it("cross a link in its time, whatever its sender is busy with", () => {
    const { runner, echoed } = echoPair({ event: 300_000 }, { link: { delay: 100 }, messages: 2 });
    runner.run({ until: echoed });
    // ARP and handshake, a round trip each, which the application has no part in; then two messages.
    expect(runner.now).toBeGreaterThanOrEqual(4 * 200 + 2 * 300);
    expect(runner.now).toBeLessThan(5 * 200 + 4 * 300);
  });
});

describe("an idle core", () => {
  it("sleeps until its deadline and passes no time by polling", () => {
    const { runner, core } = idleDataplane({ poll: 100, spin: 10, wake: 40 });
    runner.run({ forMicros: 1e6 });
    expect(runner.now).toBe(1e6);
    expect(core.asleep).toBe(true);
    expect(core.busyMicros).toBe(0);
    expect(core.thread?.core.kernel).toBeDefined();
  });

  it("is woken by a frame, at once while it spins and with delay when it sleeps", () => {
    const link = { delay: 1000 };
    const [spinning, sleeping] = [5000, 100].map((spin) => {
      const { runner, echoed } = echoPair({ spin, wake: 40 }, { link, messages: 10 });
      runner.run({ until: echoed });
      return { now: runner.now, wakeups: runner.cores[0].wakeups };
    });
    expect(spinning.wakeups).toBe(0);
    // ARP, the handshake and ten messages find it asleep.
    expect(sleeping.wakeups).toBeGreaterThanOrEqual(12);
    expect(sleeping.now - spinning.now).toBeGreaterThanOrEqual(11 * 40);
    expect(sleeping.now - spinning.now).toBeLessThan(20 * 40);
  });
});

describe("virtual time", () => {
  it("is the same in every run", () => {
    const outcome = (): unknown[] => {
      const link = { delay: 10, loss: 0.05, jitter: 5, seed: 3 };
      const { runner, server, client, messages } = echoPair({ packetIn: 700 }, { link });
      runner.run({ forMicros: 5e6 });
      return [runner.now, messages, server.counters(), client.counters()];
    };
    expect(outcome()).toEqual(outcome());
  });

  it("has actions done in their order, and periodic ones until they are stopped", () => {
    const { runner } = idleDataplane();
    const done: unknown[] = [];
    runner.at(30, () => done.push(["late", runner.now]));
    runner.at(10, () => done.push(["first", runner.now]));
    runner.at(10, () => done.push(["second", runner.now]));
    const stop = runner.every(20, () => {
      done.push(["periodic", runner.now]);
      if (runner.now >= 40) stop();
    });
    runner.run({ forMicros: 100 });
    expect(done).toEqual([
      ["first", 10],
      ["second", 10],
      ["periodic", 20],
      ["late", 30],
      ["periodic", 40],
    ]);
    expect(runner.now).toBe(100);
  });

  it("goes on for promises too", async () => {
    const { runner } = idleDataplane();
    const seen: number[] = [];
    const at = (micros: number): Promise<void> =>
      new Promise((resolve) => runner.at(micros, resolve));
    const story = (async () => {
      await at(10);
      seen.push(runner.now);
      await at(25);
      seen.push(runner.now);
    })();
    runner.every(5, () => {});
    expect(await runner.runAsync({ forMicros: 50 })).toBe(true);
    await story;
    expect(seen).toEqual([10, 25]);
  });

  it("ends a run that would go on for ever", () => {
    const { runner } = idleDataplane();
    runner.every(1, () => {});
    expect(() => runner.run({ maxSteps: 1000 })).toThrow(LivelockError);
  });
});
