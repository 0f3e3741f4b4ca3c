/** libmemcached's programs on Linux, and the server on two cores behind a TAP device. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDataplane, openTap, startThreaded, type Tap } from "../../host/node/index.ts";
import type { Threaded } from "../../host/node/threaded.ts";
import { packageFile } from "../../host/node/kernel.ts";
import { BUSY } from "../support/expert.ts";
import {
  captureUnavailable,
  startCapture,
  type TapCapture,
  withoutCapture,
} from "../tap/capture.ts";
import { Namespace, tapUnavailable } from "../tap/namespace.ts";

const SERVER = "10.9.0.2";
const PROGRAMS = ["memccapable", "memccp", "memccat", "memcrm", "memcstat"];

const unavailable = tapUnavailable(...PROGRAMS);
const skipped = unavailable ? ` (skipped: ${unavailable})` : "";

describe.skipIf(unavailable)(`a memcached server on a TAP device${skipped}`, () => {
  let namespace: Namespace;
  let tap: Tap;
  let capture: TapCapture;
  let running: Threaded;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), "ixwasm-memcached-"));
    namespace = new Namespace();
    tap = openTap({
      name: "tap0",
      namespace: namespace.name,
      address: "10.9.0.1/24",
      queues: 2,
    });
    capture = await startCapture(namespace);
    const dataplane = createDataplane({
      ip: `${SERVER}/24`,
      cores: 2,
      applicationWindow: 64 << 20,
      sharedWindow: 40 << 20,
      offloads: tap.offloads,
    });
    const module = packageFile("dist/examples/memcached/app.js");
    running = await startThreaded([{ dataplane, wire: tap.wire, app: { module } }]);
  });

  afterAll(async () => {
    await running.stop();
    await capture.delete();
    tap.close();
    await namespace.delete();
    rmSync(directory, { recursive: true });
    await running.done;
  });

  const run = (program: string, ...args: string[]) =>
    namespace.run(program, args, { timeout: 60_000 });

  it.each([
    ["text", "-a"],
    ["binary", "-b"],
  ])(
    "passes all of memccapable's tests of the %s protocol",
    { timeout: 90_000 },
    async (_, flag) => {
      const { code, stdout, stderr } = await run("memccapable", "-h", SERVER, flag);
      expect(`${stdout}${stderr}`).not.toContain("FAIL");
      expect(`${stdout}${stderr}`).toContain("All tests passed");
      expect(code).toBe(0);
    },
  );

  it.each([
    ["text", []],
    ["binary", ["--binary"]],
  ] as const)("keeps files for the tools in %s", { timeout: 60_000 }, async (protocol, flags) => {
    const file = path.join(directory, `${protocol}-file`);
    const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 0xff));
    writeFileSync(file, content);
    const servers = [`--servers=${SERVER}`, ...flags];
    expect(await run("memccp", ...servers, file)).toMatchObject({ code: 0, stderr: "" });
    const back = path.join(directory, `${protocol}-back`);
    const got = await run("memccat", ...servers, `--file=${back}`, path.basename(file));
    expect(got).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(back).equals(content)).toBe(true);
    expect(await run("memcrm", ...servers, path.basename(file))).toMatchObject({ code: 0 });
    expect((await run("memccat", ...servers, path.basename(file))).code).not.toBe(0);
    const { stdout } = await run("memcstat", `--servers=${SERVER}`);
    expect(stdout).toMatch(/delete_hits: [1-9]/);
    expect(stdout).toMatch(/version: \d+\.\d+\.\d+/);
  });

  it.skipIf(captureUnavailable)(
    `has said nothing that Wireshark finds wrong${withoutCapture}`,
    { timeout: 60_000 },
    () =>
      // The programs reset their connections, not the server.
      capture.expectSound({
        filter: "!(ip.src == 10.9.0.1 && tcp.flags.reset == 1)",
        possible: BUSY,
      }),
  );
});
