/** `ixwasm run` as a user starts and ends it. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CoreSnapshot, Snapshot } from "../../host/node/cli/snapshot.ts";
import { LIGHT, Place } from "./support.ts";

const APPS = fileURLToPath(new URL("./fixtures/apps.js", import.meta.url));

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.delete());

describe("ixwasm run", () => {
  it("says what runs and where, and ends when its time is over", async () => {
    const run = await place.run(...LIGHT, "--cores", "2", "--duration", "3");
    expect(run.introduction).toMatch(/^echo: echo at 10\.9\.0\.2\/24, 2 cores, NIC: emulated/);
    expect(run.socket).toBe(place.socket("echo"));
    expect(statSync(dirname(run.socket)).mode & 0o777).toBe(0o700);
    expect(statSync(run.socket).mode & 0o777).toBe(0o600);
    expect(await run.outcome).toMatchObject({ code: 0, stderr: "" });
    expect(run.hasSocket).toBe(false);
  });

  it.each([
    ["SIGTERM", 0],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("ends on %s with exit code %i and leaves no socket", async (signal, code) => {
    const run = await place.run(...LIGHT);
    expect(await run.stop(signal)).toMatchObject({ code, stderr: "" });
    expect(run.hasSocket).toBe(false);
  });

  it("takes a signal that npx passes on a second time for the same", async () => {
    const run = await place.run(...LIGHT);
    run.child.kill("SIGINT");
    run.child.kill("SIGINT");
    expect(await run.stop("SIGINT")).toMatchObject({ code: 130, stderr: "" });
    expect(run.hasSocket).toBe(false);
  });

  it("replaces the socket of a run that was killed", async () => {
    const killed = await place.run(...LIGHT);
    await killed.stop("SIGKILL");
    expect(killed.hasSocket).toBe(true);
    expect((await place.ixwasm("stats")).stderr).toContain("nothing runs");
    const run = await place.run(...LIGHT);
    expect(await place.ixwasm("stats")).toMatchObject({ code: 0 });
    expect(await run.stop()).toMatchObject({ code: 0 });
  });

  it("refuses a name that is taken, and leaves the other run alone", async () => {
    const run = await place.run(...LIGHT);
    const { code, stderr } = await place.ixwasm("run", ...LIGHT);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: a run is alive at .*echo\.sock: give this one another --name/);
    expect(await place.ixwasm("stats")).toMatchObject({ code: 0 });
    await run.stop();
  });

  it("does not touch a file where its socket should be", async () => {
    const file = place.file("precious");
    writeFileSync(file, "data");
    const { code, stderr } = await place.ixwasm("run", ...LIGHT, "--socket", file);
    expect([code, stderr]).toEqual([1, expect.stringContaining("exists and is no socket")]);
    expect(readFileSync(file, "utf8")).toBe("data");
  });

  it("refuses a directory for sockets that others can enter", async () => {
    mkdirSync(dirname(place.socket("echo")), { mode: 0o755 });
    const { code, stderr } = await place.ixwasm("run", ...LIGHT);
    expect([code, stderr]).toEqual([1, expect.stringContaining("nobody else may enter")]);
    expect(existsSync(place.socket("echo"))).toBe(false);
  });

  it("runs an application of the user's, with the load on it", async () => {
    const options = JSON.stringify({ role: "echo", port: 99 });
    const run = await place.run(APPS, "--options", options, "--load", "--port", "99", ...LIGHT);
    expect(run.introduction).toMatch(/^apps: apps at/m);
    const load = async () => {
      const { stdout } = await place.ixwasm("top", "--json", "--count", "1", "--interval", "500");
      const { open, failed, messages } = JSON.parse(stdout).load;
      return [open, failed, messages > 0];
    };
    await expect.poll(load).toEqual([8, 0, true]);
    const ended = await run.stop();
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain("core 0: { role: 'echo' }\n");
  });

  it("runs an application at the other end of the cable", async () => {
    const options = JSON.stringify({ role: "caller", server: "10.9.0.2" });
    const run = await place.run(
      "--peer",
      APPS,
      "--peer-options",
      options,
      "--link",
      '{"delay":50}',
    );
    await expect
      .poll(async () => JSON.parse((await place.ixwasm("stats", "--json")).stdout), {
        timeout: 10_000,
      })
      .toMatchObject({ cores: [{ gauges: { connections: 1 } }] });
    expect(await run.stop()).toMatchObject({ code: 0 });
  });

  it("ends with 1 and the application's stack when it throws", async () => {
    const run = await place.run(APPS, "--options", '{"role":"faulty"}', "--load", ...LIGHT);
    const { code, stderr } = await run.outcome;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: core 0 of 10\.9\.0\.2 died: application made a mistake\n/);
    expect(stderr).toContain("apps.js");
    expect(run.hasSocket).toBe(false);
  });

  it.each([
    [{}, /^core 1 of 10\.9\.0\.2 died in the application: application made a mistake\n +at .*apps/],
    [{ hangs: true }, /^core 1 of 10\.9\.0\.2 did not answer for \d+ ms, being in the application/],
  ])("goes on with the cores that are left when one fails: %j", async (how, message) => {
    const options = JSON.stringify({ role: "faulty", core: 1, ...how });
    const args = [APPS, "--options", options, "--load", "--cores", "2", "--hang-timeout", "2000"];
    const run = await place.run(...args, ...LIGHT);
    const core = async (): Promise<CoreSnapshot> =>
      (JSON.parse((await place.ixwasm("stats", "--json")).stdout) as Snapshot).cores[1];
    await expect
      .poll(async () => (await core()).incidents["taken over"], { timeout: 15_000 })
      .toBe(1);
    expect(await core()).toMatchObject({ state: "idle", groups: 0 });
    const { stdout } = await place.ixwasm("stats", "--prometheus");
    expect(stdout).toContain('ixwasm_incidents_total{core="1",kind="taken over",run="apps"} 1\n');
    const { code, stderr } = await run.stop();
    expect(code).toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr).toContain("core 1 of 10.9.0.2: others have its connections now");
  });
});

describe("what `ixwasm run` refuses with exit code 2", () => {
  it.each([
    [["--cores", "many"], "Give a whole number from 1 to 64."],
    [["--cores", "65"], "Give a whole number from 1 to 64."],
    [["--port", "0"], "Give a whole number from 1 to 65535."],
    [["--ip", "10.0.0.1"], "such as 10.0.0.1/24"],
    [["--ip", "10.0.0.1/31"], "no room for a second address"],
    [["--metrics", "everywhere"], "such as 127.0.0.1:9464"],
    [["--duration", "soon"], "Give a number from"],
    [["--idle", "doze"], "Allowed choices are park, spin"],
    [["--link", "slow"], "Give JSON"],
    [["--link", '{"loss":2}'], "--link: loss"],
    [["--link", '{"loss":"some"}'], "--link: loss"],
    [["--link", '{"losss":2}'], '"--link.losss" is unknown'],
    [["--link", "7"], '"--link" must be an object'],
    [["--name", "a/b"], "a name has letters"],
    [["--gateway", "10.1.0.1"], "gateway"],
    [["--nonsense"], "unknown option '--nonsense'"],
    [["one.js", "two.js"], "too many arguments"],
    [["--host", "10.9.0.1/24"], "--host is for --tap"],
    [["--tap", "t0", "--load"], "--load is for emulated NICs"],
    [["--load", "--peer", "x.js"], "not both"],
    [["--peer-options", "{}"], "--peer-options is for --peer"],
    [["--options", "{}"], "--options is for an <app>"],
    [["app.js"], "needs somebody to talk to"],
    [["app.js", "--echo"], "not both"],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await place.ixwasm("run", ...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

describe("what `ixwasm run` cannot do, with exit code 1", () => {
  it.each([
    [["nowhere.js", "--load"], /there is no module .*nowhere\.js/],
    [["--socket", "/nowhere/at/all.sock"], /there is no directory \/nowhere\/at/],
    [["--socket", `/tmp/${"x".repeat(120)}.sock`], /too long for a socket/],
    [["--metrics", "192.0.2.1:9464"], /cannot serve metrics: .*; give another --metrics/],
  ])("%j", async (args, message) => {
    const { code, stderr } = await place.ixwasm("run", ...LIGHT, ...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(existsSync(place.socket("echo"))).toBe(false);
  });
});
