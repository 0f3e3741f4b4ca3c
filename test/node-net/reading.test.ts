/** Reading. After node's test-net-pause-*, test-net-onread-*, test-net-socket-setnodelay, test-stream-*. */
import { Duplex, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { connect } from "../../host/node/net/index.ts";
import type { OnReadOptions, Socket } from "../../host/node/net/index.ts";
import { aHost, all, journal, listening, once, pair } from "./support.ts";

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 15));

describe("data", () => {
  test("comes as Buffers", async () => {
    const { here, there } = await pair(aHost());
    const data = once(there, "data");
    here.write("x");
    expect((await data)[0]).toBeInstanceOf(Buffer);
  });

  test("comes as text after setEncoding, whole characters only", async () => {
    const { here, there } = await pair(aHost());
    there.setEncoding("utf8");
    const chunks: unknown[] = [];
    there.on("data", (chunk) => chunks.push(chunk));
    const euro = Buffer.from("€");
    here.write(euro.subarray(0, 1));
    await soon();
    here.end(euro.subarray(1));
    await once(there, "end");
    expect(chunks).toEqual(["€"]);
  });

  test.each(["hex", "base64", "latin1", "utf16le"] as const)("comes as %s", async (encoding) => {
    const { here, there } = await pair(aHost());
    there.setEncoding(encoding);
    let received = "";
    there.on("data", (chunk: string) => (received += chunk));
    here.end(Buffer.from("some words"));
    await once(there, "end");
    expect(received).toBe(Buffer.from("some words").toString(encoding));
  });

  test("waits for somebody to listen", async () => {
    const { here, there } = await pair(aHost());
    here.end("patience");
    await soon();
    expect((await all(there)).toString()).toBe("patience");
  });

  test("is read by read() on readable", async () => {
    const { here, there } = await pair(aHost());
    here.end("12345");
    let received = "";
    there.on("readable", () => {
      for (let part = there.read(2) ?? there.read(); part; part = there.read(2) ?? there.read()) {
        received += String(part);
      }
    });
    await once(there, "end");
    expect(received).toBe("12345");
  });
});

describe("pause", () => {
  test("stops data, resume brings it", async () => {
    const { here, there } = await pair(aHost());
    const chunks: Buffer[] = [];
    there.on("data", (chunk: Buffer) => chunks.push(chunk));
    there.pause();
    here.write("abc");
    await soon();
    expect(chunks).toEqual([]);
    const data = once(there, "data");
    there.resume();
    await data;
    expect(Buffer.concat(chunks).toString()).toBe("abc");
  });

  test("closes the peer's window rather than buffer without end", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    here.write(Buffer.alloc(16 << 20));
    await soon();
    expect(there.readableLength + there.bytesRead).toBeLessThan(1 << 20);
  });

  test("and resume in turns loses nothing", async () => {
    const { here, there } = await pair(aHost());
    let received = 0;
    there.on("data", (chunk: Buffer) => {
      received += chunk.length;
      there.pause();
      setImmediate(() => there.resume());
    });
    here.end(Buffer.alloc(1 << 20));
    await once(there, "end");
    expect(received).toBe(1 << 20);
  });

  test("before the connection holds", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end("x"));
    const socket = connect({ port, via });
    socket.pause();
    const events = journal(socket, "end");
    await once(socket, "connect");
    await soon();
    expect(events).toEqual([]);
    expect((await all(socket)).toString()).toBe("x");
  });

  test("keeps end back as well", async () => {
    const { here, there } = await pair(aHost());
    const events = journal(there, "end");
    there.pause();
    here.end("x");
    await soon();
    expect(events).toEqual([]);
    there.resume();
    await once(there, "end");
  });
});

describe("streams of Node", () => {
  test("pipe into a socket and out of it", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.pipe(socket));
    const socket = connect({ port, via });
    Readable.from(["a", "b", "c"]).pipe(socket);
    expect(await text(socket)).toBe("abc");
  });

  test("pipeline ends both", async () => {
    const { here, there } = await pair(aHost());
    let received = "";
    const sink = new Writable({
      write(chunk: Buffer, _, done) {
        received += chunk.toString();
        done();
      },
    });
    here.resume();
    here.end("through");
    await pipeline(there, sink);
    expect(received).toBe("through");
  });

  test("pipeline fails with the peer's reset", async () => {
    const { here, there } = await pair(aHost());
    const done = pipeline(there, new Writable({ write: (_c, _e, next) => next() }));
    here.resetAndDestroy();
    await expect(done).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("for await reads to the end", async () => {
    const { here, there } = await pair(aHost());
    here.end("iterated");
    let received = "";
    for await (const chunk of there) received += String(chunk);
    expect(received).toBe("iterated");
  });

  test("for await destroys the socket when left", async () => {
    const { here, there } = await pair(aHost());
    here.on("error", () => {});
    here.write("x");
    for await (const _ of there) break;
    expect(there.destroyed).toBe(true);
  });

  test("Readable.toWeb and Duplex.toWeb read and write", async () => {
    const { here, there } = await pair(aHost(), {}, { allowHalfOpen: true });
    const { readable, writable } = Duplex.toWeb(here);
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("question"));
    there.once("data", (data: Buffer) => there.end(`${String(data)}?`));
    const reader = readable.getReader();
    const { value } = await reader.read();
    expect(Buffer.from(value as Uint8Array).toString()).toBe("question?");
    await writer.close();
    expect((await reader.read()).done).toBe(true);
  });
});

describe("onread", () => {
  /** A client that reads into `buffer` what the server sends, and notes the text. */
  async function reading(
    sent: string,
    buffer: OnReadOptions["buffer"],
    onChunk: (socket: Socket) => boolean | void = () => {},
  ): Promise<{ socket: Socket; texts: string[]; buffers: Set<Uint8Array>; data: string[] }> {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end(sent));
    const texts: string[] = [];
    const buffers = new Set<Uint8Array>();
    const socket: Socket = connect({
      port,
      via,
      onread: {
        buffer,
        callback: (length, into) => {
          texts.push(Buffer.from(into.subarray(0, length)).toString());
          buffers.add(into);
          return onChunk(socket);
        },
      },
    });
    return { socket, texts, buffers, data: journal(socket, "data") };
  }

  test("fills the same buffer again and again, without data events", async () => {
    const buffer = Buffer.alloc(4);
    const { socket, texts, buffers, data } = await reading("0123456789", buffer);
    await once(socket, "close");
    expect(texts.join("")).toBe("0123456789");
    expect([...buffers]).toEqual([buffer]);
    expect(data).toEqual([]);
    expect(socket.bytesRead).toBe(10);
  });

  test("asks a function for buffers", async () => {
    const { socket, texts, buffers } = await reading("0123456789", () => Buffer.alloc(4));
    await once(socket, "close");
    expect(texts).toEqual(["0123", "4567", "89"]);
    expect(buffers.size).toBe(3);
  });

  test("pauses when the callback says false, until resume", async () => {
    const { socket, texts } = await reading("0123456789", Buffer.alloc(4), () => false);
    await expect.poll(() => texts.length).toBeGreaterThan(0);
    await soon();
    expect(texts).toEqual(["0123"]);
    socket.resume();
    await expect.poll(() => texts.length).toBeGreaterThan(1);
    await soon();
    expect(texts).toEqual(["0123", "4567"]);
    socket.resume();
    await once(socket, "close");
    expect(texts.join("")).toBe("0123456789");
  });

  test("still emits end", async () => {
    const { socket } = await reading("x", Buffer.alloc(4));
    await once(socket, "end");
  });

  test("counts for nothing when it is incomplete", async () => {
    const via = aHost();
    const { port } = await listening(via, (socket) => void socket.end("plain"));
    const onread = { buffer: Buffer.alloc(4) } as unknown as OnReadOptions;
    expect((await all(connect({ port, via, onread }))).toString()).toBe("plain");
  });
});
