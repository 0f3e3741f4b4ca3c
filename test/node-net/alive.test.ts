/** What keeps a process alive, and what does not: programs of their own. After node's test-net-*-unref. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const entry = new URL("../../dist/host/node/net/index.js", import.meta.url).href;
const run = promisify(execFile);

/** How long a program may take on a busy machine, ms. */
const PATIENCE = 60_000;

/**
 * Says after some turns of the event loop that the program is still alive, and ends it. Timers that are
 * unref'd keep nothing alive: without anything else the first turn is the last, however slow the machine.
 */
const WATCH = `
  let turns = 20;
  function watch() {
    if (turns-- > 0) setTimeout(watch, 25).unref();
    else { console.log("still alive"); process.exit(); }
  }`;

/**
 * What a program prints that has `net` and `watch`, until it ends.
 *
 * @throws it did not end
 */
async function program(source: string): Promise<string> {
  const code = `import * as net from ${JSON.stringify(entry)};\n${WATCH}\n${source}`;
  const args = ["--input-type=module", "-e", code];
  const { stdout } = await run(process.execPath, args, { timeout: PATIENCE });
  return stdout.trim();
}

describe.concurrent("a process", { timeout: 2 * PATIENCE }, () => {
  test("ends with an idle network in it", async () => {
    const source = `net.createNetwork().addHost("a"); net.defaultHost(); console.log("made"); watch();`;
    expect(await program(source)).toBe("made");
  });

  test("stays alive while a server listens", async () => {
    const source = `net.createServer().listen(80, () => { console.log("listening"); watch(); });`;
    expect(await program(source)).toBe("listening\nstill alive");
  });

  test("ends with a server that is unref'd", async () => {
    const source = `net.createServer().listen(80).unref(); console.log("made"); watch();`;
    expect(await program(source)).toBe("made");
  });

  test("ends when server and connections are closed", async () => {
    const source = `
      const server = net.createServer((socket) => socket.end("bye")).listen(80, () => {
        net.connect(80).on("data", (data) => console.log(String(data))).on("close", () => server.close(watch));
      });`;
    expect(await program(source)).toBe("bye");
  });

  test("stays alive while a connection is open", async () => {
    const source = `
      const server = net.createServer(() => { server.close(); watch(); }).listen(80, () => net.connect(80));`;
    expect(await program(source)).toBe("still alive");
  });

  test("ends with connections that are unref'd", async () => {
    const source = `
      const server = net.createServer((socket) => socket.unref()).listen(80, () => {
        const socket = net.connect(80, () => { server.unref(); socket.unref(); console.log("open"); watch(); });
      });`;
    expect(await program(source)).toBe("open");
  });

  test("stays alive again after ref", async () => {
    const source = `net.createServer().listen(80, watch).unref().ref();`;
    expect(await program(source)).toBe("still alive");
  });

  test("ends with a timeout that is set on an unref'd socket", async () => {
    const source = `new net.Socket().setTimeout(3_600_000); console.log("made"); watch();`;
    expect(await program(source)).toBe("made");
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
    expect(await program(source)).toBe("thrown\ny");
  });

  test("may require the module", async () => {
    const path = fileURLToPath(entry);
    const code = `const { createServer, isIP } = require(${JSON.stringify(path)});
      const server = createServer().listen(80, () => { console.log(isIP("::1")); server.close(); });`;
    const { stdout } = await run(process.execPath, ["--no-warnings", "-e", code]);
    expect(stdout.trim()).toBe("6");
  });
});
