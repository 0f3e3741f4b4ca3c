/** The two builds of the kernel; every suite that runs the kernel runs on both. */
import { readFileSync } from "node:fs";

export interface KernelBuild {
  readonly name: "debug" | "release";
  readonly bytes: Uint8Array;
  readonly module: WebAssembly.Module;
}

function read(name: KernelBuild["name"], file: string): KernelBuild {
  const bytes = readFileSync(new URL(`../../build/${file}`, import.meta.url));
  return { name, bytes, module: new WebAssembly.Module(bytes) };
}

export const debugKernel = read("debug", "debug.wasm");
export const releaseKernel = read("release", "dataplane.wasm");
export const kernels: readonly KernelBuild[] = [debugKernel, releaseKernel];
