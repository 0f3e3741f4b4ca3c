import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { instantiateSync } from "@assemblyscript/loader";
import { compileString } from "assemblyscript/asc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ABI_VERSION } from "../../assembly/abi.ts";
import { KernelError } from "../../host/dataplane/errors.ts";
import { instantiateKernel } from "../../host/dataplane/kernel.ts";
import { loadKernel as fetchKernel } from "../../host/dataplane/load-kernel.ts";
import { loadKernel, loadKernelSync, packageFile } from "../../host/node/kernel.ts";
import { kernelOfAbi } from "../support/other-kernel.ts";
import { SERVER_IP, smallDataplane } from "./support.ts";

/** Something with the kernel's exports, the first of which breaks an assertion. */
const FAILING_KERNEL = `
  export function initialize(now: f64): i32 { assert(now > 0, "time must pass"); return 0; }
  export function attach(core: u32, now: f64): i32 { return 0; }
  export function adopt(core: u32, now: f64): i32 { return 0; }
  export function rescue(core: u32, now: f64): i32 { return 0; }
  export function steered(now: f64): void {}
  export function abiVersion(): u32 { return ${ABI_VERSION}; }
  export function forget(): void {}
  export function poll(now: f64): u32 { return 0; }
  export function dispatch(now: f64): void {}
  export function stage(which: u32, now: f64): u32 { return 0; }
  export function addRoute(): i32 { return 0; }
  export function removeRoute(): i32 { return 0; }
  export function addNeighbour(): i32 { return 0; }
  export function announce(): void {}
`;

describe("an instance of the kernel", () => {
  it("says in words why it aborts", async () => {
    const { binary, stderr } = await compileString(FAILING_KERNEL, {
      runtime: "stub",
      importMemory: true,
      sharedMemory: true,
      initialMemory: 2,
      maximumMemory: 2,
      enable: ["threads"],
    });
    if (!binary) throw new Error(stderr.toString());
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const module = new WebAssembly.Module(binary.slice());
    const kernel = instantiateKernel(module, memory);
    expect(kernel.initialize(1)).toBe(0);
    expect(() => kernel.initialize(0)).toThrow(KernelError);
    expect(() => kernel.initialize(0)).toThrow(
      "ixwasm: kernel aborted: time must pass (input.ts:2:",
    );
    // As AssemblyScript's own loader has it.
    const { exports } = instantiateSync(module, { env: { memory } });
    const initialize = exports.initialize as (now: number) => number;
    expect(() => initialize(0)).toThrow("time must pass");
  });

  it.each([ABI_VERSION - 1, ABI_VERSION + 1])(
    "is not made of a kernel of another build, version %i of the ABI",
    async (version) => {
      const kernel = await kernelOfAbi(version);
      const message = new RegExp(
        `for version ${version} of the ABI, and this host is of version ${ABI_VERSION}. Both must come from one`,
      );
      const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
      expect(() => instantiateKernel(kernel, memory)).toThrow(message);
      expect(() => smallDataplane(SERVER_IP, { kernel })).toThrow(KernelError);
      expect(() => smallDataplane(SERVER_IP, { kernel })).toThrow(message);
    },
  );

  it("is not made over a memory that does not suit it", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    expect(() => instantiateKernel(loadKernelSync(), memory)).toThrow(KernelError);
  });
});

describe("loading the kernel", () => {
  const bytes = readFileSync(packageFile("build/dataplane.wasm"));
  let server: Server;
  let base: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === "/missing.wasm") response.statusCode = 404;
      else if (request.url === "/typed.wasm")
        response.setHeader("content-type", "application/wasm");
      response.end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => server.close());

  it("gives the same module every time, from the package", async () => {
    expect(await loadKernel()).toBe(loadKernelSync());
    expect(loadKernelSync("debug")).not.toBe(loadKernelSync());
  });

  it.each(["/typed.wasm", "/untyped.wasm"])("works over HTTP: %s", async (path) => {
    const kernel = await fetchKernel(`${base}${path}`);
    expect(smallDataplane(SERVER_IP, { kernel }).cores).toHaveLength(1);
    await expect(loadKernel(`${base}${path}`)).resolves.toBeInstanceOf(WebAssembly.Module);
  });

  it("works from a file elsewhere", async () => {
    const module = await loadKernel(packageFile("build/debug.wasm"));
    expect(module).toBeInstanceOf(WebAssembly.Module);
  });

  it("says what it did not find", async () => {
    await expect(fetchKernel(`${base}/missing.wasm`)).rejects.toThrow(
      /missing.wasm: 404 Not Found/,
    );
  });
});
