/** What a test that fails leaves behind, and that one leaves nothing running. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it, test, vi } from "vitest";
import { simTests, simulate } from "../../host/node/sim/index.ts";
import { expectSound } from "../support/expert.ts";
import { packets } from "../nic/pcapng-file.ts";

// What is said about failures that are meant to be is of no interest.
const silenced = vi.spyOn(console, "error").mockImplementation(() => {});
afterAll(() => silenced.mockRestore());

const captures = mkdtempSync(join(tmpdir(), "ixwasm-sim-"));
afterAll(() => rmSync(captures, { recursive: true }));

const run = promisify(execFile);
const cwd = fileURLToPath(new URL("../../", import.meta.url));

/** The error that a simulation ends with. */
const failure = (...args: Parameters<typeof simulate>): Promise<Error> =>
  simulate(...args).then(
    () => expect.fail("it did not fail"),
    (error: unknown) => error as Error,
  );

describe("a test that fails", () => {
  it("says its seed and time, and leaves a capture", async () => {
    const error = await failure("goes / wrong", { seed: 77, captures }, async (network) => {
      const [a, b] = ["a", "b"].map((name) => network.addHost(name));
      a.net.createServer().listen(7);
      b.net.connect(7, "a");
      await network.advance(50);
      expect(1).toBe(2);
    });
    expect(error.message).toMatch(/expected 1 to be 2/);
    expect(error.message).toMatch(/seed 77, at 50 ms; IXWASM_SEED=77 repeats it/);
    expect(error.stack).toContain("seed 77");
    expect(silenced).toHaveBeenLastCalledWith(expect.stringContaining("seed 77"));
    const file = join(captures, "goes-wrong-77.pcapng");
    expect(error.message).toContain(file);
    expect(packets(readFileSync(file)).length).toBeGreaterThan(5);
    expectSound(file);
  });

  it("keeps what was thrown, error or not", async () => {
    const kind = await failure("range", { captures }, () => {
      throw new RangeError("far");
    });
    expect(kind).toBeInstanceOf(RangeError);
    const odd = await failure("text", { captures }, () => Promise.reject("just text"));
    expect(odd.cause).toBe("just text");
  });

  it("says why there is no capture", async () => {
    const options = { captures: "/dev/null/nowhere" };
    const error = await failure("x", options, () => Promise.reject(new Error("y")));
    expect(error.message).toContain("not written");
  });

  it("takes the seed that the environment names", async () => {
    process.env["IXWASM_SEED"] = "4711";
    try {
      let seed = 0;
      await simulate("seeded", {}, (network) => void (seed = network.seed));
      expect(seed).toBe(4711);
    } finally {
      delete process.env["IXWASM_SEED"];
    }
  });

  it("puts the real timers back", async () => {
    const real = setTimeout;
    await failure("timers", { captures }, () => {
      expect(setTimeout).not.toBe(real);
      throw new Error("over");
    });
    expect(setTimeout).toBe(real);
  });
});

describe("node:test", () => {
  it("reports each failure with its seed, and its process ends", async () => {
    const env = { ...process.env, IXWASM_CAPTURES: captures, NODE_OPTIONS: "" };
    const args = ["--test-reporter=tap", "--test", "test/sim/fixtures/failing.js"];
    const failed = await run(process.execPath, args, { cwd, env, timeout: 60_000 }).then(
      () => expect.fail("it did not fail"),
      (error: unknown) => error as { stdout: string; stderr: string; killed: boolean },
    );
    expect(failed.killed).toBe(false);
    expect(failed.stdout).toContain("handler failed");
    expect(failed.stdout).toContain("in JSON");
    expect(failed.stdout).toContain("promise failed");
    expect(failed.stdout).toMatch(/# pass 1\n/);
    const said = failed.stdout + failed.stderr;
    expect(said).toMatch(/seed 11, at 0\.\d+ ms/);
    expect(said).toContain("seed 12, at 5 ms");
    expect(said).toContain("seed 13, at 5 ms");
    const left = ["in-a-handler-11.pcapng", "in-a-tick-12.pcapng", "in-a-promise-13.pcapng"];
    expect(readdirSync(captures)).toEqual(expect.arrayContaining(left));
    expectSound(join(captures, left[0]));
  }, 90_000);
});

describe("the process", () => {
  it("ends although a network with open connections was never closed", async () => {
    const program = `
      import { once } from "node:events";
      import { createNetwork } from "./dist/host/node/sim/index.js";
      const network = createNetwork();
      const [a, b] = ["a", "b"].map((name) => network.addHost(name));
      const server = a.net.createServer().listen(7);
      await network.run(once(server, "listening"));
      const socket = b.net.connect(7, "a");
      await network.run(once(socket, "connect"));
      console.log(socket.readyState);
    `;
    const args = ["--input-type=module", "-e", program];
    const { stdout } = await run(process.execPath, args, { cwd, timeout: 60_000 });
    expect(stdout).toBe("open\n");
  }, 90_000);
});

const simTest = simTests(test);

simTest("a test made with vitest's own runs in the network's time", async (network) => {
  const begin = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 600_000));
  expect(Date.now() - begin).toBe(600_000);
  expect(network.now).toBe(600_000);
});
