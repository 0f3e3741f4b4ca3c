/** Debian's memcached, to compare with. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bytes } from "./support.ts";

/** Why it cannot be had, or undefined. */
export function memcachedUnavailable(): string | undefined {
  const found = spawnSync("sh", ["-c", "command -v memcached"]).status === 0;
  return found ? undefined : "memcached is not installed";
}

export class RealMemcached {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start(): Promise<RealMemcached> {
    const port = await freePort();
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const listen = ["-l", "127.0.0.1", "-p", String(port), "-U", "0"];
    // Its LRU maintainer holds an item for a moment once it was read a few times, and `decr` then
    // stores "1" where it writes "1  " into an item that nobody holds: the answers must not hang on that.
    const steady = ["-o", "no_lru_maintainer"];
    const options = [...listen, ...steady, ...user];
    const child = spawn("memcached", options, { stdio: "ignore" });
    const server = new RealMemcached(child, port);
    for (let tries = 0; ; tries++) {
      try {
        const socket = await server.#connect();
        socket.destroy();
        return server;
      } catch (error) {
        if (tries > 100 || child.exitCode !== null) throw error;
        await sleep(20);
      }
    }
  }

  /** What it answers to a connection's bytes, sent in pieces, until it closes the connection. */
  async exchange(...pieces: Bytes[]): Promise<string> {
    const socket = await this.#connect();
    const parts: Buffer[] = [];
    socket.on("data", (part) => parts.push(part));
    socket.on("error", () => {});
    const closed = once(socket, "close");
    for (const piece of pieces) {
      if (pieces.length > 1) await sleep(5);
      socket.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
    }
    const timer = setTimeout(() => socket.destroy(), 5000);
    await closed;
    clearTimeout(timer);
    return Buffer.concat(parts).toString("latin1");
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  async #connect(): Promise<net.Socket> {
    const socket = net.connect(this.#port, "127.0.0.1");
    socket.setNoDelay(true);
    await once(socket, "connect");
    return socket;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}
