/** What other stacks in JavaScript fall into: bytes lost, connects that hang, waits of 100 ms, memory that grows. */
import { randomBytes } from "node:crypto";
import * as v8 from "node:v8";
import { describe, expect, test } from "vitest";
import { connect, createNetwork, createServer, Socket } from "../../host/node/net/index.ts";
import type { Network } from "../../host/node/net/index.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import { aHost, all, closed, connected, listening, neighbourOf, once, pair } from "./support.ts";

/** Steps a network whose time stands still until a promise is settled; throws when it never is. */
async function pumped<T>(network: Network, promise: Promise<T>): Promise<T> {
  let settled = false;
  const over = promise.finally(() => (settled = true));
  over.catch(() => {});
  for (let steps = 0; !settled; steps++) {
    if (steps > 100_000) throw new Error("nothing comes of it without waiting");
    network.runner.step();
    await new Promise(setImmediate);
  }
  return over;
}

describe("frames out of order", () => {
  test.each([1, 2, 3, 4, 5])("cost no byte and change none, seed %i", async (seed) => {
    const via = aHost({ link: { reorder: 0.2, reorderDelay: 300, seed } });
    const other = neighbourOf(via, "other");
    const sent = randomBytes(400_000);
    let received!: Promise<Buffer>;
    const { port } = await listening(other, (socket) => (received = all(socket)));
    const socket = await connected({ port, host: "other", via });
    socket.end(sent);
    socket.resume();
    await once(socket, "close");
    expect((await received).equals(sent)).toBe(true);
    expect(other.dataplane.counters().tcpOutOfOrder).toBeGreaterThan(0);
  });
});

describe("a connect that is refused", () => {
  test("rejects, every time", async () => {
    const via = aHost();
    for (let i = 0; i < 50; i++) {
      await expect(connected({ port: 9, via })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
    expect(via.dataplane.gauges().connections).toBe(0);
  });

  test("on another host rejects as well", async () => {
    const via = aHost();
    neighbourOf(via, "other");
    const dial = connected({ port: 9, host: "other", via });
    await expect(dial).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("a listener", () => {
  test("closes, and its port is free again, a thousand times", async () => {
    const via = aHost();
    for (let i = 0; i < 1000; i++) {
      const server = createServer({ via }).listen(80);
      await once(server, "listening");
      server.close();
      await once(server, "close");
    }
    await expect(connected({ port: 80, via })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("early data", () => {
  test("that comes before the server has looked arrives, of a hundred connections", async () => {
    const via = aHost();
    const texts: Promise<Buffer>[] = [];
    const { port } = await listening(via, (socket) => {
      setTimeout(() => texts.push(all(socket)), 5);
    });
    const sockets = Array.from({ length: 100 }, (_, index) => {
      const socket = connect({ port, via }).resume();
      socket.end(`${index}`);
      return closed(socket);
    });
    await Promise.all(sockets);
    const seen = (await Promise.all(texts)).map(Number).toSorted((a, b) => a - b);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });
});

describe("waiting", () => {
  /** A network whose time stands still, an echo server there, and a client. */
  async function still(): Promise<{ network: Network; socket: Socket }> {
    const network = createNetwork({ clock: "virtual" });
    const via = network.addHost("here");
    const there = network.addHost("there");
    const server = createServer({ via: there }, (socket) => socket.pipe(socket)).listen(80);
    await pumped(network, once(server, "listening"));
    return { network, socket: connect({ port: 80, host: "there", via }) };
  }

  test("is no part of connecting, and of 200 questions and answers: no time passes", async () => {
    const { network, socket } = await still();
    const { now } = network.runner;
    await pumped(network, once(socket, "connect"));
    for (let i = 0; i < 200; i++) {
      const answer = once(socket, "data");
      socket.write("question");
      expect(String((await pumped(network, answer))[0])).toBe("question");
    }
    expect(network.runner.now).toBe(now);
  });

  test("is no part of many small writes, or of the last part of a large one", async () => {
    const { network, socket } = await still();
    const { now } = network.runner;
    await pumped(network, once(socket, "connect"));
    const text = all(socket);
    for (let i = 0; i < 100; i++) {
      socket.write("small");
      network.runner.step();
    }
    socket.end(Buffer.alloc(700_001));
    expect((await pumped(network, text)).length).toBe(700_501);
    expect(network.runner.now).toBe(now);
  });
});

describe("memory", () => {
  const live = (of: typeof Socket | typeof IxevContext): number =>
    v8.queryObjects(of, { format: "count" }) as unknown as number;

  test("does not grow over 1000 connections: no socket, context, frame or record is left", async () => {
    const via = aHost();
    const { server, port } = await listening(via, (socket) => void socket.pipe(socket));
    const held = await connected({ port, via });
    const before = [live(Socket), live(IxevContext)];
    expect(Math.min(...before)).toBeGreaterThan(0);
    for (let i = 0; i < 20; i++) {
      const batch = Array.from({ length: 50 }, async () => {
        const socket = connect({ port, via });
        socket.end("x");
        await all(socket);
      });
      await Promise.all(batch);
    }
    const none = { buffers: 0, neighbourPending: 0 };
    await expect.poll(() => via.dataplane.gauges()).toMatchObject(none);
    const { connections, timeWait } = via.dataplane.gauges();
    expect(connections - timeWait).toBeLessThanOrEqual(2);
    // Both ends of the one that is held.
    await expect.poll(() => via.ixev.connections).toBe(2);
    await expect.poll(() => live(Socket) - before[0]).toBeLessThan(5);
    await expect.poll(() => live(IxevContext) - before[1]).toBeLessThan(5);
    held.destroy();
    server.close();
  });

  test("does not grow over refused and reset connections", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => {
      socket.on("error", () => {});
      socket.resetAndDestroy();
    });
    for (let i = 0; i < 300; i++) {
      const socket = connect({ port: i % 2 ? port : 9, via });
      socket.on("error", () => {});
      socket.resume();
      await closed(socket);
    }
    await expect.poll(() => via.dataplane.gauges()).toMatchObject({ buffers: 0, connections: 0 });
    expect(via.ixev.connections).toBe(0);
  });

  test("of a connection whose reader sleeps is bounded", async () => {
    const via = aHost();
    const { here, there } = await pair(via);
    there.pause();
    here.on("error", () => {});
    for (let i = 0; i < 100; i++) here.write(Buffer.alloc(1 << 20));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const { unsent, unacknowledged } = here.tcpInfo()!;
    expect(unsent + unacknowledged).toBeLessThan(4 << 20);
    here.destroy();
  });
});
