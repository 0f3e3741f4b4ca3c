/** Servers. After node's test-net-server-*, test-net-listen-*. */
import { describe, expect, test } from "vitest";
import { connect, createServer } from "../../host/node/net/index.ts";
import type { Server } from "../../host/node/net/index.ts";
import { aHost, closed, journal, listening, once, pair } from "./support.ts";

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("listen", () => {
  const forms: [string, unknown[]][] = [
    ["nothing", []],
    ["undefined", [undefined]],
    ["null", [null]],
    ["a number", [0]],
    ["a text", ["0"]],
    ["port and host", [0, "localhost"]],
    ["port and backlog", [0, 5]],
    ["port, host and backlog", [0, "127.0.0.1", 5]],
    ["{ port }", [{ port: 0 }]],
    ["{ port: undefined }", [{ port: undefined }]],
    ["{ port: null }", [{ port: null }]],
    ["{ port, host, backlog, exclusive }", [{ port: 0, host: "::", backlog: 4, exclusive: true }]],
  ];

  test.each(forms)("takes %s", async (_, args) => {
    const server = createServer({ via: aHost() });
    const called = new Promise<void>((resolve) => {
      (server.listen as (...args: unknown[]) => Server)(...args, resolve);
    });
    await called;
    expect(server.address()!.port).toBeGreaterThan(0);
  });

  test.each([{}, { path: "/x" }, { fd: 3 }, { port: true }, false, true, "name"])(
    "refuses %j: ERR_INVALID_ARG_VALUE",
    (value) => {
      const server = createServer({ via: aHost() });
      expect(() => server.listen(value as number)).toThrow(
        expect.objectContaining({ code: "ERR_INVALID_ARG_VALUE" }),
      );
    },
  );

  test.each([-1, 65536, 1.5, NaN, "-1"])("refuses port %s: ERR_SOCKET_BAD_PORT", (port) => {
    const server = createServer({ via: aHost() });
    expect(() => server.listen({ port })).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_BAD_PORT", name: "RangeError" }),
    );
  });

  test("gives a port of its own to each that asks for 0", async () => {
    const via = aHost();
    const ports = await Promise.all([listening(via), listening(via), listening(via)]);
    expect(new Set(ports.map(({ port }) => port)).size).toBe(3);
  });

  test("has no address before and after", async () => {
    const server = createServer({ via: aHost() });
    expect(server.address()).toBeNull();
    server.listen(0);
    await once(server, "listening");
    server.close();
    expect(server.address()).toBeNull();
  });

  test("may come right after close", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    server.close();
    server.listen(port);
    await once(server, "listening");
    expect(server.listening).toBe(true);
  });

  test("that is closed at once emits close alone", async () => {
    const server = createServer({ via: aHost() });
    const events = journal(server, "listening", "close");
    server.listen(0);
    server.close();
    await once(server, "close");
    await wait(5);
    expect(events).toEqual(["close"]);
  });

  test("goes on with another port after EADDRINUSE", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const server = createServer({ via }).listen(port);
    server.once("error", () => server.listen(0));
    await expect.poll(() => server.listening).toBe(true);
  });
});

describe("a server", () => {
  test("says what its options were", () => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    expect([server.allowHalfOpen, server.pauseOnConnect, server.noDelay]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test.each([5, "x", true])("refuses options %j", (options) => {
    expect(() => createServer(options as unknown as object)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test("is the server of its sockets", async () => {
    const { server, there } = await pair(aHost());
    expect(there.server).toBe(server);
  });

  test("gives its highWaterMark to its sockets", async () => {
    const { there } = await pair(aHost(), { highWaterMark: 4321 });
    expect([there.readableHighWaterMark, there.writableHighWaterMark]).toEqual([4321, 4321]);
  });

  test("destroys the socket of a listener that rejects", async () => {
    const via = aHost();
    const failure = new Error("rejected");
    let told: unknown;
    const { port } = await listening(via, async (socket) => {
      socket.on("error", (error) => (told = error));
      throw failure;
    });
    const socket = connect({ port, via }).resume();
    await closed(socket);
    expect(told).toBe(failure);
  });

  test("accepts nobody after close, and keeps whom it has", async () => {
    const via = aHost();
    const { server, here, there } = await pair(via);
    const { port } = server.address()!;
    server.close();
    const refused = once(connect({ port, via }), "error");
    expect((await refused)[0]).toMatchObject({ code: "ECONNREFUSED" });
    const data = once(there, "data");
    here.write("still");
    expect(String((await data)[0])).toBe("still");
  });

  test("emits close once, and late", async () => {
    const { server, here, there } = await pair(aHost());
    const events = journal(server, "close");
    there.resume();
    server.close();
    await wait(10);
    expect(events).toEqual([]);
    here.destroy();
    await once(server, "close");
    await wait(5);
    expect(events).toEqual(["close"]);
  });

  test("frees a place of maxConnections when a connection ends", async () => {
    const via = aHost();
    const { server, port } = await listening(via, (socket) => socket.resume());
    const count = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_, number) => resolve(number)));
    server.maxConnections = 1;
    const first = connect({ port, via });
    await once(first, "connect");
    const gone = closed(first);
    first.end();
    first.resume();
    await gone;
    await expect.poll(count).toBe(0);
    const accepted = once(server, "connection");
    connect({ port, via }).on("error", () => {});
    await accepted;
  });
});
