/** The bench command in a process of its own, as a user runs it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/index.js", import.meta.url));

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function bench(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

/** One that is not waited for; nobody reads what it prints. */
export function startBench(...args: string[]): ChildProcess {
  return spawn(process.execPath, [SCRIPT, ...args], { stdio: "ignore" });
}
