/** `ixwasm capture` of a live run. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { blocks, packets } from "../nic/pcapng-file.ts";
import { expectSound, LIVE } from "../support/expert.ts";
import { LIGHT, Place, RawClient, type LiveRun } from "./support.ts";

let place: Place;
let run: LiveRun;
beforeAll(async () => {
  place = new Place();
  run = await place.run(...LIGHT, "--cores", "2");
});
afterAll(async () => {
  await run.stop();
  await place.delete();
});

const clients: RawClient[] = [];
const connect = (): RawClient => {
  const client = new RawClient(run.socket);
  clients.push(client);
  return client;
};
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.destroy();
});

/** Waits until a capture is possible again. */
async function free(): Promise<void> {
  const file = place.file("probe.pcapng");
  await expect
    .poll(async () => (await place.ixwasm("capture", file, "--packets", "1")).code, {
      timeout: 10_000,
    })
    .toBe(0);
}

describe("ixwasm capture", () => {
  it("writes as many frames as asked for, in order, in both directions", async () => {
    const file = place.file("some.pcapng");
    const { code, stderr } = await place.ixwasm("capture", file, "--packets", "50");
    expect([code, stderr]).toEqual([0, "50 frames\n"]);
    const frames = packets(readFileSync(file));
    expect(frames).toHaveLength(50);
    const times = frames.map(({ time }) => time);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    // Timestamps are Unix time.
    expect(Math.abs(times[0] / 1000 - Date.now())).toBeLessThan(60_000);
    expect(new Set(frames.map(({ direction }) => direction))).toEqual(new Set([1, 2]));
    // Ethernet, to and from the dataplane's own MAC.
    for (const { bytes, direction } of frames) {
      const mac = Array.from(bytes.slice(direction === 1 ? 0 : 6).slice(0, 6));
      expect(mac).toEqual([2, 0, 10, 9, 0, 2]);
    }
    expect(blocks(readFileSync(file)).at(-1)!.type).toBe(5);
    expectSound(file, { possible: LIVE });
  });

  it("ends after so many seconds, and keeps only so many bytes", async () => {
    const file = place.file("short.pcapng");
    const { code } = await place.ixwasm("capture", file, "--seconds", "2", "--snap", "40");
    expect(code).toBe(0);
    const frames = packets(readFileSync(file));
    expect(frames.length).toBeGreaterThan(10);
    for (const { bytes, length } of frames) {
      expect(bytes.length).toBe(40);
      expect(length).toBeGreaterThan(40);
    }
    expectSound(file, { possible: LIVE });
  });

  it("ends on Ctrl-C with a whole file, and 0", async () => {
    const file = place.file("interrupted.pcapng");
    const child = place.spawn("capture", file);
    await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
    child.kill("SIGINT");
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
    expect(blocks(readFileSync(file)).at(-1)!.type).toBe(5);
    expectSound(file, { possible: LIVE });
  });

  it("writes to standard output", async () => {
    const { code, bytes } = await place.ixwasm("capture", "-", "--packets", "3");
    expect(code).toBe(0);
    expect(packets(bytes)).toHaveLength(3);
    expectSound(bytes, { possible: LIVE });
  });

  it("is one at a time: a second one is refused and does not touch its file", async () => {
    const first = connect();
    first.send('{"id":1,"command":"capture"}\n');
    await first.take();
    const file = place.file("mine.pcapng");
    writeFileSync(file, "mine");
    const { code, stderr } = await place.ixwasm("capture", file, "--packets", "1");
    expect([code, stderr]).toEqual([1, expect.stringContaining("a capture runs already")]);
    expect(readFileSync(file, "utf8")).toBe("mine");
    first.send('{"id":2,"command":"endCapture"}\n');
    const ended = await first.find(({ id, result }) => id === 1 && result !== undefined);
    expect(ended).toMatchObject({ result: { frames: expect.any(Number), dropped: 0 } });
  });

  it("ends when its client goes away", async () => {
    await free();
    const client = connect();
    client.send('{"command":"capture"}\n');
    await client.take();
    client.socket.destroy();
    await free();
  });

  it("can be ended by nobody but its client", async () => {
    await free();
    const owner = connect();
    owner.send('{"command":"capture"}\n');
    await owner.take();
    const other = connect();
    other.send('{"command":"endCapture"}\n');
    expect(await other.take()).toMatchObject([{ error: { code: "EINVAL" } }]);
    owner.socket.destroy();
    await free();
  });

  it("says which file it cannot write", async () => {
    await free();
    const { code, stderr } = await place.ixwasm("capture", "/nowhere/x.pcapng", "--packets", "5");
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("cannot write /nowhere/x.pcapng: ENOENT"),
    ]);
    await free();
  });

  it.each([
    [[], "missing required argument 'file'"],
    [["x.pcapng", "--packets", "0"], "Give a whole number from 1"],
    [["x.pcapng", "--seconds", "-1"], "Give a number from"],
    [["x.pcapng", "--snap", "1"], "Give a whole number from 14"],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await place.ixwasm("capture", ...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it.each([
    [{ frames: 0 }, /"frames" must be an integer/],
    [{ frames: "all" }, /"frames" must be an integer/],
    [{ seconds: -1 }, /"seconds" must be a number/],
    [{ snapLength: 1e9 }, /"snapLength" must be an integer/],
  ])("checks the request's %j", async (fields, message) => {
    const client = connect();
    client.send(`${JSON.stringify({ id: "x", command: "capture", ...fields })}\n`);
    const [reply] = await client.take();
    expect(reply).toMatchObject({ id: "x", error: { message: expect.stringMatching(message) } });
  });
});
