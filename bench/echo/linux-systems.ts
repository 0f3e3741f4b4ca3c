/**
 * Linux's own TCP over loopback, server and client in a process each: `node:net`, and C with epoll. A
 * pair per core when there are several.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { optionArguments } from "../lib/child-options.ts";
import { NO_LATENCY, WARMUP } from "./system.ts";
import type { EchoParams, EchoSample, EchoSystem } from "./system.ts";

/** How to start one of the programs. */
interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
}

/** What a client prints. */
type ClientResult = Omit<EchoSample, "stages">;

/** Options that server and client both get. */
type CommonOptions = Readonly<Record<string, number>>;

abstract class LoopbackSystem implements EchoSystem {
  abstract readonly name: string;
  abstract readonly description: string;
  protected readonly common: CommonOptions = {};

  protected abstract server(): Program;
  protected abstract client(): Program;

  abstract prepare(): Promise<string | null>;

  async measure(params: EchoParams): Promise<EchoSample> {
    const lifetime = params.seconds + params.latency + 2 * WARMUP + 30;
    const servers = await Promise.all(
      Array.from({ length: params.cores }, () => this.#startServer(lifetime)),
    );
    try {
      const ports = servers.map(({ port }) => port);
      const results = params.seconds > 0 ? await this.#throughput(ports, params) : [];
      const { p50_us, p99_us } =
        params.latency > 0 ? await this.#latency(ports[0], params) : NO_LATENCY;
      return {
        messages: results.reduce((total, { messages }) => total + messages, 0),
        opened: results.reduce((total, { opened }) => total + opened, 0),
        seconds: results[0]?.seconds ?? 0,
        p50_us,
        p99_us,
      };
    } finally {
      for (const { child } of servers) child.kill("SIGKILL");
    }
  }

  /** A client for each server, all at the same time. */
  #throughput(ports: readonly number[], params: EchoParams): Promise<ClientResult[]> {
    const { conns, size, pipeline, rounds, cores, seconds } = params;
    const load = { size, pipeline, rounds, seconds, warmup: WARMUP };
    const clients = ports.map((port, core) => {
      const share = Math.floor((conns + cores - 1 - core) / cores);
      return this.#runClient(port, { ...load, conns: share });
    });
    return Promise.all(clients);
  }

  #latency(port: number, { size, latency }: EchoParams): Promise<ClientResult> {
    const one = { conns: 1, size, latency: 1, warmup: WARMUP, seconds: latency };
    return this.#runClient(port, one);
  }

  async #startServer(lifetime: number): Promise<{ child: ChildProcess; port: number }> {
    const child = start(this.server(), { ...this.common, lifetime });
    const port = Number(await firstLine(child));
    return { child, port };
  }

  async #runClient(port: number, options: CommonOptions): Promise<ClientResult> {
    const child = start(this.client(), { ...this.common, ...options, port });
    try {
      return JSON.parse(await firstLine(child)) as ClientResult;
    } finally {
      child.kill("SIGKILL");
    }
  }
}

/** Node's own TCP. */
export class NodeNet extends LoopbackSystem {
  readonly name = "node:net";
  readonly description = "node:net over loopback, a process each";

  prepare(): Promise<string | null> {
    return Promise.resolve(null);
  }

  protected server(): Program {
    return nodeProgram("../baseline/net-server.js");
  }

  protected client(): Program {
    return nodeProgram("../baseline/net-client.js");
  }
}

/** C on epoll; `spin` polls without ever sleeping. */
export class Epoll extends LoopbackSystem {
  readonly name: string;
  readonly description: string;
  protected override readonly common: CommonOptions;
  #directory = "";

  constructor(spin: boolean) {
    super();
    this.name = spin ? "epoll-spin" : "epoll";
    const how = spin ? "polled without sleeping" : "level-triggered";
    this.description = `C with epoll over loopback, a process each, ${how}`;
    this.common = { spin: spin ? 1 : 0 };
  }

  prepare(): Promise<string | null> {
    if (process.platform !== "linux") return Promise.resolve("epoll is Linux's");
    this.#directory = mkdtempSync(path.join(os.tmpdir(), "ixwasm-bench-"));
    try {
      for (const side of ["server", "client"]) {
        // The sources are not copied to dist.
        const source = new URL(`../../../bench/baseline/epoll-${side}.c`, import.meta.url);
        const flags = ["-O3", "-march=native", "-o", path.join(this.#directory, side)];
        execFileSync("cc", [...flags, fileURLToPath(source)], { stdio: "pipe" });
      }
      return Promise.resolve(null);
    } catch (error) {
      this.dispose();
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      return Promise.resolve(missing ? "no C compiler (cc) is installed" : String(error));
    }
  }

  dispose(): void {
    if (this.#directory !== "") rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = "";
  }

  protected server(): Program {
    return { command: path.join(this.#directory, "server"), arguments: [] };
  }

  protected client(): Program {
    return { command: path.join(this.#directory, "client"), arguments: [] };
  }
}

function nodeProgram(script: string): Program {
  const file = fileURLToPath(new URL(script, import.meta.url));
  return { command: process.execPath, arguments: [file] };
}

/** Starts a program that is to end with this process: it watches the channel, or its parent. */
function start(program: Program, options: CommonOptions): ChildProcess {
  const isNode = program.command === process.execPath;
  return spawn(program.command, [...program.arguments, ...optionArguments(options)], {
    stdio: ["ignore", "pipe", "pipe", ...(isNode ? (["ipc"] as const) : [])],
  });
}

/** The first line that a child prints; an error, with what it complains of, when it ends without. */
function firstLine(child: ChildProcess): Promise<string> {
  let complaint = "it ended without a result";
  readline.createInterface({ input: child.stderr! }).once("line", (line) => (complaint = line));
  return new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout! }).once("line", resolve);
    child.once("error", reject);
    child.once("close", () => reject(new Error(complaint)));
  });
}
