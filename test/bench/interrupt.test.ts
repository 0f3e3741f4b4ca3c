/** Ctrl-C: the command ends at once, and whatever it had started with it. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { startBench } from "./bench-command.ts";

const LONG = ["--seconds", "60", "--results", tmpdir()];
/** Until processes are there, and until they are gone, ms. */
const PATIENCE = 20_000;
/** By then a measuring process is busy and hears nothing, ms. */
const BUSY = 1500;

describe.runIf(process.platform === "linux")("an interrupted run", () => {
  it.each([
    ["one busy thread", ["echo", "--systems", "inline"], 1],
    ["threads", ["echo", "--systems", "threaded"], 1],
    ["a server and a client", ["echo", "--systems", "net"], 2],
    ["a simulation", ["elastic"], 1],
    ["simulated cores", ["cores", "--costs", "reference", "--micros", "100000000"], 1],
  ])("of %s leaves no process behind", { timeout: 3 * PATIENCE }, async (_, args, processes) => {
    const child = startBench(...args, ...LONG);
    const ended = once(child, "exit");
    const options = { timeout: PATIENCE };
    await vi.waitFor(() => expect(descendants(child.pid!)).toHaveLength(processes), options);
    await sleep(BUSY);
    const started = descendants(child.pid!);
    expect(started).toHaveLength(processes);
    // The command alone, as a terminal does not: who it started shall not need to be told.
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    await vi.waitFor(() => expect(started.filter(isRunning)).toEqual([]), options);
  });
});

/** Processes that a process has started, and those that these have. */
function descendants(pid: number): number[] {
  const text = readProc(`${pid}/task/${pid}/children`).trim();
  const children = text === "" ? [] : text.split(" ").map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** False of what has ended, be it waited for or not. */
function isRunning(pid: number): boolean {
  return /\) [^XZ]/.test(readProc(`${pid}/stat`));
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}
