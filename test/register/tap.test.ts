/** An unmodified server behind a TAP device, and Linux's own curl in front of it. */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUSY } from "../support/expert.ts";
import { startCapture, type TapCapture } from "../tap/capture.ts";
import { Namespace, tapUnavailable } from "../tap/namespace.ts";

const register = new URL("../../dist/host/node/register/index.js", import.meta.url).href;
const program = fileURLToPath(new URL("programs/serve.mjs", import.meta.url));
const unavailable = tapUnavailable("curl");

describe.skipIf(unavailable)("a program on a TAP device", () => {
  let namespace: Namespace;
  let capture: TapCapture;

  beforeAll(async () => {
    namespace = new Namespace();
    const settings = ["IXWASM_TAP=tap0", "IXWASM_IP=10.9.0.2/24", "IXWASM_TAP_IP=10.9.0.1/24"];
    const node = [process.execPath, "--import", register, program];
    const server = namespace.start("env", ...settings, ...node);
    server.stderr!.on("data", (text: Buffer) => process.stderr.write(text));
    await once(server.stdout!, "data");
    capture = await startCapture(namespace);
  });

  afterAll(async () => {
    await capture.delete();
    await namespace.delete();
  });

  test("answers Linux", async () => {
    const { stdout } = await namespace.run("curl", ["-sS", "http://10.9.0.2:8080/hello"]);
    expect(stdout).toBe("/hello for 10.9.0.1\n");
    await capture.expectSound({ possible: BUSY });
  });
});
