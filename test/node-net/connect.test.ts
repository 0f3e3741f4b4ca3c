/** Connecting: arguments, events, properties, refusals. After node's test-net-connect-*, test-net-socket-*. */
import { describe, expect, test } from "vitest";
import { connect, createServer, isIP, Server, Socket } from "../../host/node/net/index.ts";
import {
  aHost,
  all,
  closed,
  connected,
  journal,
  listening,
  neighbourOf,
  once,
  pair,
} from "./support.ts";

describe("connect", () => {
  test("emits lookup, connectionAttempt, connect and ready, in this order", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via });
    const events = journal(socket, "lookup", "connectionAttempt", "connect", "ready");
    await once(socket, "ready");
    expect(events).toEqual(["lookup", "lookup", "connectionAttempt", "connect", "ready"]);
  });

  test("calls its listener once connected", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = await new Promise<Socket>((resolve) => {
      const made: Socket = connect({ port, via }, () => resolve(made));
    });
    expect(socket.readyState).toBe("open");
  });

  test("takes a port as text", async () => {
    const via = aHost();
    const { port } = await listening(via);
    await connected({ port: String(port), via });
  });

  test.each([-1, 65536, 1.5, "abc", "", null, true, {}])("refuses port %j", (port) => {
    const via = aHost();
    expect(() => connect({ port: port as number, via })).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_BAD_PORT", name: "RangeError" }),
    );
  });

  test("demands a port", () => {
    expect(() => connect({} as { port: number })).toThrow(
      expect.objectContaining({ code: "ERR_MISSING_ARGS" }),
    );
  });

  test("knows which side it is", async () => {
    const via = aHost();
    const { here, there } = await pair(via);
    expect(here.remoteAddress).toBe("127.0.0.1");
    expect(here.remoteFamily).toBe("IPv4");
    expect(here.localAddress).toBe("127.0.0.1");
    expect(here.remotePort).toBe(there.localPort);
    expect(there.remotePort).toBe(here.localPort);
    expect(here.address()).toEqual({
      address: "127.0.0.1",
      port: here.localPort,
      family: "IPv4",
    });
  });

  test("comes from the local port that was asked for", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = await connected({ port, via, localPort: 12345 });
    expect(socket.localPort).toBe(12345);
  });

  test("says how far it is", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = new Socket({ via });
    expect([socket.pending, socket.connecting, socket.readyState]).toEqual([true, false, "open"]);
    socket.connect({ port });
    expect([socket.pending, socket.connecting, socket.readyState]).toEqual([true, true, "opening"]);
    expect(socket.remoteAddress).toBeUndefined();
    await once(socket, "connect");
    expect([socket.pending, socket.connecting, socket.readyState]).toEqual([false, false, "open"]);
    socket.destroy();
    expect(socket.readyState).toBe("closed");
    expect(socket.address()).toEqual({});
  });

  test("finds hosts by name, whatever the case", async () => {
    const via = aHost();
    const server = neighbourOf(via, "db.example");
    const { port } = await listening(server);
    const socket = await connected({ port, host: "DB.example.", via });
    expect(socket.remoteAddress).toBe(server.address);
  });

  test.each([
    ["localhost", "127.0.0.1"],
    ["127.0.0.1", "127.0.0.1"],
    ["127.9.9.9", "127.9.9.9"],
    ["0.0.0.0", "127.0.0.1"],
    ["app.localhost", "127.0.0.1"],
    ["::1", "::1"],
    ["::", "::1"],
  ])("takes %s for itself", async (host, shown) => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = await connected({ port, host, via });
    expect(socket.remoteAddress).toBe(shown);
  });

  test("asks a lookup function", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const { port } = await listening(other);
    const asked: string[] = [];
    const socket = await connected({
      port,
      host: "some.name",
      via,
      lookup: (name, _options, callback) => {
        asked.push(name);
        callback(null, other.address, 4);
      },
    });
    expect(asked).toEqual(["some.name"]);
    expect(socket.remoteAddress).toBe(other.address);
  });
});

describe("a connect that fails", () => {
  test("where nobody listens: ECONNREFUSED", async () => {
    const via = aHost();
    const socket = connect({ port: 9, host: "127.0.0.1", via });
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({
      code: "ECONNREFUSED",
      errno: -111,
      syscall: "connect",
      address: "127.0.0.1",
      port: 9,
      message: `connect ECONNREFUSED 127.0.0.1:9`,
    });
  });

  test("emits close after error, and says that there was one", async () => {
    const via = aHost();
    const socket = connect({ port: 9, via });
    const events = journal(socket, "connect", "error", "close");
    expect(await closed(socket)).toBe(true);
    expect(events).toEqual(["error", "close"]);
    expect(socket.destroyed).toBe(true);
  });

  test("to a name that nobody has: ENOTFOUND", async () => {
    const via = aHost();
    const socket = connect({ port: 9, host: "no.such.host", via });
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({
      code: "ENOTFOUND",
      syscall: "getaddrinfo",
      hostname: "no.such.host",
    });
  });

  test("to an address that nobody has: EHOSTUNREACH", { timeout: 10_000 }, async () => {
    const via = aHost();
    const socket = connect({ port: 9, host: "10.0.9.9", via });
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({ code: "EHOSTUNREACH", syscall: "connect", address: "10.0.9.9" });
  });

  test("can be given up before it is decided", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    const socket = connect({ port, via });
    const events = journal(socket, "connect", "error");
    socket.destroy();
    await once(socket, "close");
    expect(events).toEqual([]);
    server.close();
    await once(server, "close");
  });

  test("is given up by an AbortSignal", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const controller = new AbortController();
    const socket = connect({ port, via, signal: controller.signal });
    controller.abort();
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({ name: "AbortError", code: "ABORT_ERR" });
  });
});

describe("listen", () => {
  test("on any port says which", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    expect(port).toBeGreaterThan(1023);
    expect(server.address()).toEqual({ address: "::", port, family: "IPv6" });
    expect(server.listening).toBe(true);
  });

  test("twice on a port: EADDRINUSE", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const second = createServer({ via }).listen(port);
    const [error] = (await once(second, "error")) as [Error];
    expect(error).toMatchObject({
      code: "EADDRINUSE",
      syscall: "listen",
      address: "::",
      port,
    });
    expect(second.listening).toBe(false);
  });

  test("twice with one server throws", async () => {
    const via = aHost();
    const { server } = await listening(via);
    expect(() => server.listen(0)).toThrow(
      expect.objectContaining({ code: "ERR_SERVER_ALREADY_LISTEN" }),
    );
  });

  test("on an address that is another's: EADDRNOTAVAIL", async () => {
    const via = aHost();
    const server = createServer({ via }).listen({ port: 80, host: "10.0.7.7" });
    const [error] = (await once(server, "error")) as [Error];
    expect(error).toMatchObject({ code: "EADDRNOTAVAIL", syscall: "listen" });
  });

  test("again after close", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    server.close();
    await once(server, "close");
    server.listen(port);
    await once(server, "listening");
    await connected({ port, via });
  });

  test("is refused once the server is closed", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    server.close();
    const [error] = (await once(connect({ port, via }), "error")) as [Error];
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("a server is one", () => {
    expect(createServer()).toBeInstanceOf(Server);
    expect(isIP("10.0.0.1")).toBe(4);
  });
});

describe("a server", () => {
  test("closes when its last connection has ended", async () => {
    const via = aHost();
    const { server, there, here } = await pair(via);
    const events: string[] = [];
    server.close(() => events.push("closed"));
    here.on("close", () => events.push("client"));
    there.resume();
    here.resume();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(events).toEqual([]);
    here.end();
    await once(server, "close");
    expect(events).toContain("closed");
  });

  test("tells the callback of close that it was not running", async () => {
    const error = await new Promise((resolve) => createServer().close(resolve));
    expect(error).toMatchObject({ code: "ERR_SERVER_NOT_RUNNING" });
  });

  test("counts its connections", async () => {
    const via = aHost();
    const { server, here } = await pair(via);
    const count = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_, number) => resolve(number)));
    expect(await count()).toBe(1);
    here.destroy();
    await expect.poll(count).toBe(0);
  });

  test("drops what exceeds maxConnections", async () => {
    const via = aHost();
    const { server, port } = await listening(via);
    server.maxConnections = 1;
    await connected({ port, via });
    const dropped = once(server, "drop");
    const second = connect({ port, via });
    second.on("error", () => {});
    const end = closed(second);
    const [data] = (await dropped) as [{ localPort: number; remoteAddress: string }];
    expect(data).toMatchObject({ localPort: port, remoteAddress: "::ffff:127.0.0.1" });
    await end;
  });

  test("hands over paused sockets when asked to", async () => {
    const via = aHost();
    const { here, there } = await pair(via, { pauseOnConnect: true });
    expect(there.isPaused()).toBe(true);
    here.end("hello");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(there.bytesRead).toBe(0);
    const text = all(there);
    there.resume();
    expect((await text).toString()).toBe("hello");
  });

  test("gets what was sent before it looked", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => {
      setTimeout(() => socket.on("data", (data) => socket.end(data)), 20);
    });
    const socket = connect({ port, via });
    socket.write("early");
    expect((await all(socket)).toString()).toBe("early");
  });

  test("is disposed of by await using", async () => {
    const via = aHost();
    const { server } = await listening(via);
    await server[Symbol.asyncDispose]();
    expect(server.listening).toBe(false);
  });
});
