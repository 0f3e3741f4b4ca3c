/** What sockets can be set to and asked. After node's test-net-socket-timeout-*, test-net-*-abort-*, test-net-autoselectfamily-*, test-diagnostics-channel-net. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import * as core from "node:net";
import { describe, expect, test, vi } from "vitest";
import * as net from "../../host/node/net/index.ts";
import { connect, createServer, Socket } from "../../host/node/net/index.ts";
import { aHost, journal, listening, neighbourOf, once, pair } from "./support.ts";

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("setTimeout", () => {
  test("emits timeout after idleness, and does not close", async () => {
    const { here } = await pair(aHost());
    here.setTimeout(10);
    await once(here, "timeout");
    expect(here.destroyed).toBe(false);
  });

  test("calls its listener once", async () => {
    const { here } = await pair(aHost());
    let called = 0;
    here.setTimeout(5, () => called++);
    await wait(30);
    expect(called).toBe(1);
  });

  test("emits again only after activity", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    const events = journal(here, "timeout");
    here.setTimeout(5);
    await wait(30);
    expect(events).toEqual(["timeout"]);
    here.write("x");
    await once(here, "timeout");
    expect(events).toEqual(["timeout", "timeout"]);
  });

  test("is put off by what is received", async () => {
    const { here, there } = await pair(aHost());
    const events = journal(here, "timeout");
    // Time that passes when it is told to: whoever is kept waiting for longer than 60 ms times out rightly.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      here.setTimeout(60);
      for (let i = 0; i < 8; i++) {
        const came = once(here, "data");
        there.write("x");
        await came;
        vi.advanceTimersByTime(50);
      }
      expect(events).toEqual([]);
      vi.advanceTimersByTime(10);
      expect(events).toEqual(["timeout"]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("of 0 ends it, and takes the listener away", async () => {
    const { here } = await pair(aHost());
    const listener = (): void => {};
    here.setTimeout(5, listener);
    here.setTimeout(0, listener);
    expect(here.listenerCount("timeout")).toBe(0);
    const events = journal(here, "timeout");
    await wait(20);
    expect(events).toEqual([]);
    expect(here.timeout).toBe(0);
  });

  test("says what it was set to", async () => {
    const { here } = await pair(aHost());
    expect(here.timeout).toBeUndefined();
    expect(here.setTimeout(1234)).toBe(here);
    expect(here.timeout).toBe(1234);
  });

  test("as an option of connect", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via, timeout: 5 });
    await once(socket, "timeout");
    expect(socket.timeout).toBe(5);
  });

  test.each([-1, NaN, Infinity])("refuses %d", async (milliseconds) => {
    expect(() => new Socket().setTimeout(milliseconds)).toThrow(
      expect.objectContaining({ code: "ERR_OUT_OF_RANGE", name: "RangeError" }),
    );
  });

  test.each(["100", true, undefined, null, {}])("refuses %j", async (milliseconds) => {
    expect(() => new Socket().setTimeout(milliseconds as number)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE", name: "TypeError" }),
    );
  });

  test("refuses a listener that is no function", () => {
    expect(() => new Socket().setTimeout(1, 5 as unknown as () => void)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });

  test("ends with the socket", async () => {
    const { here } = await pair(aHost());
    const events = journal(here, "timeout");
    here.setTimeout(5);
    here.destroy();
    await wait(20);
    expect(events).toEqual([]);
  });
});

describe("setNoDelay and setKeepAlive", () => {
  test("are accepted, and return the socket", () => {
    const socket = new Socket();
    expect(socket.setNoDelay()).toBe(socket);
    expect(socket.setKeepAlive(true, 1000)).toBe(socket);
    expect(socket.ref()).toBe(socket);
    expect(socket.unref()).toBe(socket);
  });

  test("have an idle peer asked, and the connection stays", { timeout: 10_000 }, async () => {
    const via = aHost();
    const { here, there } = await pair(via);
    here.setKeepAlive(true, 1000);
    await expect
      .poll(() => via.dataplane.counters().tcpKeepAlives, { timeout: 8000 })
      .toBeGreaterThan(0);
    expect([here.destroyed, there.destroyed]).toEqual([false, false]);
  });

  test("have small segments wait for outstanding ones, on request", async () => {
    const via = aHost();
    const { here, there } = await pair(via);
    here.setNoDelay(false);
    for (let i = 0; i < 50; i++) {
      here.write("x");
      await wait(0);
    }
    here.end();
    there.resume();
    await once(there, "end");
    expect(there.bytesRead).toBe(50);
  });

  test("are accepted before the connection is there", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via, noDelay: true, keepAlive: true });
    socket.setNoDelay(true).setKeepAlive(true);
    await once(socket, "connect");
  });
});

describe("an AbortSignal", () => {
  test("that is aborted already destroys a new socket", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via, signal: AbortSignal.abort() });
    expect((await once(socket, "error"))[0]).toMatchObject({ name: "AbortError" });
  });

  test("destroys an open socket", async () => {
    const controller = new AbortController();
    const { here } = await pair(aHost(), {}, { signal: controller.signal });
    controller.abort();
    expect((await once(here, "error"))[0]).toMatchObject({ code: "ABORT_ERR" });
  });

  test("closes a server", async () => {
    const controller = new AbortController();
    const server = createServer({ via: aHost() }).listen({ port: 0, signal: controller.signal });
    await once(server, "listening");
    controller.abort();
    await once(server, "close");
    expect(server.listening).toBe(false);
  });

  test("that is aborted already closes a server that begins to listen", async () => {
    const server = createServer({ via: aHost() });
    const events = journal(server, "listening");
    server.listen({ port: 0, signal: AbortSignal.abort() });
    await once(server, "close");
    expect(events).toEqual([]);
  });

  test("must be one", () => {
    const signal = "no signal" as unknown as AbortSignal;
    expect(() => createServer({ via: aHost() }).listen({ port: 0, signal })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
    );
  });
});

describe("a name with several addresses", () => {
  const lookup =
    (...addresses: string[]): net.LookupFunction =>
    (_name, _options, found) =>
      found(
        null,
        addresses.map((address) => ({ address, family: core.isIP(address) })),
      );

  test("is tried from the first on, until one answers", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const { port } = await listening(other);
    const socket = connect({ port, host: "n", via, lookup: lookup(via.address, other.address) });
    const failed = journal(socket, "connectionAttemptFailed");
    await once(socket, "connect");
    expect(socket.remoteAddress).toBe(other.address);
    expect(failed.length).toBe(1);
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual([
      `${via.address}:${port}`,
      `${other.address}:${port}`,
    ]);
  });

  test("goes on to the next after autoSelectFamilyAttemptTimeout", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({
      port,
      host: "n",
      via,
      lookup: lookup("10.0.77.77", via.address),
      autoSelectFamilyAttemptTimeout: 10,
    });
    const given = once(socket, "connectionAttemptTimeout");
    await once(socket, "connect");
    expect((await given).slice(0, 2)).toEqual(["10.0.77.77", port]);
  });

  test("gives an AggregateError when none answers", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const socket = connect({ port: 9, host: "n", via, lookup: lookup(via.address, other.address) });
    const [error] = (await once(socket, "error")) as [AggregateError & { code: string }];
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.code).toBe("ECONNREFUSED");
    expect(error.errors.map(({ address }: { address: string }) => address)).toEqual([
      via.address,
      other.address,
    ]);
  });

  test("is tried once with autoSelectFamily: false", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const { port } = await listening(other);
    const socket = connect({
      port,
      host: "n",
      via,
      autoSelectFamily: false,
      lookup: lookup(via.address, other.address),
    });
    expect((await once(socket, "error"))[0]).toMatchObject({ code: "ECONNREFUSED" });
  });

  test("whose lookup fails gives that error", async () => {
    const failure = Object.assign(new Error("no DNS"), { code: "EAI_AGAIN" });
    const socket = connect({
      port: 9,
      host: "n",
      via: aHost(),
      lookup: (_n, _o, found) => found(failure),
    });
    const looked = once(socket, "lookup");
    socket.on("error", () => {});
    expect((await looked)[0]).toBe(failure);
  });

  test("whose lookup finds no address: ERR_INVALID_IP_ADDRESS", async () => {
    const socket = connect({ port: 9, host: "n", via: aHost(), lookup: lookup("nowhere") });
    expect((await once(socket, "error"))[0]).toMatchObject({ code: "ERR_INVALID_IP_ADDRESS" });
  });
});

describe("options that are wrong", () => {
  const refused = (options: object, code: string): void => {
    const full = { port: 80, via: aHost(), ...options };
    expect(() => connect(full)).toThrow(expect.objectContaining({ code }));
  };

  test("lookup: ERR_INVALID_ARG_TYPE", () => refused({ lookup: 5 }, "ERR_INVALID_ARG_TYPE"));
  test("localPort: ERR_INVALID_ARG_TYPE", () =>
    refused({ localPort: "x" }, "ERR_INVALID_ARG_TYPE"));
  test("localPort out of range: ERR_SOCKET_BAD_PORT", () =>
    refused({ localPort: 70000 }, "ERR_SOCKET_BAD_PORT"));
  test("localAddress: ERR_INVALID_IP_ADDRESS", () =>
    refused({ localAddress: "here" }, "ERR_INVALID_IP_ADDRESS"));
  test("objectMode: ERR_INVALID_ARG_VALUE", () =>
    refused({ objectMode: true }, "ERR_INVALID_ARG_VALUE"));
  test("a path: ERR_INVALID_ARG_VALUE, for a dataplane has none", () =>
    refused({ path: "/tmp/x.sock" }, "ERR_INVALID_ARG_VALUE"));

  test("a localAddress that is another's: EADDRNOTAVAIL", async () => {
    const socket = connect({ port: 9, via: aHost(), localAddress: "10.0.3.3" });
    expect((await once(socket, "error"))[0]).toMatchObject({ code: "EADDRNOTAVAIL" });
  });
});

describe("the module", () => {
  test("tells diagnostics_channel of clients and servers' sockets", async () => {
    const via = aHost();
    const seen: string[] = [];
    const client = (message: unknown): void =>
      void seen.push(`client ${(message as { socket: unknown }).socket instanceof Socket}`);
    const server = (message: unknown): void =>
      void seen.push(`server ${(message as { socket: unknown }).socket instanceof Socket}`);
    subscribe("net.client.socket", client);
    subscribe("net.server.socket", server);
    await pair(via);
    unsubscribe("net.client.socket", client);
    unsubscribe("net.server.socket", server);
    expect(seen).toEqual(["client true", "server true"]);
  });

  test("hands on what node:net has besides sockets", () => {
    const { isIP, isIPv4, isIPv6, BlockList, SocketAddress } = core;
    expect(net).toMatchObject({ isIP, isIPv4, isIPv6, BlockList, SocketAddress });
    expect(net.createConnection).toBe(net.connect);
    expect(net.Stream).toBe(net.Socket);
  });

  test("exports all names of node:net that programs use", () => {
    const missing = Object.keys(core).filter((name) => !(name in net) && !name.startsWith("_"));
    expect(missing.filter((name) => name !== "default")).toEqual([]);
  });

  test("tcpInfo tells what waits", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    here.write(Buffer.alloc(600_000));
    await wait(10);
    const info = here.tcpInfo()!;
    expect(info.state).toBe("established");
    expect(info.unacknowledged).toBeGreaterThan(0);
    expect(there.tcpInfo()!.unread).toBeGreaterThan(0);
    expect(new Socket().tcpInfo()).toBeUndefined();
  });

  test("tcpInfo tells how the connection is", async () => {
    // A thread that is kept from its processor shall not take that for a loss.
    const tcp = { minRto: 20_000_000, initialRto: 20_000_000, sack: false };
    const via = aHost({ link: { delay: 2000 }, tcp });
    const { here, there } = await pair(neighbourOf(via, "other"), {}, { via, host: "other" });
    here.write(Buffer.alloc(100_000));
    there.resume();
    await expect.poll(() => there.bytesRead).toBe(100_000);
    await expect.poll(() => here.tcpInfo()!.inFlight).toBe(0);
    const info = here.tcpInfo()!;
    expect(info).toMatchObject({ state: "established", retransmits: 0, backoff: 0 });
    expect(info.rtt).toBeGreaterThanOrEqual(4000);
    expect(info.minRtt).toBeLessThanOrEqual(info.rtt!);
    expect(info.rttVariance).toBeGreaterThan(0);
    expect(info.rto).toBeGreaterThan(info.rtt!);
    expect(info.mss).toBeGreaterThan(1000);
    expect(info.congestionWindow).toBeGreaterThanOrEqual(10 * info.mss!);
    expect(info.slowStartThreshold).toBeGreaterThan(0);
    expect(info.sendWindow).toBeGreaterThan(0);
    expect(info.receiveWindow).toBeGreaterThan(0);
    here.end();
    await once(there, "end");
    expect(there.tcpInfo()!.state).toMatch(/close-wait|last-ack/);
  });

  test("tcpInfo counts what was sent again", async () => {
    const via = aHost({ link: { loss: 0.05, seed: 3 } });
    const { here, there } = await pair(neighbourOf(via, "other"), {}, { via, host: "other" });
    here.write(Buffer.alloc(1_000_000));
    there.resume();
    await expect.poll(() => there.bytesRead, { timeout: 10_000 }).toBe(1_000_000);
    const info = here.tcpInfo()!;
    expect(info.retransmits).toBeGreaterThan(0);
    expect(info.slowStartThreshold).toBeLessThan(Infinity);
  });

  // An ES class cannot be called; programs of today say `new`.
  test.fails("makes a Socket without new", () => {
    const make = Socket as unknown as () => Socket;
    expect(make()).toBeInstanceOf(Socket);
  });

  // A dataplane's sockets are their own class; a check for node:net's finds out.
  test.fails("makes sockets that are instances of node:net's Socket", () => {
    expect(new Socket()).toBeInstanceOf(core.Socket);
  });
});
