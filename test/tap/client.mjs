/**
 * Linux's side of a test, run by Node inside the test's namespace: node client.mjs COMMAND OPTIONS,
 * with OPTIONS as JSON. Prints one line of JSON.
 */
import { connect, createServer } from "node:net";
import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";

const crc = (bytes) => crc32(bytes).toString(16).padStart(8, "0");

/** A connection whose bytes are read by count. */
class Connection {
  #chunks = [];
  #length = 0;
  #waiting = undefined;
  error = undefined;
  ended = false;

  constructor(host, port, options = {}) {
    this.socket = connect({ host, port, ...options });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("error", reject);
    });
    this.socket.on("error", (error) => {
      this.error = error;
      this.#wake();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    this.socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
  }

  /** The next `length` bytes; rejects when the connection ends before. */
  async read(length) {
    while (this.#length < length) {
      if (this.error) throw this.error;
      if (this.ended) throw new Error(`ended after ${this.#length} of ${length} bytes`);
      await new Promise((resolve) => (this.#waiting = resolve));
    }
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all.subarray(length)];
    this.#length -= length;
    return all.subarray(0, length);
  }

  /** A response's head as text, and its body. */
  async response() {
    let head = Buffer.alloc(0);
    while (!head.includes("\r\n\r\n")) head = Buffer.concat([head, await this.read(1)]);
    const text = head.toString("latin1");
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    return { status: Number(text.split(" ")[1]), head: text, body: await this.read(length) };
  }

  /** Resolves when the peer has ended its stream, with how many bytes were not read. */
  async end() {
    while (!this.ended && !this.error) await new Promise((resolve) => (this.#waiting = resolve));
    return { left: this.#length, error: this.error?.code };
  }

  #wake() {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

const get = (path) => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`;

const commands = {
  /** Opens `count` connections, and uses each of them only when all are open. */
  async parallel({ host, count, bytes, rounds }) {
    const connections = Array.from({ length: count }, () => new Connection(host, 80));
    await Promise.all(connections.map((connection) => connection.opened));
    const checksums = new Set();
    const statuses = {};
    for (let round = 0; round < rounds; round++) {
      const responses = await Promise.all(
        connections.map(async (connection, i) => {
          connection.socket.write(get(`/bytes/${bytes}`));
          const download = await connection.response();
          const body = Buffer.alloc(1 + (i % 5000), i);
          connection.socket.write(
            `PUT /sink HTTP/1.1\r\nHost: test\r\nContent-Length: ${body.length}\r\n\r\n`,
          );
          connection.socket.write(body);
          const upload = await connection.response();
          if (JSON.parse(upload.body.toString()).crc32 !== crc(body))
            throw new Error("sink differs");
          return download;
        }),
      );
      for (const { status, body } of responses) {
        statuses[status] = (statuses[status] ?? 0) + 1;
        checksums.add(crc(body));
      }
    }
    for (const { socket } of connections) socket.end();
    const ends = await Promise.all(connections.map((connection) => connection.end()));
    return { statuses, checksums: [...checksums], clean: ends.every(({ error }) => !error) };
  },

  /** Sends `text`, cut into pieces of `piece` bytes with pauses, and reads `responses` responses. */
  async talk({ host, text, piece = text.length, pause = 0, responses = 1 }) {
    const connection = new Connection(host, 80, { allowHalfOpen: true });
    await connection.opened;
    connection.socket.setNoDelay(true);
    for (let at = 0; at < text.length; at += piece) {
      connection.socket.write(text.slice(at, at + piece), "latin1");
      if (pause) await sleep(pause);
    }
    const seen = [];
    for (let i = 0; i < responses; i++) {
      const { status, head, body } = await connection.response();
      seen.push({ status, head, length: body.length, crc32: crc(body) });
    }
    connection.socket.end();
    return { responses: seen, end: await connection.end() };
  },

  /** Ends its own stream before the response has come (half-close). */
  async halfClose({ host, bytes }) {
    const connection = new Connection(host, 80, { allowHalfOpen: true });
    await connection.opened;
    connection.socket.end(get(`/bytes/${bytes}`));
    const { body } = await connection.response();
    return { length: body.length, crc32: crc(body), end: await connection.end() };
  },

  /** Lets the responder run into a closed window for `pause` ms. */
  async slowReader({ host, bytes, pause }) {
    const connection = new Connection(host, 80);
    await connection.opened;
    connection.socket.write(get(`/bytes/${bytes}`));
    await connection.read(1000);
    connection.socket.pause();
    await sleep(pause);
    connection.socket.resume();
    let rest = 0;
    while (rest < bytes - 1000) rest += (await connection.read(1000)).length;
    connection.socket.destroy();
    return { read: rest + 1000 };
  },

  /** Opens connections, asks for more than it reads, and resets them. */
  async reset({ host, count }) {
    for (let i = 0; i < count; i++) {
      const connection = new Connection(host, 80);
      await connection.opened;
      connection.socket.write(get("/bytes/1000000"));
      await connection.read(1 + 1000 * i);
      connection.socket.resetAndDestroy();
    }
    return {};
  },

  /** What becomes of a connection to a port nobody listens on, and of a datagram. */
  async refused({ host }) {
    const tcp = await new Connection(host, 81).opened.then(
      () => "connected",
      (error) => error.code,
    );
    const udp = await new Promise((resolve) => {
      const socket = createSocket("udp4");
      socket.once("error", (error) => resolve(error.code));
      socket.connect(9, host, () => socket.send("anybody there?"));
      setTimeout(() => resolve("nothing"), 2000).unref();
    });
    return { tcp, udp };
  },

  /** Listens, echoes what it gets on each connection until its end, and reports when stdin ends. */
  async echoServer({ port }) {
    let connections = 0;
    let bytes = 0;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      connections++;
      socket.on("data", (chunk) => (bytes += chunk.length));
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    await new Promise((resolve) => server.listen(port, resolve));
    console.log("listening");
    process.stdin.resume();
    await new Promise((resolve) => process.stdin.once("end", resolve));
    server.close();
    return { connections, bytes };
  },
};

const [command, options] = process.argv.slice(2);
const result = await commands[command](JSON.parse(options));
console.log(JSON.stringify(result));
process.exit(0);
