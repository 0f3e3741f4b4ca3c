/** Making, binding and closing sockets. After node's test-dgram-bind*, -close*, -address, -abort-*, -ref. */
import { describe, expect, test } from "vitest";
import { createSocket, Socket } from "../../host/node/dgram/index.ts";
import { aHost, bound, neighbourOf, once, settle, unbound } from "./support.ts";

describe("createSocket", () => {
  test.each(["udp4", "udp6"] as const)("makes a socket of type %s", (type) => {
    expect(createSocket(type)).toBeInstanceOf(Socket);
    expect(createSocket({ type }).type).toBe(type);
  });

  test.each([undefined, null, "", "tcp", "udp", {}, 4])("refuses %j as a type", (type) => {
    expect(() => createSocket(type as "udp4")).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_BAD_TYPE", name: "TypeError" }),
    );
  });

  test("takes a listener for messages", () => {
    const listener = (): void => {};
    expect(createSocket("udp4", listener).listeners("message")).toEqual([listener]);
  });

  test("refuses a lookup that is no function", () => {
    expect(() => createSocket({ type: "udp4", lookup: 1 as never })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test("refuses a signal that is none", () => {
    expect(() => createSocket({ type: "udp4", signal: {} as AbortSignal })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });
});

describe("bind", () => {
  test("chooses a port, and calls back once listening", async () => {
    const socket = unbound(aHost());
    await new Promise<void>((resolve) => socket.bind(resolve));
    expect(socket.address()).toEqual({
      address: "0.0.0.0",
      family: "IPv4",
      port: expect.any(Number),
    });
    expect(socket.address().port).toBeGreaterThan(0);
  });

  test("takes the port that was asked for, as options too", async () => {
    const via = aHost();
    expect((await bound(via, 5353)).address().port).toBe(5353);
    const socket = unbound(via).bind({ port: 5354, address: "localhost" });
    await once(socket, "listening");
    expect(socket.address()).toMatchObject({ address: via.address, port: 5354 });
  });

  test("shows the IPv6 side of a udp6 socket", async () => {
    const socket = await bound(aHost(), 0, { type: "udp6" });
    expect(socket.address()).toMatchObject({ address: "::", family: "IPv6" });
  });

  test("fails on a port in use", async () => {
    const via = aHost();
    await bound(via, 1000);
    const called: string[] = [];
    const second = unbound(via).bind(1000, () => called.push("listening"));
    const [error] = await once(second, "error").catch((thrown) => [thrown]);
    expect(error).toMatchObject({
      code: "EADDRINUSE",
      syscall: "bind",
      address: "0.0.0.0",
      port: 1000,
    });
    await settle();
    expect(called).toEqual([]);
  });

  test("may be tried again after it failed", async () => {
    const via = aHost();
    await bound(via, 1000);
    const second = unbound(via).bind(1000);
    await new Promise((resolve) => second.once("error", resolve));
    second.bind(1001);
    await once(second, "listening");
    expect(second.address().port).toBe(1001);
  });

  test("fails on an address of somebody else", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const socket = unbound(via).bind(0, other.address);
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "EADDRNOTAVAIL", syscall: "bind", address: other.address });
  });

  test("fails on a name that nobody has", async () => {
    const socket = unbound(aHost()).bind(0, "no.such.host");
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ code: "ENOTFOUND", syscall: "getaddrinfo" });
  });

  test("cannot be done twice", () => {
    const socket = unbound(aHost()).bind();
    expect(() => socket.bind()).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_ALREADY_BOUND" }),
    );
  });

  test.each([-1, 65536, 1.5, "x"])("refuses port %j", (port) => {
    expect(() => unbound(aHost()).bind(port as number)).toThrow(
      expect.objectContaining({ code: "ERR_SOCKET_BAD_PORT" }),
    );
  });

  test("refuses file descriptors", () => {
    expect(() => unbound(aHost()).bind({ fd: 3 })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_VALUE" }),
    );
  });

  test("has no address before it is done", () => {
    expect(() => unbound(aHost()).address()).toThrow("getsockname EBADF");
  });

  test("lets the port go when closed", async () => {
    const via = aHost();
    const first = await bound(via, 1000);
    first.close();
    await once(first, "close");
    expect((await bound(via, 1000)).address().port).toBe(1000);
  });
});

describe("close", () => {
  test("emits close and calls back, later", async () => {
    const socket = await bound(aHost());
    const events: string[] = [];
    socket.on("close", () => events.push("close"));
    await new Promise<void>((resolve) => {
      expect(socket.close(resolve)).toBe(socket);
      expect(events).toEqual([]);
    });
    expect(events).toEqual(["close"]);
  });

  test("leaves nothing that may be called", async () => {
    const socket = await bound(aHost());
    socket.close();
    const calls = [
      () => socket.close(),
      () => socket.bind(),
      () => socket.send("x", 1),
      () => socket.connect(1),
      () => socket.address(),
      () => socket.remoteAddress(),
      () => socket.addMembership("224.0.0.1"),
    ];
    for (const call of calls) {
      expect(call).toThrow(expect.objectContaining({ code: "ERR_SOCKET_DGRAM_NOT_RUNNING" }));
    }
  });

  test("while binding brings no listening", async () => {
    const socket = unbound(aHost()).bind();
    const events: string[] = [];
    socket.on("listening", () => events.push("listening"));
    socket.close();
    await once(socket, "close");
    await settle();
    expect(events).toEqual([]);
  });

  test("comes with the end of its signal", async () => {
    const controller = new AbortController();
    const socket = await bound(aHost(), 0, { signal: controller.signal });
    controller.abort();
    await once(socket, "close");
  });

  test("comes at once with a signal that has ended", async () => {
    await once(unbound(aHost(), { signal: AbortSignal.abort() }), "close");
  });

  test("comes with the end of its scope", async () => {
    const socket = await bound(aHost());
    const closing = once(socket, "close");
    await socket[Symbol.asyncDispose]();
    await closing;
    await socket[Symbol.asyncDispose]();
  });

  test("ref and unref return the socket", async () => {
    const socket = await bound(aHost());
    expect(socket.unref()).toBe(socket);
    expect(socket.ref()).toBe(socket);
  });
});
