/** `ixwasm cores`, `migrate` and `policy` on a live run whose load must not notice. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Snapshot } from "../../host/node/cli/snapshot.ts";
import { LIGHT, Place, RawClient, type LiveRun } from "./support.ts";

let place: Place;
let run: LiveRun;
beforeAll(async () => {
  place = new Place();
  run = await place.run(...LIGHT, "--cores", "3", "--active", "1");
});
afterAll(async () => {
  expect(await run.stop()).toMatchObject({ code: 0, stderr: "" });
  await place.delete();
});

const stats = async (...target: string[]): Promise<Snapshot> =>
  JSON.parse((await place.ixwasm("stats", "--json", ...target)).stdout) as Snapshot;

const groupsOf = ({ cores }: Snapshot): number[] => cores.map(({ groups }) => groups);
const statesOf = ({ cores }: Snapshot): string[] => cores.map(({ state }) => state);

/** Every connection of the load goes on, and is the first one: no message is lost on its way. */
async function loadGoesOn(): Promise<void> {
  const load = async () => (await stats()).load!;
  const { messages } = await load();
  await expect
    .poll(async () => (await load()).messages, { timeout: 10_000 })
    .toBeGreaterThan(messages);
  // Older than that only what will never come: a lost one grows older all the time.
  const { oldest } = await load();
  await sleep(400);
  await expect
    .poll(async () => (await load()).oldest, { timeout: 10_000 })
    .toBeLessThan(oldest + 300_000);
  expect(await load()).toMatchObject({ open: 8, opened: 8, failed: 0 });
}

describe("ixwasm cores", () => {
  it("shows which cores are active, and what they own", async () => {
    const { code, stdout } = await place.ixwasm("cores");
    expect(code).toBe(0);
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      expect.stringMatching(/^core +state +groups +conns$/),
      expect.stringMatching(/^0 +active +128 +\d+$/),
      expect.stringMatching(/^1 +idle +0 +0$/),
      expect.stringMatching(/^2 +idle +0 +0$/),
    ]);
  });

  it("adds cores and takes them away under load", async () => {
    for (const [count, groups] of [
      [2, [64, 64, 0]],
      [3, [43, 43, 42]],
      [1, [128, 0, 0]],
      [2, [64, 64, 0]],
    ] as const) {
      const { code, stderr } = await place.ixwasm("cores", String(count));
      expect([code, stderr]).toEqual([0, ""]);
      const snapshot = await stats();
      expect(groupsOf(snapshot).toSorted((a, b) => b - a)).toEqual(groups);
      expect(statesOf(snapshot).filter((state) => state === "active")).toHaveLength(count);
      await loadGoesOn();
    }
  });

  it.each([
    [["4"], 1, '"active" must be an integer from 1 to 3'],
    [["0"], 2, "Give a whole number from 1 to 64."],
    [["all"], 2, "Give a whole number from 1 to 64."],
  ])("refuses %j", async (args, code, message) => {
    const outcome = await place.ixwasm("cores", ...args);
    expect([outcome.code, outcome.stderr]).toEqual([code, expect.stringContaining(message)]);
  });
});

describe("ixwasm migrate", () => {
  it("moves flow groups and says what went along", async () => {
    await place.ixwasm("cores", "2");
    const before = await stats();
    const { code, stdout } = await place.ixwasm("migrate", "--groups", "0-127", "--to", "1");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cores +groups +conns +packets +µs\n0 → 1 +64 +\d+ +\d+ +[\d ]+\n$/);
    const after = await stats();
    expect(groupsOf(before)).toEqual([64, 64, 0]);
    expect(groupsOf(after)).toEqual([0, 128, 0]);
    expect(after.cores[1].gauges.connections).toBe(8);
    await loadGoesOn();
  });

  it("has nothing to do when they are there already", async () => {
    await place.ixwasm("migrate", "--groups", "5", "--to", "0");
    const again = await place.ixwasm("migrate", "--groups", "5", "--to", "0");
    expect(again).toMatchObject({ code: 0, stdout: "core 0 owns them already\n" });
  });

  it.each([
    [["--groups", "1", "--to", "2"], 1, "is not active"],
    [["--groups", "1", "--to", "9"], 1, '"to" must be an integer from 0 to 2'],
    [["--groups", "128", "--to", "0"], 2, "Give flow groups from 0 to 127"],
    [["--groups", "1"], 2, "required option '-t, --to <core>' not specified"],
    [["--to", "1"], 2, "required option '-g, --groups <list>' not specified"],
  ])("refuses %j", async (args, code, message) => {
    const outcome = await place.ixwasm("migrate", ...args);
    expect([outcome.code, outcome.stderr]).toEqual([code, expect.stringContaining(message)]);
    expect(outcome.stderr).not.toMatch(/^ {4}at /m);
  });
});

describe("ixwasm policy", () => {
  afterEach(async () => {
    await place.ixwasm("policy", "off");
  });

  it("says which one decides, and that is nobody at first", async () => {
    expect(await place.ixwasm("policy")).toMatchObject({ code: 0, stdout: "off\n" });
  });

  it("takes away cores that are not needed, and refuses to be meddled with", async () => {
    await place.ixwasm("cores", "3");
    const set = await place.ixwasm("policy", "delay");
    expect(set).toMatchObject({ code: 0, stdout: "delay, 0 changes so far\n" });
    const refused = await place.ixwasm("cores", "3");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("the policy delay decides on cores: ixwasm policy off ends that"),
    ]);
    await expect
      .poll(async () => statesOf(await stats()).filter((state) => state === "active").length, {
        timeout: 15_000,
      })
      .toBeLessThan(3);
    expect((await place.ixwasm("policy")).stdout).toMatch(/^delay, [1-9]\d* changes so far\n$/);
    await loadGoesOn();
    expect(await place.ixwasm("policy", "off")).toMatchObject({ code: 0, stdout: "off\n" });
    expect(await place.ixwasm("cores", "2")).toMatchObject({ code: 0 });
  });

  it.each(["energy", "consolidation", "min-max", "balance"])("can be %s", async (name) => {
    const { code, stdout } = await place.ixwasm("policy", name);
    expect([code, stdout]).toEqual([0, `${name}, 0 changes so far\n`]);
    expect((await stats()).policy).toMatchObject({ policy: name });
    await loadGoesOn();
  });

  it("is none that does not exist", async () => {
    const { code, stderr } = await place.ixwasm("policy", "greed");
    expect([code, stderr]).toEqual([2, expect.stringContaining("Allowed choices are delay, ")]);
  });

  it("can decide from the start", async () => {
    const args = [...LIGHT, "--cores", "2", "--policy", "min-max", "--name", "decided"];
    const other = await place.run(...args);
    expect((await stats("--name", "decided")).policy).toMatchObject({ policy: "min-max" });
    expect(await other.stop()).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("the requests behind them", () => {
  it.each([
    [{ command: "cores" }, '"active" must be'],
    [{ command: "cores", active: [] }, '"active" must be'],
    [{ command: "cores", active: [0, 7] }, '"active" must be an integer from 0 to 2'],
    [{ command: "cores", active: "2" }, '"active" must be'],
    [{ command: "migrate", groups: [1] }, '"to" must be'],
    [{ command: "migrate", groups: "1", to: 0 }, '"groups" must be an array'],
    [{ command: "migrate", groups: [], to: 0 }, '"groups" must be'],
    [{ command: "migrate", groups: [1.5], to: 0 }, '"groups" must be an integer from 0 to 127'],
    [{ command: "policy", name: 7 }, "there is no policy 7, only delay, "],
    [{ command: "policy", name: "constructor" }, "there is no policy"],
  ])("%j is refused", async (request, message) => {
    const client = new RawClient(run.socket);
    client.send(`${JSON.stringify({ id: 1, ...request })}\n`);
    const reply = { id: 1, error: { message: expect.stringContaining(message) } };
    expect(await client.take()).toMatchObject([reply]);
    client.socket.destroy();
  });

  it("takes a list of cores", async () => {
    const client = new RawClient(run.socket);
    client.send('{"command":"cores","active":[2]}\n');
    expect(await client.take()).toEqual([{ result: { active: [2] } }]);
    expect(groupsOf(await stats())).toEqual([0, 0, 128]);
    await loadGoesOn();
    client.send('{"command":"cores","active":2}\n');
    expect(await client.take()).toEqual([{ result: { active: [0, 1] } }]);
    client.socket.destroy();
  });
});
