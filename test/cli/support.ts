/** What the suites of the command line share: the real program, in a directory for sockets of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The program, as it was built. */
export const PROGRAM = fileURLToPath(new URL("../../dist/host/node/cli/main.js", import.meta.url));

/** Little enough for a machine that has other things to do. */
export const LIGHT = ["--load-rate", "500", "--load-connections", "8"];

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The standard output as it is. */
  readonly bytes: Buffer;
}

/** A temporary directory of the test's own, in which runs have their sockets. */
export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), "ix-cli-"));
  readonly #children = new Set<ChildProcess>();

  /** Path of a file in the directory. */
  file(name: string): string {
    return join(this.directory, name);
  }

  /** Where the run `name` has its socket. */
  socket(name: string): string {
    return join(this.directory, `ixwasm-${process.getuid!()}`, `${name}.sock`);
  }

  spawn(...args: string[]): ChildProcess {
    const env = { ...process.env, TMPDIR: this.directory, NO_COLOR: "1" };
    const child = spawn(process.execPath, [PROGRAM, ...args], { env });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Runs the program to its end, which must come soon. */
  async ixwasm(...args: string[]): Promise<Outcome> {
    const child = this.spawn(...args);
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    const outcome = await outcomeOf(child);
    clearTimeout(timer);
    return outcome;
  }

  /** Starts `ixwasm run`, and returns when it is ready. */
  async run(...args: string[]): Promise<LiveRun> {
    const child = this.spawn("run", ...args);
    const outcome = outcomeOf(child);
    let introduction = "";
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (chunk: Buffer) => {
        introduction += chunk.toString();
        if (/^control socket: .*\n/m.test(introduction)) resolve();
      });
      child.once("close", resolve);
    });
    if (introduction === "") throw new Error((await outcome).stderr);
    return new LiveRun(child, outcome, introduction);
  }

  async delete(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export class LiveRun {
  readonly child: ChildProcess;
  /** How it ends. */
  readonly outcome: Promise<Outcome>;
  /** What it said when it was ready. */
  readonly introduction: string;
  readonly socket: string;

  constructor(child: ChildProcess, outcome: Promise<Outcome>, introduction: string) {
    this.child = child;
    this.outcome = outcome;
    this.introduction = introduction;
    this.socket = /control socket: (.*);/.exec(introduction)![1];
  }

  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Outcome> {
    this.child.kill(signal);
    return this.outcome;
  }

  get hasSocket(): boolean {
    return existsSync(this.socket);
  }
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout!.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr!.on("data", (chunk: Buffer) => stderr.push(chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return {
    code,
    stdout: Buffer.concat(stdout).toString(),
    bytes: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr).toString(),
  };
}

/** A connection to a control socket, below the level of the client. */
export class RawClient {
  readonly socket: Socket;
  /** What has come, line by line. */
  readonly replies: unknown[] = [];
  #notify: () => void = () => {};
  closed = false;

  constructor(path: string) {
    this.socket = createConnection(path);
    const lines = createInterface(this.socket);
    lines.on("line", (line) => {
      this.replies.push(JSON.parse(line));
      this.#notify();
    });
    // The interface hands on the errors of its socket.
    lines.on("error", () => {});
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
      this.#notify();
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** The next `count` replies, or as many as came before the end. */
  async take(count = 1): Promise<unknown[]> {
    await this.#until(() => this.replies.length >= count || this.closed);
    return this.replies.splice(0, count);
  }

  /** The first reply that matches. */
  async find(matches: (reply: { readonly id?: unknown; readonly result?: unknown }) => boolean) {
    const found = () => this.replies.find((reply) => matches(reply as object));
    await this.#until(() => found() !== undefined || this.closed);
    return found();
  }

  async ended(): Promise<void> {
    await this.#until(() => this.closed);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#notify = resolve));
  }
}
