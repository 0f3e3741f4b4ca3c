/** The machine, the versions and the commit: figures mean nothing without them. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import process from "node:process";

export function describeMachine(): string {
  const cpus = os.cpus();
  const model = cpus[0]?.model.replaceAll(/\s+/g, " ").trim() || os.arch();
  return [
    `${model}, ${cpus.length} core${cpus.length === 1 ? "" : "s"}`,
    `Node ${process.versions.node} (V8 ${process.versions.v8})`,
    `${os.type()} ${os.release()}`,
  ].join(" · ");
}

export function versions(): Record<string, string> {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return { ixwasm: version, node: process.versions.node, v8: process.versions.v8 };
}

/** The commit of the sources, with "+" when they were changed since; null outside a repository. */
export function sourceCommit(): string | null {
  const cwd = new URL("../../../", import.meta.url);
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const commit = git("rev-parse", "--short=12", "HEAD").trim();
    return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}+`;
  } catch {
    return null;
  }
}
