/** Sockets as streams without Node: bundled for a browser, run where no global of Node is. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { expect, test } from "vitest";
import { browserBundle } from "../support/browser-bundle.ts";

const entry = fileURLToPath(new URL("../../host/net/streams.ts", import.meta.url));
const kernel = fileURLToPath(new URL("../../build/dataplane.wasm", import.meta.url));

/** What a page has of its own, and no more. */
const PAGE = {
  AbortController,
  AbortSignal,
  clearTimeout,
  console,
  crypto,
  MessageChannel,
  performance,
  queueMicrotask,
  ReadableStream,
  setTimeout,
  TextDecoder,
  TextEncoder,
  URL,
  WritableStream,
};

const PROGRAM = `(async () => {
  const module = await WebAssembly.compile(kernel);
  const network = new ixwasm.Network({ kernel: module });
  const via = network.addHost("page");
  const listener = ixwasm.listen({ via, port: 80 });
  await listener.opened;
  const client = ixwasm.connect("page:80", { via });
  const server = (await listener.next()).value;
  void server.readable.pipeTo(server.writable).catch(() => {});
  const writer = client.writable.getWriter();
  await writer.write(new TextEncoder().encode("hello, page"));
  const { value } = await client.readable.getReader().read();
  const text = new TextDecoder().decode(value);
  await client.close();
  await network.close();
  return text;
})()`;

test("a page talks to itself", async () => {
  const text = await browserBundle(entry, {
    format: "iife",
    globalName: "ixwasm",
    // Without modules there is no default place of the kernel; this page brings it along.
    logOverride: { "empty-import-meta": "silent" },
  });
  const context = createContext({ ...PAGE, kernel: new Uint8Array(readFileSync(kernel)) });
  runInContext(text, context);
  expect(await runInContext("typeof process", context)).toBe("undefined");
  expect(await runInContext(PROGRAM, context)).toBe("hello, page");
});
