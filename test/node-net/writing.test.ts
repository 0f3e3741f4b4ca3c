/** Writing. After node's test-net-write-*, test-net-bytes-*, test-net-pingpong, test-net-large-*. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { connect } from "../../host/node/net/index.ts";
import type { Socket } from "../../host/node/net/index.ts";
import { aHost, all, connected, listening, neighbourOf, once, pair } from "./support.ts";

const echo = (socket: Socket): void => void socket.pipe(socket);

describe("write", () => {
  test("takes text, in any encoding, and any bytes", async () => {
    const { here, there } = await pair(aHost());
    const text = all(there);
    here.write("grüße ");
    here.write("68656c6c6f", "hex");
    here.write(" ");
    here.write("d29ybGQ=", "base64");
    here.end(new Uint8Array([33]));
    expect((await text).toString()).toBe("grüße hello world!");
  });

  test.each([null, undefined, 1, true, {}, []])("refuses %j", async (value) => {
    const { here } = await pair(aHost());
    expect(() => here.write(value as unknown as string)).toThrow(
      expect.objectContaining({ name: "TypeError" }),
    );
  });

  test("calls back in order", async () => {
    const { here, there } = await pair(aHost());
    there.resume();
    const order: number[] = [];
    await new Promise<void>((resolve) => {
      here.write("a", () => order.push(1));
      here.write("b", () => order.push(2));
      here.write("c", () => {
        order.push(3);
        resolve();
      });
    });
    expect(order).toEqual([1, 2, 3]);
  });

  test("before the connection is there sends once it is", async () => {
    const via = aHost();
    const { port } = await listening(via, echo);
    const socket = connect({ port, via });
    expect(socket.connecting).toBe(true);
    socket.write("one ");
    socket.end("two");
    expect((await all(socket)).toString()).toBe("one two");
  });

  test("of an empty buffer calls back and sends nothing", async () => {
    const { here, there } = await pair(aHost());
    await new Promise((resolve) => here.write("", resolve));
    const text = all(there);
    here.end();
    expect((await text).length).toBe(0);
  });

  test("many times, corked, arrives as one", async () => {
    const { here, there } = await pair(aHost());
    const first = once(there, "data");
    here.cork();
    for (let i = 0; i < 100; i++) here.write("x");
    here.uncork();
    expect(((await first)[0] as Buffer).length).toBe(100);
  });
});

describe("back-pressure", () => {
  test("begins at highWaterMark", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via, highWaterMark: 1000 });
    expect(socket.writableHighWaterMark).toBe(1000);
    expect(socket.write(Buffer.alloc(999))).toBe(true);
    expect(socket.write("x")).toBe(false);
    await once(socket, "drain");
  });

  test("of a peer that does not read holds the write back, and drain says when to go on", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    let written = false;
    here.write(Buffer.alloc(16 << 20), () => (written = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(written).toBe(false);
    expect(here.writableNeedDrain).toBe(true);
    const drained = once(here, "drain");
    there.resume();
    await drained;
    expect(written).toBe(true);
  });

  test("holds a pipe back", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    let made = 0;
    const source = new Readable({
      read() {
        made += 65536;
        this.push(made > 64 << 20 ? null : Buffer.alloc(65536));
      },
    });
    source.pipe(here);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(made).toBeLessThan(8 << 20);
    source.destroy();
    here.destroy();
  });

  test("bufferSize says how much waits", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    here.write(Buffer.alloc(16 << 20));
    here.write("abc");
    expect(here.bufferSize).toBeGreaterThan(3);
  });
});

describe("bytesWritten and bytesRead", () => {
  test("count what goes over", async () => {
    const { here, there } = await pair(aHost());
    const text = all(there);
    here.write("grüße");
    here.end(Buffer.alloc(1000));
    await text;
    expect([here.bytesWritten, there.bytesRead]).toEqual([1007, 1007]);
    expect([here.bytesRead, there.bytesWritten]).toEqual([0, 0]);
  });

  test("count what waits for the connection", async () => {
    const via = aHost();
    const { port } = await listening(via);
    const socket = connect({ port, via });
    socket.write("grüße");
    socket.write("abc");
    expect(socket.bytesWritten).toBe(10);
    await once(socket, "connect");
  });

  test("count what the peer has not taken", async () => {
    const { here, there } = await pair(aHost());
    there.pause();
    here.write(Buffer.alloc(4 << 20));
    expect(here.bytesWritten).toBe(4 << 20);
  });

  test("stay when the socket is closed", async () => {
    const { here, there } = await pair(aHost());
    const text = all(there);
    here.end("abc");
    await text;
    here.destroy();
    await once(here, "close");
    expect(here.bytesWritten).toBe(3);
  });
});

describe("much data", () => {
  test("arrives byte for byte, both ways at once", async () => {
    const { here, there } = await pair(aHost());
    const sent = [randomBytes(5_000_001), randomBytes(3_000_003)];
    const received = [all(there), all(here)];
    here.end(sent[0]);
    there.end(sent[1]);
    expect((await received[0]).equals(sent[0])).toBe(true);
    expect((await received[1]).equals(sent[1])).toBe(true);
  });

  test("arrives byte for byte in writes of every size", async () => {
    const { here, there } = await pair(aHost());
    const sent = randomBytes(500 * 250);
    const received = all(there);
    for (let size = 1, at = 0; size < 500; at += size++) here.write(sent.subarray(at, at + size));
    here.end();
    const bytes = await received;
    expect(bytes.equals(sent.subarray(0, (499 * 500) / 2))).toBe(true);
  });

  test("comes back through an echo between hosts", async () => {
    const via = aHost();
    const server = neighbourOf(via, "server");
    const { port } = await listening(server, echo);
    const sent = randomBytes(2_000_000);
    const socket = connect({ port, host: "server", via });
    const received = all(socket);
    await pipeline(Readable.from([sent]), socket, { end: true }).catch(() => {});
    expect((await received).equals(sent)).toBe(true);
  });

  test("over a link that loses and reorders arrives all the same", async () => {
    const link = { loss: 0.02, reorder: 0.1, reorderDelay: 200, seed: 7 };
    const via = aHost({ link });
    const server = neighbourOf(via, "server");
    const { port } = await listening(server, echo);
    const sent = randomBytes(300_000);
    const socket = connect({ port, host: "server", via });
    const received = all(socket);
    socket.end(sent);
    expect((await received).equals(sent)).toBe(true);
  });
});

describe("many sockets", () => {
  test("1000 at once are served", async () => {
    const via = aHost();
    const { server, port } = await listening(via, echo);
    const sockets = Array.from({ length: 1000 }, () => connect({ port, via }));
    const answers = await Promise.all(
      sockets.map(async (socket, index) => {
        const text = all(socket);
        socket.end(`I am ${index}`);
        return (await text).toString();
      }),
    );
    expect(answers).toEqual(sockets.map((_, index) => `I am ${index}`));
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  test("1000 ping-pongs on one", async () => {
    const via = aHost();
    const { port } = await listening(via, echo);
    const socket = await connected({ port, via });
    let rounds = 0;
    await new Promise<void>((resolve) => {
      socket.on("data", (data: Buffer) => {
        expect(data.toString()).toBe("ping");
        if (++rounds === 1000) resolve();
        else socket.write("ping");
      });
      socket.write("ping");
    });
    expect(rounds).toBe(1000);
  });
});
