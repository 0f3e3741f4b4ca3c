/**
 * A network namespace of the test's own: whatever happens in it stays in it. `delete` ends the
 * processes that were started in it, by their ids, and takes every interface with it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";

export interface Outcome {
  /** Exit code; null when a signal ended the process. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Written to the process's standard input. */
  readonly input?: string | Uint8Array;
  /** Give the standard output as one character a byte. Default: as UTF-8. */
  readonly binary?: boolean;
  /** The process is killed after so many milliseconds. Default 20 000. */
  readonly timeout?: number;
}

let made = 0;

export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  constructor() {
    this.name = `ixwasm-${process.pid}-${made++}`;
    command("ip", ["netns", "add", this.name]);
    // Router solicitations and the like would be frames that no test has sent.
    this.ip("link", "set", "lo", "up");
    const script = "for conf in all default; do echo 1 > $conf/disable_ipv6; done";
    const directory = "/proc/sys/net/ipv6/conf";
    command("ip", ["netns", "exec", this.name, "sh", "-c", `cd ${directory} && ${script}`]);
  }

  /** Runs `ip` on the namespace, and returns what it prints. */
  ip(...args: string[]): string {
    return command("ip", ["-n", this.name, ...args]);
  }

  /** Starts a program in the namespace. */
  start(program: string, ...args: string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.name, program, ...args]);
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Runs a program in the namespace to its end. */
  run(program: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.start(program, ...args);
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeout ?? 20_000);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout!.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr!.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A program that ends early does not read all of its input.
    child.stdin!.on("error", () => {});
    child.stdin!.end(options.input);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        clearTimeout(timer);
        resolve({
          code,
          stdout: Buffer.concat(stdout).toString(options.binary ? "latin1" : "utf8"),
          stderr: Buffer.concat(stderr).toString(),
        });
      });
    });
  }

  /** Ends what was started and removes the namespace. */
  async delete(): Promise<void> {
    const running = [...this.#children].filter((child) => child.exitCode === null);
    const ended = running.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of running) child.kill("SIGKILL");
    await Promise.all(ended);
    command("ip", ["netns", "delete", this.name]);
  }
}

/** Why no TAP can be had here, or undefined when one can. */
export function tapUnavailable(...programs: string[]): string | undefined {
  if (process.platform !== "linux") return `a TAP needs Linux, this is ${process.platform}`;
  try {
    createRequire(import.meta.url).resolve("koffi");
  } catch {
    return "koffi is not installed";
  }
  if (process.getuid?.() !== 0) return "making a network namespace needs root";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch (error) {
    return `/dev/net/tun: ${(error as NodeJS.ErrnoException).code}`;
  }
  const missing = ["ip", ...programs].filter((program) => !isInstalled(program));
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
  const probe = `ixwasm-${process.pid}-probe`;
  const result = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" });
  if (result.status !== 0) return `no network namespace: ${result.stderr.trim()}`;
  spawnSync("ip", ["netns", "delete", probe]);
  return undefined;
}

function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function command(program: string, args: string[]): string {
  const result = spawnSync(program, args, { encoding: "utf8" });
  if (result.status === 0) return result.stdout;
  throw new Error(`${program} ${args.join(" ")}: ${result.error?.message ?? result.stderr.trim()}`);
}
