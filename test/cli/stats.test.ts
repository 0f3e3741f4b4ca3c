/** `ixwasm stats`, `ixwasm top` and the metrics of a live run. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Snapshot } from "../../host/node/cli/snapshot.ts";
import type { TopFrame } from "../../host/node/cli/top-view.ts";
import { LIGHT, Place, PROGRAM, type LiveRun } from "./support.ts";

/** Makes a terminal for another program (util-linux). */
const noScript = spawnSync("script", ["--version"]).status !== 0;

let place: Place;
let run: LiveRun;
beforeAll(async () => {
  place = new Place();
  run = await place.run(...LIGHT, "--cores", "2", "--metrics", "0");
});
afterAll(async () => {
  const { code, stderr } = await run.stop();
  await place.delete();
  expect([code, stderr]).toEqual([0, ""]);
});

const json = async <T>(...args: string[]): Promise<T> =>
  JSON.parse((await place.ixwasm(...args)).stdout) as T;

/** A snapshot in which the load is up. */
async function settled(): Promise<Snapshot> {
  let snapshot!: Snapshot;
  await expect
    .poll(async () => (snapshot = await json("stats", "--json")).load!.open, { timeout: 10_000 })
    .toBe(8);
  return snapshot;
}

describe("ixwasm stats", () => {
  it("has every counter and gauge of every core as JSON", async () => {
    const snapshot = await settled();
    expect(snapshot).toMatchObject({
      name: "echo",
      app: "echo",
      ip: "10.9.0.2/24",
      pid: run.child.pid,
      cores: [{ core: 0 }, { core: 1 }],
    });
    for (const { counters, gauges, nic } of snapshot.cores) {
      expect(counters.iterations).toBeGreaterThan(0);
      expect(gauges.fill).toBeGreaterThan(0);
      expect(nic.received).toBeGreaterThanOrEqual(0);
    }
    const accepts = snapshot.cores.map(({ counters }) => counters.tcpAccepts);
    expect(accepts[0] + accepts[1]).toBe(8);
  });

  it("prints a column for each core, without zeros unless asked", async () => {
    await settled();
    const { code, stdout } = await place.ixwasm("stats");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^counter +core 0 +core 1 +all$/m);
    expect(stdout).toMatch(/^tcpAccepts( +\d+){2} +8$/m);
    expect(stdout).not.toMatch(/^dropIpTtl/m);
    expect((await place.ixwasm("stats", "--all")).stdout).toMatch(/^dropIpTtl +0 +0 +0$/m);
  });

  it("prints what the metrics endpoint serves", async () => {
    await settled();
    const { stdout } = await place.ixwasm("stats", "--prometheus");
    const url = /metrics: (\S+)/.exec(run.introduction)![1];
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const served = await response.text();
    const names = (text: string) => text.match(/^# TYPE .*$/gm);
    expect(names(served)).toEqual(names(stdout));
    expect(served).toMatch(/^ixwasm_connections\{core="1",run="echo"\} \d+$/m);
  });

  it("gives every metric one HELP and one TYPE, and well-formed samples", async () => {
    const { stdout } = await place.ixwasm("stats", "--prometheus");
    const families = [...stdout.matchAll(/^# HELP (\S+) (.+)\n# TYPE (\S+) (counter|gauge)$/gm)];
    expect(families.length).toBeGreaterThan(60);
    expect(new Set(families.map(([, name]) => name)).size).toBe(families.length);
    for (const [, helped, , typed, type] of families) {
      expect(typed).toBe(helped);
      expect(helped.endsWith("_total")).toBe(type === "counter");
    }
    const samples = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const known = new Set(families.map(([, name]) => name));
    for (const sample of samples) {
      const [, name] = /^([a-z_]+)\{([a-z]+="[^"]*",?)+\} -?[\d.e+-]+$/.exec(sample) ?? [];
      expect(known.has(name), sample).toBe(true);
    }
  });

  it("counts up between two scrapes", async () => {
    const scrape = async (): Promise<number> => {
      const { stdout } = await place.ixwasm("stats", "--prometheus");
      return Number(/^ixwasm_load_messages_total\S* (\d+)$/m.exec(stdout)![1]);
    };
    await settled();
    const first = await scrape();
    await expect.poll(scrape, { timeout: 10_000 }).toBeGreaterThan(first);
  });

  it("refuses two formats at once", async () => {
    const { code, stderr } = await place.ixwasm("stats", "--json", "--prometheus");
    expect([code, stderr]).toEqual([2, expect.stringContaining("not both")]);
  });

  it("ends quietly when nobody reads what it prints", async () => {
    const child = place.spawn("stats", "--all");
    child.stdout!.destroy();
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(0);
  });
});

describe("the metrics endpoint", () => {
  it("has nothing anywhere else, and only answers GET", async () => {
    const url = /metrics: (\S+)/.exec(run.introduction)![1];
    expect((await fetch(new URL("/", url))).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
  });
});

describe("ixwasm top", () => {
  it("prints as many objects as asked for, a line each", async () => {
    await settled();
    const { code, stdout } = await place.ixwasm("top", "--json", "--count", "3", "-i", "1000");
    expect(code).toBe(0);
    const frames = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as TopFrame);
    expect(frames).toHaveLength(3);
    for (const frame of frames) {
      expect(frame.seconds).toBeGreaterThanOrEqual(0.99);
      expect(frame.cores.map(({ core, groups }) => [core, groups])).toEqual([
        [0, 64],
        [1, 64],
      ]);
      for (const { idle, batch } of frame.cores) {
        expect(idle).toBeGreaterThan(0);
        expect(idle).toBeLessThanOrEqual(1);
        expect(batch).toBeGreaterThanOrEqual(0);
      }
      expect(frame.cores[0].rxPackets + frame.cores[1].rxPackets).toBeGreaterThan(0);
      expect(frame.load).toMatchObject({ open: 8, failed: 0 });
      expect(frame.load!.p50).toBeLessThanOrEqual(frame.load!.p99);
    }
  });

  it("prints tables below each other where there is no terminal", async () => {
    const { stdout } = await place.ixwasm("top", "--count", "2", "--interval", "50");
    expect(
      stdout.match(/^core +state? *.*rx\/s/gm) ?? stdout.match(/^core .*rx\/s/gm),
    ).toHaveLength(2);
    expect(stdout).not.toContain("\x1b");
  });

  it.skipIf(noScript)("renews the table in place on a terminal", async () => {
    const line = `"${process.execPath}" "${PROGRAM}" top --count 2 --interval 50 -s "${run.socket}"`;
    const terminal = spawnSync("script", ["-qec", line, "/dev/null"], { encoding: "utf8" });
    const up = /\[(\d+)A/.exec(terminal.stdout)!;
    const tables = terminal.stdout.split(up[0]);
    expect(tables).toHaveLength(2);
    for (const table of tables) expect(table).toMatch(/^echo: [^]*\ncore [^]*\[J.?$/);
    // As many lines up as the first table has down.
    expect(Number(up[1])).toBe(tables[0].split("\n").length - 1);
  });

  it("ends with 0 on Ctrl-C", async () => {
    const child = place.spawn("top", "--interval", "100", "--json");
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    child.kill("SIGINT");
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
  });

  it.each([
    [["--interval", "0"], "Give a whole number from 10"],
    [["--interval", "fast"], "Give a whole number from 10"],
    [["--count", "-1"], "Give a whole number from 1"],
    [["extra"], "too many arguments"],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await place.ixwasm("top", ...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
