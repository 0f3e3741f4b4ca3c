import { describe, expect, it } from "vitest";
import { LivelockError, StateError } from "../../host/dataplane/errors.ts";
import { InlineRunner, type InlineOptions } from "../../host/dataplane/inline.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { loadKernelSync, type KernelBuild } from "../../host/node/kernel.ts";
import type { App } from "../../host/libix/app.ts";
import type { LinkOptions, QueueBackend } from "../../host/nic/types.ts";
import type { DataplaneOptions } from "../../host/dataplane/options.ts";
import {
  CLIENT_IP,
  clientOptions,
  echoApp,
  SERVER_IP,
  SERVER_OPTIONS,
  smallDataplane,
} from "./support.ts";

interface EchoSetup {
  readonly runner?: InlineOptions;
  readonly link?: LinkOptions;
  readonly messages?: number;
  readonly build?: KernelBuild;
  readonly server?: Partial<DataplaneOptions>;
}

/** A server and a client on a cable. */
function echoPair(setup: EchoSetup = {}) {
  const kernel = loadKernelSync(setup.build);
  const server = smallDataplane(SERVER_IP, { kernel, ...setup.server });
  const client = smallDataplane(CLIENT_IP, { kernel });
  const [fromServer, fromClient] = connectPorts(server.port, client.port, setup.link);
  const runner = new InlineRunner(setup.runner);
  const messages: unknown[] = [];
  runner.add(server, { wire: fromServer, app: echoApp, options: SERVER_OPTIONS });
  runner.add(client, {
    wire: fromClient,
    app: echoApp,
    options: clientOptions(setup.messages ?? 20),
    onMessage: (message) => messages.push(message),
  });
  return { runner, server, client, messages };
}

/** All that can be seen of a run over a bad link. */
function outcome(seed: number): unknown[] {
  const link = { delay: 100, jitter: 50, loss: 0.1, duplicate: 0.05, seed };
  const { runner, server, client, messages } = echoPair({ link, messages: 50 });
  runner.run();
  return [runner.now, messages, server.counters(), client.counters()];
}

/** An application that does nothing and counts how often it was asked to. */
function countingApp() {
  let handled = 0;
  return {
    app: (): App => ({ handle: () => void handled++ }),
    get handled() {
      return handled;
    },
  };
}

/** A NIC with nothing attached that reports one deadline, for ever. */
function deadlineBackend(deadline: number): QueueBackend {
  return { pump: () => 0, nextDeadline: () => deadline };
}

describe.each<KernelBuild>(["debug", "release"])("an echo in virtual time, %s kernel", (build) => {
  it("runs until nothing is left to do, and leaves nothing behind", () => {
    const { runner, server, client, messages } = echoPair({ build });
    expect(runner.run()).toBe(true);
    expect(messages).toEqual([{ echoed: 20 }, { dead: 0 }]);
    server.assertNoLeaks();
    client.assertNoLeaks();
    expect(client.counters().tcpConnects).toBe(1);
    expect(server.counters().tcpAccepts).toBe(1);
    expect(client.counters().tcpRetransmits).toBe(0);
  });

  it("deals connections to the cores of a server by RSS", () => {
    const { runner, server, messages } = echoPair({
      build,
      server: { cores: 3, queuesPerCore: 2 },
    });
    expect(runner.run({ until: () => messages.length === 2 })).toBe(true);
    const accepts = server.cores.map(({ id }) => server.counters(id).tcpAccepts);
    expect(accepts.toSorted()).toEqual([0, 0, 1]);
  });
});

describe("virtual time", () => {
  it("stands still while frames cross a perfect wire", () => {
    const { runner, messages } = echoPair({ messages: 100 });
    runner.run({ until: () => messages.length > 0 });
    expect(runner.now).toBe(0);
  });

  it("passes by the delay of the link", () => {
    const { runner, messages } = echoPair({ messages: 10, link: { delay: 500 } });
    expect(runner.run({ until: () => messages.length > 0 })).toBe(true);
    // ARP, the handshake and ten messages are a round trip each, 1000 µs.
    expect(runner.now).toBeGreaterThanOrEqual(11_000);
    expect(runner.now).toBeLessThan(14_000);
  });

  it("is the same in every run", () => {
    expect(outcome(7)).toEqual(outcome(7));
    expect(outcome(7)).not.toEqual(outcome(8));
  });

  it("begins where it is told to and passes when asked for although nothing happens", () => {
    const runner = new InlineRunner({ startAt: 1000 });
    const idle = countingApp();
    runner.add(smallDataplane(SERVER_IP, { announce: false }), {
      backend: () => deadlineBackend(Infinity),
      app: idle.app,
    });
    expect(runner.run({ forMicros: 250 })).toBe(true);
    expect(runner.now).toBe(1250);
    expect(runner.run({ until: () => false, forMicros: 50 })).toBe(false);
    expect(runner.now).toBe(1300);
    expect(idle.handled).toBe(0);
  });

  it("is not held up by a deadline that has come and changes nothing", () => {
    const runner = new InlineRunner({ startAt: 1000 });
    runner.add(smallDataplane(SERVER_IP), {
      backend: () => deadlineBackend(900),
      app: countingApp().app,
    });
    runner.run({ forMicros: 20 });
    expect(runner.now).toBe(1020);
  });

  it("ends a run that would go on for ever", () => {
    const runner = new InlineRunner();
    const busy: QueueBackend = { pump: () => 1, nextDeadline: () => Infinity };
    runner.add(smallDataplane(SERVER_IP), { backend: () => busy, app: countingApp().app });
    expect(() => runner.run({ maxSteps: 1000 })).toThrow(LivelockError);
  });

  it("cannot be started to run by itself", () => {
    expect(() => new InlineRunner().start()).toThrow(StateError);
  });
});

describe("real time", () => {
  it("runs until a condition holds", () => {
    const { runner, messages } = echoPair({ runner: { clock: "real" }, messages: 100 });
    expect(runner.run({ until: () => messages.length > 0, forMicros: 10e6 })).toBe(true);
    expect(messages).toEqual([{ echoed: 100 }]);
  });

  it("runs for a time", () => {
    const { runner } = echoPair({ runner: { clock: "real" } });
    const begin = runner.now;
    runner.run({ forMicros: 3000 });
    expect(runner.now - begin).toBeGreaterThanOrEqual(3000);
  });

  it("refuses a run without an end", () => {
    expect(() => new InlineRunner({ clock: "real" }).run()).toThrow(TypeError);
  });

  it("shares the thread with its event loop when started", async () => {
    const { runner, messages } = echoPair({ runner: { clock: "real" }, messages: 200 });
    const done = runner.start();
    expect(() => runner.start()).toThrow(StateError);
    await expect.poll(() => messages.length, { timeout: 10_000 }).toBe(2);
    await runner.stop();
    await done;
    // Once stopped, it can be started again.
    const again = runner.start();
    await runner.stop();
    await again;
  });

  it("hands on what an application throws", async () => {
    const runner = new InlineRunner({ clock: "real" });
    runner.add(smallDataplane(SERVER_IP), {
      backend: () => deadlineBackend(Infinity),
      app: echoApp,
      options: { role: "faulty" },
    });
    await expect(runner.start()).rejects.toThrow("application made a mistake");
  });
});

describe("adding a dataplane", () => {
  it("demands to know where its frames go", () => {
    const runner = new InlineRunner();
    expect(() => runner.add(smallDataplane(SERVER_IP), { app: countingApp().app })).toThrow(
      /"wire" and "backend"/,
    );
  });

  it("does so once", () => {
    const dataplane = smallDataplane(SERVER_IP);
    const how = { backend: () => deadlineBackend(Infinity), app: countingApp().app };
    new InlineRunner().add(dataplane, how);
    expect(() => new InlineRunner().add(dataplane, how)).toThrow(StateError);
  });

  it("may be tried again after an application that is none", () => {
    const dataplane = smallDataplane(SERVER_IP);
    const runner = new InlineRunner();
    const backend = () => deadlineBackend(Infinity);
    const wrong = { backend, app: "app" as unknown as () => App };
    expect(() => runner.add(dataplane, wrong)).toThrow(/"app" must be a function/);
    expect(runner.add(dataplane, { backend, app: countingApp().app })).toHaveLength(1);
  });

  it("closes the backends in the end", () => {
    const runner = new InlineRunner();
    let closed = 0;
    const backend = { ...deadlineBackend(Infinity), close: () => void closed++ };
    runner.add(smallDataplane(SERVER_IP, { queuesPerCore: 2, frames: 1024 }), {
      backend: () => backend,
      app: countingApp().app,
    });
    runner.close();
    expect(closed).toBe(2);
  });
});
