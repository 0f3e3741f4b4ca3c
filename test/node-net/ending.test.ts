/** How connections end. After node's test-net-end-*, test-net-half-open, test-net-reset-*, test-net-socket-destroy-*. */
import { describe, expect, test } from "vitest";
import { connect, Socket } from "../../host/node/net/index.ts";
import { aHost, all, closed, connected, journal, listening, once, pair } from "./support.ts";

describe("the order of things", () => {
  test("close comes in a turn of the loop of its own, after error and immediates that wait", async () => {
    const { here } = await pair(aHost());
    const events: string[] = [];
    here.on("error", () => events.push("error"));
    here.on("close", () => events.push("close"));
    setImmediate(() => events.push("immediate"));
    here.destroy(new Error("over"));
    process.nextTick(() => events.push("tick"));
    await Promise.resolve();
    await closed(here);
    expect(events).toEqual(["error", "tick", "immediate", "close"]);
  });

  test("without a connection close comes on the next tick", async () => {
    const socket = new Socket();
    const events = journal(socket, "close");
    setImmediate(() => events.push("immediate"));
    socket.destroy();
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(events).toEqual(["close", "immediate"]);
  });
});

describe("end", () => {
  test("brings the peer its end event after the data", async () => {
    const { here, there } = await pair(aHost());
    const events = journal(there, "data", "end", "close");
    here.end("last words");
    await once(there, "close");
    expect(events).toEqual(["data", "end", "close"]);
  });

  test("emits finish, end and close, in this order", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    here.resume();
    const events = journal(here, "finish", "end", "close");
    here.end("x");
    await once(here, "close");
    expect(events).toEqual(["finish", "end", "close"]);
  });

  test("calls its callback when all is written", async () => {
    const { here } = await pair(aHost());
    await new Promise<void>((resolve) => here.end("x", resolve));
    expect(here.writableFinished).toBe(true);
  });

  test("is answered by the peer's own end by default", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    here.resume();
    const finished = once(there, "finish");
    here.end();
    await finished;
    expect(there.writableEnded).toBe(true);
  });

  test("closes without hadError", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    here.resume();
    here.end();
    expect(await Promise.all([closed(here), closed(there)])).toEqual([false, false]);
  });

  test("is allowed before the connection is there", async () => {
    const via = aHost();
    let received!: Promise<Buffer>;
    const { port } = await listening(via, (socket) => (received = all(socket)));
    const socket = connect({ port, via });
    socket.end("early");
    socket.resume();
    await once(socket, "close");
    expect((await received).toString()).toBe("early");
  });

  test("is allowed from the connection listener, at once", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end("bye"));
    expect((await all(connect({ port, via }))).toString()).toBe("bye");
  });

  test("twice is no error", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    here.resume();
    here.end();
    here.end();
    expect(await closed(here)).toBe(false);
  });

  test("loses nothing of what the paused peer has not read", async () => {
    const { here, there } = await pair(aHost());
    const sent = Buffer.alloc(100_000, "a");
    there.pause();
    here.resume();
    there.end();
    here.end(sent);
    await once(here, "close");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await all(there)).equals(sent)).toBe(true);
  });

  test("changes readyState step by step", async () => {
    const { here, there } = await pair(aHost(), { allowHalfOpen: true }, { allowHalfOpen: true });
    there.resume();
    here.resume();
    here.end();
    await once(there, "end");
    expect([here.readyState, there.readyState]).toEqual(["readOnly", "writeOnly"]);
    there.end();
    await once(here, "close");
    expect(here.readyState).toBe("closed");
  });
});

describe("a half-open connection", () => {
  const halfOpen = { allowHalfOpen: true };

  test("lets a server answer after the client's end", async () => {
    const via = aHost();
    const { port } = await listening(
      via,
      (socket) => {
        const chunks: Buffer[] = [];
        socket.on("data", (chunk: Buffer) => chunks.push(chunk));
        socket.on("end", () => setTimeout(() => socket.end(Buffer.concat(chunks)), 5));
      },
      halfOpen,
    );
    const socket = connect({ port, via, allowHalfOpen: true });
    socket.end("question");
    expect((await all(socket)).toString()).toBe("question");
  });

  test("stays writable after the peer's end", async () => {
    const { here, there } = await pair(aHost(), {}, halfOpen);
    there.end();
    here.resume();
    await once(here, "end");
    expect([here.writable, here.destroyed]).toEqual([true, false]);
    const text = all(there);
    here.end("still here");
    expect((await text).toString()).toBe("still here");
  });

  test("is not closed by one side's end", async () => {
    const { here, there } = await pair(aHost(), halfOpen, halfOpen);
    const events = journal(there, "close");
    there.resume();
    here.end();
    await once(there, "end");
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(events).toEqual([]);
  });

  test("is what allowHalfOpen of the server says of its sockets", async () => {
    const { there } = await pair(aHost(), halfOpen);
    expect(there.allowHalfOpen).toBe(true);
  });
});

describe("writing too late", () => {
  test("after end: ERR_STREAM_WRITE_AFTER_END", async () => {
    const { here } = await pair(aHost());
    here.end();
    const failed = once(here, "error");
    const told = new Promise((resolve) => here.write("x", resolve));
    expect((await failed)[0]).toMatchObject({ code: "ERR_STREAM_WRITE_AFTER_END" });
    expect(await told).toMatchObject({ code: "ERR_STREAM_WRITE_AFTER_END" });
  });

  test("after destroy: ERR_STREAM_DESTROYED for the callback, no event", async () => {
    const { here } = await pair(aHost());
    const events = journal(here, "error");
    here.destroy();
    const told = await new Promise((resolve) => here.write("x", resolve));
    expect(told).toMatchObject({ code: "ERR_STREAM_DESTROYED" });
    expect(events).toEqual([]);
  });

  test("after the peer's end has ended this side: EPIPE", async () => {
    const { here, there } = await pair(aHost());
    here.resume();
    there.end();
    await once(here, "end");
    const told = await new Promise((resolve) => expect(here.write("x", resolve)).toBe(false));
    expect(told).toMatchObject({ code: "EPIPE" });
  });

  test("to a peer that is gone: ECONNRESET or EPIPE", async () => {
    const { here, there } = await pair(aHost(), {}, { allowHalfOpen: true });
    here.resume();
    there.destroy();
    await once(here, "end");
    const failed = once(here, "error");
    const timer = setInterval(() => here.write("x"), 1);
    const [error] = (await failed) as [Error & { code: string }];
    clearInterval(timer);
    expect(["ECONNRESET", "EPIPE"]).toContain(error.code);
  });

  test("on a socket that never connected: ERR_SOCKET_CLOSED", async () => {
    const socket = new Socket({ via: aHost() });
    const failed = once(socket, "error");
    socket.write("x");
    expect((await failed)[0]).toMatchObject({ code: "ERR_SOCKET_CLOSED" });
  });
});

describe("destroy", () => {
  test("closes without hadError", async () => {
    const { here } = await pair(aHost());
    const end = closed(here);
    here.destroy();
    expect(await end).toBe(false);
  });

  test("with an error emits it, and hadError", async () => {
    const { here } = await pair(aHost());
    const failed = once(here, "error");
    const end = closed(here);
    const reason = new Error("enough");
    here.destroy(reason);
    expect((await failed)[0]).toBe(reason);
    expect(await end).toBe(true);
  });

  test("emits close later, never at once", async () => {
    const { here } = await pair(aHost());
    const events = journal(here, "close");
    here.destroy();
    expect(events).toEqual([]);
    await once(here, "close");
  });

  test("twice closes once", async () => {
    const { here } = await pair(aHost());
    const events = journal(here, "close");
    here.destroy();
    here.destroy();
    await once(here, "close");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(events).toEqual(["close"]);
  });

  test("ends the peer's stream in good order", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    const events = journal(there, "end", "error", "close");
    here.destroy();
    await once(there, "close");
    expect(events).toEqual(["end", "close"]);
  });

  test("stops data events at once", async () => {
    const { here, there } = await pair(aHost());
    let seen = 0;
    here.on("data", () => {
      seen++;
      here.destroy();
    });
    there.on("error", () => {});
    there.write(Buffer.alloc(500_000));
    await once(here, "close");
    expect(seen).toBe(1);
  });

  test("fails the write that is under way", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    const told = new Promise<unknown>((resolve) => here.write(Buffer.alloc(32 << 20), resolve));
    await new Promise((resolve) => setTimeout(resolve, 10));
    here.destroy();
    expect(await told).toBeInstanceOf(Error);
  });

  test("before anything: the socket closes", async () => {
    const socket = new Socket({ via: aHost() });
    socket.destroy();
    expect(await closed(socket)).toBe(false);
  });

  test("while connecting fails what was written: ERR_SOCKET_CLOSED_BEFORE_CONNECTION", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via });
    const told = new Promise((resolve) => socket.write("x", resolve));
    socket.destroy();
    expect(await told).toMatchObject({ code: "ERR_SOCKET_CLOSED_BEFORE_CONNECTION" });
  });

  test("of Symbol.asyncDispose closes the socket", async () => {
    const { here } = await pair(aHost());
    here.on("error", () => {});
    await here[Symbol.asyncDispose]();
    expect(here.destroyed).toBe(true);
  });
});

describe("destroySoon", () => {
  test("writes all there is first", async () => {
    const { here, there } = await pair(aHost());
    const text = all(there);
    here.write(Buffer.alloc(300_000, "z"));
    here.destroySoon();
    expect((await text).length).toBe(300_000);
    expect(here.destroyed).toBe(true);
  });

  test("destroys at once when all is written", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    await new Promise<void>((resolve) => here.end("x", resolve));
    here.destroySoon();
    expect(here.destroyed).toBe(true);
  });
});

describe("resetAndDestroy", () => {
  test("gives the peer ECONNRESET, and hadError", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    const failed = once(there, "error");
    const end = closed(there);
    here.resetAndDestroy();
    expect((await failed)[0]).toMatchObject({
      code: "ECONNRESET",
      syscall: "read",
      errno: -104,
      message: "read ECONNRESET",
    });
    expect(await end).toBe(true);
  });

  test("is no error on this side", async () => {
    const { here, there } = await pair(aHost());
    there.on("error", () => {});
    const end = closed(here);
    here.resetAndDestroy();
    expect(await end).toBe(false);
  });

  test("by the server reaches the client", async () => {
    const { here, there } = await pair(aHost());
    here.resume();
    const failed = once(here, "error");
    there.resetAndDestroy();
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("while connecting waits for the connection", async () => {
    const via = aHost();
    const { server, port } = await listening(via, (socket) => socket.on("error", () => {}));
    const reset = new Promise((resolve) =>
      server.on("connection", (socket) => socket.on("error", resolve)),
    );
    const socket = connect({ port, via });
    socket.resetAndDestroy();
    await once(socket, "close");
    expect(await reset).toMatchObject({ code: "ECONNRESET" });
  });

  test("without a connection: ERR_SOCKET_CLOSED", async () => {
    const socket = new Socket({ via: aHost() });
    const failed = once(socket, "error");
    socket.resetAndDestroy();
    expect((await failed)[0]).toMatchObject({ code: "ERR_SOCKET_CLOSED" });
  });

  test("after destroy is nothing", async () => {
    const { here } = await pair(aHost());
    const events = journal(here, "error");
    here.destroy();
    here.resetAndDestroy();
    await once(here, "close");
    expect(events).toEqual([]);
  });

  test("fails a write under way: write ECONNRESET", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    const told = new Promise<unknown>((resolve) => here.write(Buffer.alloc(32 << 20), resolve));
    here.on("error", () => {});
    await new Promise((resolve) => setTimeout(resolve, 10));
    there.resetAndDestroy();
    expect(await told).toMatchObject({ code: "ECONNRESET", syscall: "write" });
  });
});

describe("a socket that has closed", () => {
  test("connects again", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end("hi"));
    const socket = await connected({ port, via });
    const end = closed(socket);
    expect((await all(socket)).toString()).toBe("hi");
    await end;
    socket.connect({ port, via });
    expect((await all(socket)).toString()).toBe("hi");
    expect(socket.bytesRead).toBe(2);
  });

  test("connects again from its close event, many times", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end("hi"));
    const socket = connect({ port, via }).resume();
    let times = 0;
    await new Promise<void>((resolve) => {
      socket.on("close", () => {
        if (++times === 10) resolve();
        else socket.connect({ port, via });
      });
    });
    expect(times).toBe(10);
  });

  test("connects again after a refusal", async () => {
    const via = aHost();
    const socket = connect({ port: 99, via });
    socket.on("error", () => {});
    await closed(socket);
    const { port } = await listening(via);
    socket.connect({ port, via });
    await once(socket, "connect");
  });

  test("still knows its addresses", async () => {
    const { here } = await pair(aHost());
    const { remotePort, localPort } = here;
    here.destroy();
    await once(here, "close");
    expect([here.remotePort, here.localPort]).toEqual([remotePort, localPort]);
  });
});
