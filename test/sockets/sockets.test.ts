/** WinterTC's connect and the listener in its style. */
import { describe, expect, test } from "vitest";
import { connect, listen, type StreamSocket } from "../../host/net/streams.ts";
import { aHost, neighbourOf } from "../node-net/support.ts";
import type { Host } from "../../host/net/host.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Everything that a stream brings. */
async function textOf(readable: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(readable as unknown as ConstructorParameters<typeof Response>[0]).text();
}

/** Both ends of a connection. */
async function pair(
  via: Host,
  client: { allowHalfOpen?: boolean } = {},
  server: { allowHalfOpen?: boolean } = {},
): Promise<{ here: StreamSocket; there: StreamSocket }> {
  const listener = listen({ via, ...server });
  const { port } = await listener.opened;
  const here = connect(`localhost:${port}`, { via, ...client });
  const { value: there } = await listener.next();
  await here.opened;
  return { here, there: there! };
}

describe("connect", () => {
  test("says who both sides are", async () => {
    const via = aHost();
    const server = neighbourOf(via, "db.example");
    const listener = listen({ via: server, port: 5432 });
    expect(await listener.opened).toEqual({ address: server.address, port: 5432 });
    const here = connect({ hostname: "db.example", port: 5432 }, { via });
    const there = (await listener.next()).value!;
    const info = await here.opened;
    expect(info.remoteAddress).toBe(`${server.address}:5432`);
    expect(await there.opened).toEqual({
      remoteAddress: info.localAddress,
      localAddress: info.remoteAddress,
      alpn: null,
    });
  });

  test.each(["localhost", ":80", "localhost:", "localhost:x", "", "a:b:80"])(
    "refuses the address %j",
    (address) => {
      expect(() => connect(address, { via: aHost() })).toThrow(TypeError);
    },
  );

  test.each([0, 65536, 1.5, Number.NaN])("refuses port %d", (port) => {
    expect(() => connect({ hostname: "localhost", port }, { via: aHost() })).toThrow(/port/);
  });

  test("fails where nobody listens", async () => {
    const socket = connect("localhost:9", { via: aHost() });
    const refused = expect.objectContaining({ code: "ECONNREFUSED", name: "SocketError" });
    await expect(socket.opened).rejects.toEqual(refused);
    await expect(socket.closed).rejects.toEqual(refused);
    await expect(socket.readable.getReader().read()).rejects.toEqual(refused);
    await expect(socket.writable.getWriter().write(bytes("x"))).rejects.toEqual(refused);
  });

  test("fails for a name that nobody has", async () => {
    const socket = connect("no.such.host:80", { via: aHost() });
    await expect(socket.opened).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  test("can be given up", async () => {
    const via = aHost();
    const socket = connect("10.0.99.99:80", { via });
    await socket.close();
    await expect(socket.opened).rejects.toMatchObject({ code: "ECANCELED" });
    await socket.closed;
  });
});

describe("a connection", () => {
  test("brings what is written before it exists", async () => {
    const via = aHost();
    const listener = listen({ via });
    const { port } = await listener.opened;
    const here = connect(`localhost:${port}`, { via });
    const writer = here.writable.getWriter();
    void writer.write(bytes("early"));
    void writer.close();
    const there = (await listener.next()).value!;
    expect(await textOf(there.readable)).toBe("early");
  });

  test("ends in order, with both closed fulfilled", async () => {
    const { here, there } = await pair(aHost());
    // The end of the peer may break the pipe before anybody waits for it.
    const echo = there.readable.pipeTo(there.writable).catch(() => {});
    const writer = here.writable.getWriter();
    await writer.write(bytes("once"));
    const reader = here.readable.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("once");
    await here.close();
    await Promise.all([here.closed, there.closed, echo]);
  });

  test("stays half open when asked to", async () => {
    const open = { allowHalfOpen: true };
    const { here, there } = await pair(aHost(), open, open);
    await here.writable.getWriter().close();
    expect(await textOf(there.readable)).toBe("");
    const writer = there.writable.getWriter();
    await writer.write(bytes("still here"));
    await writer.close();
    expect(await textOf(here.readable)).toBe("still here");
    await Promise.all([here.closed, there.closed]);
  });

  test("ends both ways with the peer's end, unless half open", async () => {
    const { here, there } = await pair(aHost());
    await here.writable.getWriter().close();
    expect(await textOf(there.readable)).toBe("");
    await expect(there.writable.getWriter().write(bytes("x"))).rejects.toMatchObject({
      code: "EPIPE",
    });
    await Promise.all([here.closed, there.closed]);
  });

  test("keeps what arrived before both sides ended", async () => {
    const { here, there } = await pair(aHost());
    const writer = here.writable.getWriter();
    await writer.write(bytes("last words"));
    await writer.close();
    const ending = there.writable.getWriter();
    await ending.close();
    await here.closed;
    expect(await textOf(there.readable)).toBe("last words");
  });

  test("breaks on both sides when one aborts", async () => {
    const { here, there } = await pair(aHost());
    const reading = there.readable.getReader().read();
    await here.writable.abort();
    await expect(reading).rejects.toMatchObject({ code: "ECONNRESET" });
    await expect(there.closed).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("fills the reader's own buffer", async () => {
    const { here, there } = await pair(aHost());
    const writer = here.writable.getWriter();
    const reader = there.readable.getReader({ mode: "byob" });
    const reading = reader.read(new Uint8Array(4));
    await writer.write(bytes("abcdef"));
    expect(new TextDecoder().decode((await reading).value)).toBe("abcd");
    expect(new TextDecoder().decode((await reader.read(new Uint8Array(4))).value)).toBe("ef");
    const last = reader.read(new Uint8Array(4));
    await writer.close();
    expect((await last).done).toBe(true);
  });

  test("holds the writer back until somebody reads", async () => {
    const { here, there } = await pair(aHost());
    const writer = here.writable.getWriter();
    const total = 16 << 20;
    let done = false;
    const writing = writer.write(new Uint8Array(total).fill(7)).then(() => {
      done = true;
      return writer.close();
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(done).toBe(false);
    let length = 0;
    for await (const chunk of there.readable as unknown as AsyncIterable<Uint8Array>) {
      expect(chunk.every((byte) => byte === 7)).toBe(true);
      length += chunk.length;
    }
    await writing;
    expect(length).toBe(total);
  });

  test("goes on when its reader has gone", async () => {
    const { here, there } = await pair(aHost());
    await there.readable.cancel();
    const writer = here.writable.getWriter();
    await writer.write(new Uint8Array(4 << 20));
    await there.writable.getWriter().write(bytes("got it"));
    const { value } = await here.readable.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("got it");
  });

  test("refuses chunks that are no bytes", async () => {
    const { here } = await pair(aHost());
    const writer = here.writable.getWriter() as unknown as WritableStreamDefaultWriter<string>;
    await expect(writer.write("text")).rejects.toThrow("ArrayBuffer");
  });
});

describe("listen", () => {
  test("iterates over sockets until closed", async () => {
    const via = aHost();
    const listener = listen({ via });
    const { port } = await listener.opened;
    for (let i = 0; i < 3; i++) connect(`localhost:${port}`, { via });
    let count = 0;
    for await (const socket of listener) {
      await socket.close();
      if (++count === 3) break;
    }
    expect(await listener.next()).toEqual({ value: undefined, done: true });
    const late = connect(`localhost:${port}`, { via });
    await expect(late.opened).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("refuses more than its backlog", async () => {
    const via = aHost();
    const listener = listen({ via, backlog: 2 });
    const { port } = await listener.opened;
    const sockets = [1, 2, 3].map(() => connect(`localhost:${port}`, { via }));
    // Which of the three it is, the order of their segments decides.
    const broken = sockets.map(({ closed }) =>
      closed.catch((error: { code: string }) => error.code),
    );
    expect(["ECONNREFUSED", "ECONNRESET"]).toContain(await Promise.race(broken));
  });

  test("fails on a port in use", async () => {
    const via = aHost();
    await listen({ via, port: 80 }).opened;
    await expect(listen({ via, port: 80 }).opened).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("lets the port go", async () => {
    const via = aHost();
    const first = listen({ via, port: 80 });
    await first.opened;
    first.close();
    expect((await listen({ via, port: 80 }).opened).port).toBe(80);
  });
});

describe("startTls", () => {
  test("needs a socket that was made for it", async () => {
    const { here } = await pair(aHost());
    expect(() => here.startTls()).toThrow("starttls");
  });

  test("says that there is none without Node", async () => {
    const via = aHost();
    const { port } = await listen({ via }).opened;
    const socket = connect(`localhost:${port}`, { via, secureTransport: "starttls" });
    await socket.opened;
    expect(() => socket.startTls()).toThrow("ixwasm/sockets on Node");
    expect(() => connect("localhost:1", { via, secureTransport: "on" })).toThrow("no TLS");
  });
});
