/** What keeps a process alive, and what does not: programs of their own. After node's test-net-*-unref. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const entry = new URL("../../dist/host/node/net/index.js", import.meta.url).href;
const run = promisify(execFile);

/** What a program prints that has `net`; it is killed when it has not ended after `timeout` ms. */
async function program(
  source: string,
  timeout = 10_000,
): Promise<{ text: string; killed: boolean }> {
  const code = `import * as net from ${JSON.stringify(entry)};\n${source}`;
  const child = run(process.execPath, ["--input-type=module", "-e", code], { timeout });
  return child.then(
    ({ stdout }) => ({ text: stdout.trim(), killed: false }),
    (error: { stdout: string; killed: boolean }) => ({
      text: error.stdout.trim(),
      killed: error.killed,
    }),
  );
}

const ENDS = { killed: false };

describe.concurrent("a process", () => {
  test("ends with an idle network in it", async () => {
    const source = `net.createNetwork().addHost("a"); net.defaultHost(); console.log("made");`;
    expect(await program(source)).toMatchObject({ ...ENDS, text: "made" });
  });

  test("stays alive while a server listens", async () => {
    const source = `net.createServer().listen(80, () => console.log("listening"));`;
    expect(await program(source, 1500)).toEqual({ killed: true, text: "listening" });
  });

  test("ends with a server that is unref'd", async () => {
    const source = `net.createServer().listen(80).unref();`;
    expect(await program(source)).toMatchObject(ENDS);
  });

  test("ends when server and connections are closed", async () => {
    const source = `
      const server = net.createServer((socket) => socket.end("bye")).listen(80, () => {
        net.connect(80).on("data", (data) => console.log(String(data))).on("close", () => server.close());
      });`;
    expect(await program(source)).toMatchObject({ ...ENDS, text: "bye" });
  });

  test("stays alive while a connection is open", async () => {
    const source = `
      const server = net.createServer(() => server.close()).listen(80, () => net.connect(80));`;
    expect(await program(source, 1500)).toMatchObject({ killed: true });
  });

  test("ends with connections that are unref'd", async () => {
    const source = `
      const server = net.createServer((socket) => socket.unref()).listen(80, () => {
        const socket = net.connect(80, () => { server.unref(); socket.unref(); console.log("open"); });
      });`;
    expect(await program(source)).toMatchObject({ ...ENDS, text: "open" });
  });

  test("stays alive again after ref", async () => {
    const source = `net.createServer().listen(80).unref().ref();`;
    expect(await program(source, 1500)).toMatchObject({ killed: true });
  });

  test("ends with a timeout that is set on an unref'd socket", async () => {
    const source = `new net.Socket().setTimeout(60_000);`;
    expect(await program(source)).toMatchObject(ENDS);
  });

  test("that survives what a listener throws has its network still", async () => {
    const source = `
      process.on("uncaughtException", (error) => console.log(error.message));
      const server = net.createServer((socket) => socket.pipe(socket)).listen(80, () => {
        const socket = net.connect(80, () => socket.write("x"));
        socket.once("data", () => {
          setImmediate(() => socket.write("y"));
          socket.once("data", (data) => { console.log(String(data)); process.exit(); });
          throw new Error("thrown");
        });
      });`;
    expect(await program(source)).toMatchObject({ ...ENDS, text: "thrown\ny" });
  });

  test("may require the module", async () => {
    const path = fileURLToPath(entry);
    const code = `const { createServer, isIP } = require(${JSON.stringify(path)});
      const server = createServer().listen(80, () => { console.log(isIP("::1")); server.close(); });`;
    const { stdout } = await run(process.execPath, ["--no-warnings", "-e", code]);
    expect(stdout.trim()).toBe("6");
  });
});
