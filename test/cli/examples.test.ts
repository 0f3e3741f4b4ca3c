/** The examples of the help texts and the README's tour do what they say. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectSound, LIVE } from "../support/expert.ts";
import { LIGHT, Place, PROGRAM, type LiveRun } from "./support.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const FIXTURE = path("./fixtures/apps.js");

/** What needs root, or a program that may not be there. */
const skipped = (line: string): boolean =>
  line.includes("sudo") || (line.includes("tshark") && !isInstalled("tshark"));

const CLIENTS = ["top", "stats", "capture", "migrate", "cores", "policy"];

let place: Place;
let run: LiveRun;
beforeAll(async () => {
  place = new Place();
  writeFileSync(place.file("app.js"), `export { default } from ${JSON.stringify(FIXTURE)};\n`);
  run = await place.run(...LIGHT, "--cores", "2");
});
afterAll(async () => {
  await run.stop();
  await place.delete();
});

/** Example lines of a help text, without what they are said to do. */
function examplesOf(command: string): string[] {
  const { stdout } = spawnSync(process.execPath, [PROGRAM, command, "--help"], {
    encoding: "utf8",
  });
  const lines = stdout.slice(stdout.indexOf("Examples:")).match(/^ {2}(sudo )?ixwasm .*$/gm) ?? [];
  return lines.map((line) => line.trim().split(/ {2,}/)[0]);
}

/** Starts a line in a shell that knows `ixwasm`, in the test's directory, as a process group. */
function shell(line: string): ChildProcess {
  const script = `ixwasm() { "${process.execPath}" "${PROGRAM}" "$@"; }\n${line}\n`;
  const env = { ...process.env, TMPDIR: place.directory };
  return spawn("bash", ["-c", script], { env, cwd: place.directory, detached: true });
}

/** Runs a line; one that would go on for ever is interrupted as by Ctrl-C once it has begun. */
async function runLine(line: string, interrupted: boolean) {
  const file = /\S+\.pcapng/.exec(line)?.[0];
  // What an example before has written tells nothing of this one.
  if (file !== undefined) rmSync(place.file(file), { force: true });
  const child = shell(line);
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (chunk) => (stdout += chunk));
  child.stderr!.on("data", (chunk) => (stderr += chunk));
  const closed = once(child, "close");
  if (interrupted) {
    const begun = () => (file === undefined ? stdout !== "" : hasBytes(place.file(file)));
    const ended = () => child.exitCode !== null;
    while (!begun() && !ended()) await sleep(20);
    await sleep(1000);
    if (!ended()) process.kill(-child.pid!, "SIGINT");
  }
  const [code] = (await closed) as [number | null];
  return { code, stdout, stderr };
}

function hasBytes(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Wireshark complains of nothing in the file that the line writes, if it writes one. */
function expectSoundCapture(line: string): void {
  const file = /\S+\.pcapng/.exec(line)?.[0];
  if (file !== undefined) expectSound(place.file(file), { possible: LIVE });
}

/** Whether the line ends by itself. */
function ends(line: string): boolean {
  const limited = /--(count|packets|seconds|json --count|duration)/.test(line);
  return limited || !/ixwasm (top|capture|run)/.test(line);
}

describe.each(CLIENTS)("examples of ixwasm %s --help", (command) => {
  it.each(examplesOf(command))("%s", async (line) => {
    if (skipped(line)) return;
    // Without an end of its own a pipeline would have to be interrupted on both sides.
    const bounded = line.includes("| tshark")
      ? line.replace("capture", "capture --packets 3")
      : line;
    const { code, stderr, stdout } = await runLine(bounded, !ends(bounded));
    expect([code, stderr.replace(/^[\d ]+ frames\n$/m, "")]).toEqual([
      0,
      expect.not.stringContaining("error"),
    ]);
    if (!line.includes(".pcapng")) expect(stdout).not.toBe("");
    expectSoundCapture(line);
  });
});

describe("examples of ixwasm run --help", () => {
  it.each(examplesOf("run"))("%s", async (line) => {
    if (skipped(line)) return;
    const own = `${line.replace(/9464/, "0")} --name example`;
    const { code, stdout, stderr } = await runLine(own, true);
    expect([code, stderr]).toEqual([130, ""]);
    expect(stdout).toContain("control socket: ");
  });
});

describe("the README's tour", () => {
  it("runs as it is written", async () => {
    const readme = readFileSync(path("../../README.md"), "utf8");
    const section = /\n## Command line\n([\s\S]*?)\n## /.exec(readme)![1];
    const lines = [...section.matchAll(/```sh\n([\s\S]*?)```/g)]
      .flatMap(([, block]) => block.trim().split("\n"))
      .map((line) => line.split("#")[0].trim())
      .filter((line) => line !== "");
    const port = String(await freePort());
    const [first, ...others] = lines.map((line) =>
      line.replace("npx ixwasm", "ixwasm").replace("9464", port),
    );
    expect(first).toMatch(/^ixwasm run /);
    const server = shell(
      `exec ${first.replace("ixwasm", `"${process.execPath}" "${PROGRAM}"`)} --name tour`,
    );
    await once(server.stdout!, "data");
    try {
      for (const line of others) {
        if (line.startsWith("curl") && !isInstalled("curl")) continue;
        const own = line.startsWith("ixwasm") ? `${line} --name tour` : line;
        const { code, stderr } = await runLine(own, !ends(own));
        expect([line, code, stderr]).toEqual([line, 0, expect.not.stringContaining("error")]);
        expectSoundCapture(line);
      }
    } finally {
      process.kill(server.pid!, "SIGTERM");
    }
    expect(await once(server, "close")).toEqual([0, null]);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
