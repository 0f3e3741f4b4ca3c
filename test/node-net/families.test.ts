/** IPv4 and IPv6: who listens where, what a name has, and which one is chosen. After node's test-net-*-ipv6*, -autoselectfamily*. */
import { describe, expect, test } from "vitest";
import { connect, createServer } from "../../host/node/net/index.ts";
import type { Host } from "../../host/net/host.ts";
import type { ListenOptions, Server, Socket } from "../../host/node/net/index.ts";
import { aHost, connected, journal, neighbourOf, once } from "./support.ts";

/** A server that listens as asked, and the far ends of its connections in order. */
async function served(
  via: Host,
  options: ListenOptions,
): Promise<{ server: Server; far: Socket[] }> {
  const far: Socket[] = [];
  const server = createServer({ via }, (socket) => far.push(socket)).listen(options);
  await once(server, "listening");
  return { server, far };
}

/** The code of what comes of connecting. */
async function outcome(via: Host, host: string, port: number): Promise<string> {
  const socket = connect({ port, host, via });
  return new Promise((resolve) => {
    socket.once("connect", () => resolve("connected"));
    socket.once("error", (error) => resolve((error as NodeJS.ErrnoException).code!));
  });
}

describe("a server", () => {
  test("without a host listens on :: and takes both families", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const { server, far } = await served(via, { port: 80 });
    expect(server.address()).toEqual({ address: "::", port: 80, family: "IPv6" });
    for (const host of [via.address, via.address6!]) {
      await connected({ port: 80, host, via: other });
      await expect.poll(() => far.length).toBeGreaterThan(0);
      const socket = far.pop()!;
      const mapped = host === via.address;
      expect(socket.remoteFamily).toBe("IPv6");
      expect(socket.remoteAddress).toBe(mapped ? `::ffff:${other.address}` : other.address6);
      expect(socket.localAddress).toBe(mapped ? `::ffff:${via.address}` : via.address6);
    }
  });

  test("on 0.0.0.0 takes IPv4 alone, and shows it as that", async () => {
    const via = aHost();
    const { server, far } = await served(via, { port: 80, host: "0.0.0.0" });
    expect(server.address()).toEqual({ address: "0.0.0.0", port: 80, family: "IPv4" });
    expect(await outcome(via, "::1", 80)).toBe("ECONNREFUSED");
    expect(await outcome(via, "127.0.0.1", 80)).toBe("connected");
    await expect.poll(() => far[0]?.remoteAddress).toBe("127.0.0.1");
  });

  test("with ipv6Only takes IPv6 alone", async () => {
    const via = aHost();
    await served(via, { port: 80, host: "::", ipv6Only: true });
    expect(await outcome(via, "127.0.0.1", 80)).toBe("ECONNREFUSED");
    expect(await outcome(via, "::1", 80)).toBe("connected");
    const { server } = await served(via, { port: 80, host: "0.0.0.0" });
    expect(server.address()!.family).toBe("IPv4");
    expect(await outcome(via, "127.0.0.1", 80)).toBe("connected");
  });

  test("on a loopback address is not reached from elsewhere", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    const { server, far } = await served(via, { port: 80, host: "::1" });
    expect(server.address()).toEqual({ address: "::1", port: 80, family: "IPv6" });
    expect(await outcome(other, via.address6!, 80)).toBe("ECONNREFUSED");
    expect(await outcome(via, "::1", 80)).toBe("connected");
    await expect.poll(() => far[0]?.remoteAddress).toBe("::1");
    expect(far[0].localAddress).toBe("::1");
  });

  test.each([
    ["::", "127.0.0.1", "EADDRINUSE"],
    ["0.0.0.0", "127.0.0.1", "EADDRINUSE"],
    ["127.0.0.1", "::1", "listening"],
    ["127.0.0.1", "127.0.0.2", "listening"],
  ])("on %s and another one on %s: %s", async (first, second, expected) => {
    const via = aHost();
    await served(via, { port: 80, host: first });
    const server = createServer({ via }).listen({ port: 80, host: second });
    const result = new Promise((resolve) => {
      server.once("listening", () => resolve("listening"));
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    expect(await result).toBe(expected);
  });
});

describe("a connection by name", () => {
  test("goes on to the second family where the first is refused", async () => {
    const via = aHost();
    await served(via, { port: 80, host: "::1" });
    const socket = connect({ port: 80, via });
    const events = journal(socket, "connectionAttempt", "connectionAttemptFailed", "connect");
    await once(socket, "connect");
    expect(events).toEqual([
      "connectionAttempt",
      "connectionAttemptFailed",
      "connectionAttempt",
      "connect",
    ]);
    expect(socket.remoteAddress).toBe("::1");
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual(["127.0.0.1:80", "::1:80"]);
  });

  test("goes on where the first family says nothing in time", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    await served(other, { port: 80 });
    via.network.names.set("both", "10.0.99.99", other.address6!);
    const socket = connect({
      port: 80,
      host: "both",
      via,
      autoSelectFamilyAttemptTimeout: 20,
    });
    const events = journal(socket, "connectionAttemptTimeout", "connect");
    await once(socket, "connect");
    expect(events).toEqual(["connectionAttemptTimeout", "connect"]);
    expect(socket.remoteAddress).toBe(other.address6);
    expect(socket.localAddress).toBe(via.address6);
  });

  test.each([4, 6])("with family %i has that one", async (family) => {
    const via = aHost();
    const other = neighbourOf(via, "other");
    await served(other, { port: 80 });
    const socket = await connected({ port: 80, host: "other", via, family });
    expect(socket.remoteFamily).toBe(`IPv${family}`);
    expect(socket.remoteAddress).toBe(family === 4 ? other.address : other.address6);
  });

  test("to a host without IPv6 has IPv4 alone", async () => {
    const via = aHost();
    const other = neighbourOf(via, "other", { ip6: false });
    const { server } = await served(other, { port: 80 });
    expect(server.address()!.address).toBe("0.0.0.0");
    const socket = await connected({ port: 80, host: "other", via });
    expect(socket.autoSelectFamilyAttemptedAddresses).toBeUndefined();
  });

  test("says of all addresses why not", async () => {
    const via = aHost();
    const socket = connect({ port: 9, via });
    const [error] = (await once(socket, "error")) as [AggregateError & { code: string }];
    expect(error.code).toBe("ECONNREFUSED");
    expect(error.errors.map(({ message }: Error) => message)).toEqual([
      "connect ECONNREFUSED 127.0.0.1:9",
      "connect ECONNREFUSED ::1:9",
    ]);
  });
});
