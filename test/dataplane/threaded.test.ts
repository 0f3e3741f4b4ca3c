import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { CoreError, StateError } from "../../host/dataplane/errors.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import {
  startThreaded,
  type Threaded,
  type ThreadedDataplane,
  type ThreadedOptions,
} from "../../host/node/threaded.ts";
import {
  CLIENT_IP,
  clientOptions,
  ECHO_MODULE,
  SERVER_IP,
  SERVER_OPTIONS,
  smallDataplane,
} from "./support.ts";

/** A server and a client on a cable, ready to start; `messages` collects what both post. */
function echoPair(messages: number, cores = 1) {
  const server = smallDataplane(SERVER_IP, { cores });
  const client = smallDataplane(CLIENT_IP);
  const [fromServer, fromClient] = connectPorts(server.port, client.port);
  const posted: unknown[] = [];
  const onMessage = (message: unknown) => posted.push(message);
  const dataplanes: ThreadedDataplane[] = [
    {
      dataplane: server,
      wire: fromServer,
      app: { module: ECHO_MODULE, options: SERVER_OPTIONS },
      onMessage,
    },
    {
      dataplane: client,
      wire: fromClient,
      app: { module: ECHO_MODULE, options: clientOptions(messages) },
      onMessage,
    },
  ];
  return { server, client, dataplanes, posted };
}

/** One dataplane whose frames come back to itself; `options` goes to the fixture application. */
function alone(options: object): { dataplanes: ThreadedDataplane[]; iterations: () => number } {
  const dataplane = smallDataplane(SERVER_IP, { announce: false });
  const [wire] = connectPorts(dataplane.port, dataplane.port);
  return {
    dataplanes: [{ dataplane, wire, app: { module: ECHO_MODULE, options } }],
    iterations: () => dataplane.counters().iterations,
  };
}

/** Waits for a condition while the dataplanes run; fails at once when one of them dies. */
async function eventually(threaded: Threaded, condition: () => boolean): Promise<void> {
  let died = false;
  const done = threaded.done.finally(() => (died = true));
  const holds = (async () => {
    while (!condition() && !died) await sleep(2);
  })();
  await Promise.race([holds, done]);
}

const has = (posted: unknown[], message: object) => () =>
  posted.some((item) => isDeepStrictEqual(item, message));

describe("dataplanes on worker threads", () => {
  it.each<ThreadedOptions>([
    { idle: "park", spinIterations: 1 },
    { idle: "park" },
    { idle: "spin" },
  ])("echo across two cores with %o", async (options) => {
    const { dataplanes, server, client, posted } = echoPair(500);
    const threaded = await startThreaded(dataplanes, options);
    await eventually(threaded, has(posted, { echoed: 500 }));
    await eventually(threaded, has(posted, { dead: 0 }));
    await threaded.stop();
    await threaded.done;
    expect(client.counters().tcpConnects).toBe(1);
    expect(server.counters().tcpAccepts).toBe(1);
    expect(posted).toContain("listening");
  });

  it("run every core of a server", async () => {
    const { dataplanes, server, posted } = echoPair(10, 2);
    const threaded = await startThreaded(dataplanes);
    await eventually(threaded, has(posted, { echoed: 10 }));
    await threaded.stop();
    expect(posted.filter((message) => message === "listening")).toHaveLength(2);
    for (const { id } of server.cores) expect(server.counters(id).iterations).toBeGreaterThan(0);
  });

  it("stop at once when they have nothing to do, and twice", async () => {
    const { dataplanes } = alone({ role: "idle" });
    const threaded = await startThreaded(dataplanes, { idle: "park", spinIterations: 1 });
    await Promise.all([threaded.stop(), threaded.stop()]);
    await threaded.stop();
    await threaded.done;
  });

  it("keep still while they are parked", async () => {
    const { dataplanes, iterations } = alone({ role: "idle" });
    const threaded = await startThreaded(dataplanes, { idle: "park", spinIterations: 10 });
    // Before its first iterations it may be waiting for a processor.
    await expect.poll(iterations).toBeGreaterThanOrEqual(10);
    let before = -1;
    // Parked is what does not iterate between two looks.
    await expect
      .poll(
        async () => {
          before = iterations();
          await sleep(50);
          return iterations() - before;
        },
        { timeout: 20_000 },
      )
      .toBe(0);
    await threaded.stop();
    await threaded.done;
  });

  it("go on iterating when they spin", async () => {
    const { dataplanes, iterations } = alone({ role: "idle" });
    const threaded = await startThreaded(dataplanes, { idle: "spin" });
    await eventually(threaded, () => iterations() > 10_000);
    await threaded.stop();
    await threaded.done;
  });
});

describe("what goes wrong on a worker thread", () => {
  it.each([
    ["import", "file:///nowhere/app.js", { role: "idle" }],
    ["no factory", new URL("./fixtures/no-app.js", import.meta.url), { role: "idle" }],
    ["factory", ECHO_MODULE, { role: "idle", at: "factory" }],
    ["start", ECHO_MODULE, { role: "faulty", at: "start" }],
  ])("before all are ready fails the start: %s", async (_, module, options) => {
    const { dataplanes } = echoPair(1);
    const broken = { ...dataplanes[0], app: { module, options } };
    await expect(startThreaded([broken, dataplanes[1]])).rejects.toThrow(CoreError);
  });

  it("rejects `done`, names the core, keeps the cause and stops the others", async () => {
    const { dataplanes, client } = echoPair(1);
    const broken = { ...dataplanes[0], app: { module: ECHO_MODULE, options: { role: "faulty" } } };
    const threaded = await startThreaded([broken, dataplanes[1]]);
    const error = await threaded.done.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CoreError);
    expect(error).toMatchObject({ dataplane: SERVER_IP, core: 0, code: "ERR_IXWASM_CORE" });
    expect(error).toHaveProperty("cause.message", "application made a mistake");
    const before = client.counters().iterations;
    await sleep(20);
    expect(client.counters().iterations).toBe(before);
    await threaded.stop();
  });

  it("is ended with its worker when it does not notice that it should stop", async () => {
    const { dataplanes } = alone({ role: "stuck" });
    const posted: unknown[] = [];
    const item = { ...dataplanes[0], onMessage: (message: unknown) => posted.push(message) };
    const threaded = await startThreaded([item], { stopTimeout: 100 });
    await eventually(threaded, () => posted.includes("stuck"));
    await Promise.all([expect(threaded.done).rejects.toThrow(CoreError), threaded.stop()]);
  });
});

describe("options of startThreaded", () => {
  it.each([
    [{ idle: "doze" }, RangeError, /"idle" must be "park" or "spin"/],
    [{ spinIterations: 0 }, RangeError, /"spinIterations" must be an integer from 1 to/],
    [{ stopTimeout: "soon" }, TypeError, /"stopTimeout" must be an integer/],
    [{ spin: true }, TypeError, /"spin" is unknown/],
  ])("%o is refused", async (options, type, message) => {
    const { dataplanes } = alone({ role: "idle" });
    const started = startThreaded(dataplanes, options as ThreadedOptions);
    await expect(started).rejects.toThrow(type);
    await expect(started).rejects.toThrow(message);
  });

  it("include a wire for each queue", async () => {
    const { dataplanes } = alone({ role: "idle" });
    const item = { ...dataplanes[0], wire: [] };
    await expect(startThreaded([item])).rejects.toThrow(/each of 10.0.0.1's 1 queues, got 0/);
    await expect(startThreaded([])).rejects.toThrow(StateError);
  });
});
