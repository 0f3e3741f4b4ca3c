/** The machine in one line: figures mean nothing without it. */
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
