/**
 * What openTap says where something is missing: koffi, the device, the right to use it. Each case is a
 * process of its own that lacks it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tapUnavailable } from "./namespace.ts";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));

const unavailable = tapUnavailable("setpriv", "unshare", "mount");

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ixwasm-"));
  cpSync(DIST, join(directory, "dist"), { recursive: true });
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  writeFileSync(
    join(directory, "open.mjs"),
    `import { openTap } from "${pathToFileURL(join(directory, "dist/host/node/tap.js")).href}";
     try {
       openTap({ name: "ixwasm-probe" }).close();
       console.log(JSON.stringify({ code: "none" }));
     } catch ({ name, code, message }) {
       console.log(JSON.stringify({ name, code, message }));
     }`,
  );
  // Whoever the process runs as.
  spawnSync("chmod", ["-R", "a+rX", directory]);
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Runs openTap in a process that the command before it has prepared. */
function openTapIn(...prefix: string[]): { name: string; code: string; message: string } {
  const [program, ...args] = [...prefix, process.execPath, join(directory, "open.mjs")];
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8", cwd: directory });
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`${stdout}\\n${stderr}`);
  }
}

describe("openTap without koffi", () => {
  it.skipIf(process.platform !== "linux")("asks for it", () => {
    expect(openTapIn()).toMatchObject({
      name: "TapError",
      code: "ERR_TAP_NO_KOFFI",
      message: expect.stringContaining("npm install koffi"),
    });
  });
});

describe.skipIf(unavailable)(`openTap${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  beforeEach(() => {
    const koffi = dirname(createRequire(import.meta.url).resolve("koffi"));
    const modules = join(directory, "node_modules");
    for (const part of ["koffi", "@koromix"]) {
      cpSync(join(koffi, "..", part), join(modules, part), { recursive: true });
    }
    spawnSync("chmod", ["-R", "a+rX", directory]);
  });

  it("works in a network namespace of its own", () => {
    expect(openTapIn("unshare", "--net")).toEqual({ code: "none" });
  });

  it("tells whoever may not make interfaces", () => {
    const error = openTapIn("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");
    expect(error).toMatchObject({ name: "TapError", code: "ERR_TAP_PERMISSION" });
    expect(error.message).toMatch(/root/);
    const noCapability = openTapIn("setpriv", "--bounding-set=-all", "--inh-caps=-all");
    expect(noCapability.code).toBe("ERR_TAP_PERMISSION");
    expect(noCapability.message).toMatch(/CAP_NET_ADMIN.*ip tuntap add/);
  });

  it("tells where there is no device", () => {
    const hide = 'mount -t tmpfs none /dev/net && exec "$@"';
    const error = openTapIn("unshare", "--mount", "sh", "-c", hide, "sh");
    expect(error).toMatchObject({ name: "TapError", code: "ERR_TAP_NO_DEVICE" });
    expect(error.message).toMatch(/modprobe tun/);
  });
});
