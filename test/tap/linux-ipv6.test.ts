/** Linux's own IPv6 against the dataplane through a TAP device: its ping, its neighbours, its curl. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { patternBytes } from "../../examples/http-responder-app.ts";
import type { KernelBuild } from "../../host/node/index.ts";
import { BUSY } from "../support/expert.ts";
import { captureUnavailable, startCapture, withoutCapture } from "./capture.ts";
import { tapUnavailable } from "./namespace.ts";
import { DATAPLANE6, type Responder, startResponder6, THREE_PINGS } from "./responder.ts";

const URL_BASE = `http://[${DATAPLANE6}]`;

const unavailable = tapUnavailable("ping", "curl");
const crc = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(8, "0");
const reason = (why: string | undefined): string => (why ? ` (skipped: ${why})` : "");

describe.skipIf(unavailable).each<[KernelBuild, "inline" | "threaded"]>([
  ["debug", "inline"],
  ["release", "threaded"],
])(`Linux's IPv6 and the %s kernel, %s${reason(unavailable)}`, (build, run) => {
  let responder: Responder;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ixwasm-"));
    responder = await startResponder6({ build, run });
  }, 60_000);

  afterAll(async () => {
    await responder.stop();
    rmSync(directory, { recursive: true });
  });

  afterEach(() => responder.settle());

  /** Runs a program in the namespace, which must succeed. Returns what it prints. */
  const linux = async (program: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await responder.namespace.run(program, args, {
      timeout: 60_000,
    });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return stdout;
  };

  const curl = (...args: string[]): Promise<string> =>
    linux("curl", "-6", "-g", "-sS", "-m", "50", ...args);

  it.each([0, 1, 56, 1452, 1453, 8000, 60_000])("ping: %i bytes come back", async (size) => {
    const output = await linux("ping", "-6", ...THREE_PINGS, "-s", `${size}`, DATAPLANE6);
    expect(output).toContain("3 packets transmitted, 3 received, 0% packet loss");
    expect(output).not.toMatch(/wrong data|DUP|checksum/i);
  });

  it("answers neighbour solicitations, for its link-local address too", async () => {
    responder.namespace.ip("-6", "neigh", "flush", "dev", "tap0");
    await linux("ping", "-6", "-c", "1", DATAPLANE6);
    const mac = Buffer.from(responder.dataplane.port.mac).toString("hex").match(/../g)!.join(":");
    expect(responder.namespace.ip("-6", "neigh", "show", DATAPLANE6)).toContain(
      `lladdr ${mac} REACHABLE`,
    );
    const [a, b, c, d, e, f] = mac.split(":");
    const first = (Number.parseInt(a, 16) ^ 2).toString(16).padStart(2, "0");
    const near = `fe80::${first}${b}:${c}ff:fe${d}:${e}${f}%tap0`;
    expect(await linux("ping", "-6", "-c", "1", near)).toContain(" 0% packet loss");
  });

  it("answers IPv4 as before", async () => {
    expect(await linux("ping", "-c", "1", "10.9.0.2")).toContain(" 0% packet loss");
  });

  it.each([0, 1, 1440, 1441, 999_984])("curl gets %i bytes", async (size) => {
    const file = join(directory, "bytes");
    await curl("-o", file, `${URL_BASE}/bytes/${size}`);
    const bytes = size === 0 ? new Uint8Array() : readFileSync(file);
    expect(bytes.length).toBe(size);
    expect(crc(bytes)).toBe(crc(patternBytes(size)));
  });

  it("curl puts", async () => {
    const file = join(directory, "upload");
    for (const size of [1, 100_000, 2_000_000]) {
      const bytes = randomBytes(size);
      writeFileSync(file, bytes);
      const expected = { bytes: size, crc32: crc(bytes) };
      expect(JSON.parse(await curl("-T", file, `${URL_BASE}/sink`))).toEqual(expected);
    }
  });

  it.skipIf(captureUnavailable)(
    `Wireshark finds nothing wrong with either side${withoutCapture}`,
    () => responder.capture.expectSound({ possible: BUSY }),
    120_000,
  );

  it.runIf(build === "release")(
    "carries 100 MB each way",
    async () => {
      const capture = await startCapture(responder.namespace, { snapLength: 128 });
      const size = 100_000_000;
      const file = join(directory, "much");
      await curl("-o", file, `${URL_BASE}/bytes/${size}`);
      const bytes = readFileSync(file);
      expect(bytes.length).toBe(size);
      expect(JSON.parse(await curl("-T", file, `${URL_BASE}/sink`))).toEqual({
        bytes: size,
        crc32: crc(bytes),
      });
      await capture.expectSound({ possible: BUSY });
      await capture.delete();
    },
    120_000,
  );
});
