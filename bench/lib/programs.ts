/**
 * Programs that are measured beside ixwasm, each in a process of its own: scripts of the bench, and C
 * sources that are compiled when they are first wanted. What a program has found is a line on stdout.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { optionArguments } from "./child-options.ts";

/** How to start one. */
export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
}

export type ProgramOptions = Readonly<Record<string, number | string>>;

/** A script for Node at `url`. */
export function script(url: URL): Program {
  return { command: process.execPath, arguments: [fileURLToPath(url)] };
}

const compiled = new Map<string, Program>();
let directory = "";

/**
 * The program of `bench/baseline/NAME.c`; compiled once, gone when this process ends.
 *
 * @throws {Error} there is no Linux or no C compiler, or it complains
 */
export function cProgram(name: string): Program {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  if (process.platform !== "linux") throw new Error("epoll is Linux's");
  if (directory === "") {
    directory = mkdtempSync(path.join(os.tmpdir(), "ixwasm-bench-"));
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  }
  const command = path.join(directory, name);
  // The sources are not copied to dist.
  const source = new URL(`../../../bench/baseline/${name}.c`, import.meta.url);
  const flags = ["-O3", "-march=native", "-o", command, fileURLToPath(source), "-lm"];
  try {
    execFileSync("cc", flags, { stdio: "pipe" });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(missing ? "no C compiler (cc) is installed" : String(error), { cause: error });
  }
  const program = { command, arguments: [] };
  compiled.set(name, program);
  return program;
}

/** Why one of the C programs cannot be had here; null: all can. */
export function whyAbsent(...names: readonly string[]): string | null {
  try {
    for (const name of names) cProgram(name);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Starts a program that is to end with this process: it watches the channel, or its parent. */
export function start(program: Program, options: ProgramOptions): ChildProcess {
  const isNode = program.command === process.execPath;
  return spawn(program.command, [...program.arguments, ...optionArguments(options)], {
    stdio: ["ignore", "pipe", "pipe", ...(isNode ? (["ipc"] as const) : [])],
  });
}

/** The first line that a child prints; an error, with what it complains of, when it ends without. */
export function firstLine(child: ChildProcess): Promise<string> {
  let complaint = "it ended without a result";
  readline.createInterface({ input: child.stderr! }).once("line", (line) => (complaint = line));
  return new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout! }).once("line", resolve);
    child.once("error", reject);
    child.once("close", () => reject(new Error(complaint)));
  });
}

/** Starts a server and has `use` measure it at the port that it prints; ends it. */
export async function withServer<Result>(
  program: Program,
  options: ProgramOptions,
  use: (port: number) => Promise<Result>,
): Promise<Result> {
  const child = start(program, options);
  try {
    return await use(Number(await firstLine(child)));
  } finally {
    child.kill("SIGKILL");
  }
}

/** Runs a client to its end and returns the JSON that it prints. */
export async function runClient<Result>(
  program: Program,
  options: ProgramOptions,
): Promise<Result> {
  const child = start(program, options);
  try {
    return JSON.parse(await firstLine(child)) as Result;
  } finally {
    child.kill("SIGKILL");
  }
}
