/**
 * Fetches the kernel where there is no file system. On Node, `host/node/kernel.ts` reads it instead.
 */
import { KernelError } from "./errors.ts";

/**
 * Compiles the kernel.
 *
 * @param url where dataplane.wasm is. Default: its place in the package, seen from dist/; bundlers
 *   that know `new URL(…, import.meta.url)` take the file along.
 */
export async function loadKernel(
  url: string | URL = new URL("../../../build/dataplane.wasm", import.meta.url),
): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new KernelError(`${url}: ${response.status} ${response.statusText}`);
  // Streaming compilation is refused for any other type, which some servers send.
  if (response.headers.get("content-type") === "application/wasm") {
    return WebAssembly.compileStreaming(response);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}
