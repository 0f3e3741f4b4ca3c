/** `ixwasm/sim` as others find it: by import and by require, and without Node. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { loadKernelSync } from "../../host/node/kernel.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import { createNetwork } from "../../host/sim/index.ts";
import { browserBundle } from "../support/browser-bundle.ts";

const run = promisify(execFile);
const cwd = fileURLToPath(new URL("../../", import.meta.url));

it.each([
  ["import", "module", 'import * as sim from "ixwasm/sim";'],
  ["require", "commonjs", 'const sim = require("ixwasm/sim");'],
])(
  "is found by %s",
  async (_, type, line) => {
    const program = `${line} sim.createNetwork({ seed: 3 }).advance(5).then(() => console.log("passed"));`;
    const args = ["--no-warnings", `--input-type=${type}`, "-e", program];
    const { stdout } = await run(process.execPath, args, { cwd, timeout: 60_000 });
    expect(stdout).toBe("passed\n");
  },
  90_000,
);

it("runs by the kernel that it is given, on nothing but an event loop", async () => {
  const network = createNetwork({ kernel: loadKernelSync(), seed: 3, timers: "virtual" });
  try {
    const [a, b] = ["a", "b"].map((name) => network.addHost(name));
    const heard: string[] = [];
    const bound = { bound: () => {}, message: () => {} };
    a.udp.bind(9, { ...bound, message: (bytes) => heard.push(new TextDecoder().decode(bytes)) });
    const socket = b.udp.bind(0, bound);
    await network.until(() => socket.handle !== 0);
    setTimeout(
      () => socket.send(new TextEncoder().encode("hello"), IpAddress.parse(a.address), 9),
      1000,
    );
    await network.until(() => heard.length > 0);
    expect(heard).toEqual(["hello"]);
    expect(network.now).toBeGreaterThan(1000);
  } finally {
    await network.close();
  }
});

it("bundles for a browser", async () => {
  expect(await browserBundle(`${cwd}host/sim/index.ts`)).toContain("SimulatedNetwork");
});
