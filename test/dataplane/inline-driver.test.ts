/** A started inline runner: it runs when there is something to do, and only then. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { CNT_ITERATIONS } from "../../assembly/abi.ts";
import type { Dataplane } from "../../host/dataplane/dataplane.ts";
import { InlineRunner } from "../../host/dataplane/inline.ts";
import { connectPorts } from "../../host/nic/wiring.ts";
import { Ixev } from "../../host/libix/ixev.ts";
import { IXEVIN } from "../../host/libix/ixev-conditions.ts";
import { IxevContext } from "../../host/libix/ixev-context.ts";
import type { Ix } from "../../host/libix/ix.ts";
import type { LinkOptions } from "../../host/nic/types.ts";
import { startThreaded } from "../../host/node/index.ts";
import {
  CLIENT_IP,
  ECHO_MODULE,
  ECHO_PORT,
  echoApp,
  SERVER_IP,
  SERVER_OPTIONS,
  smallDataplane,
} from "./support.ts";

/** A client on the event layer, that the test drives from outside its rounds. */
function ixevClient(runner: InlineRunner) {
  let ixev!: Ixev;
  const received: number[] = [];
  const app = ({ ix }: { ix: Ix }): Ixev => {
    ixev = new Ixev(ix, {}, { wake: () => runner.wake() });
    return ixev;
  };
  const dial = (): IxevContext => {
    const context = new IxevContext();
    const bytes = new Uint8Array(1000);
    context.setHandler(IXEVIN, () => {
      for (let length = context.recv(bytes); length > 0; length = context.recv(bytes)) {
        received.push(...bytes.subarray(0, length));
      }
    });
    ixev.dial(context, SERVER_IP, ECHO_PORT);
    return context;
  };
  return { app, dial, received };
}

function startPair(link: LinkOptions = {}) {
  const server = smallDataplane(SERVER_IP);
  const client = smallDataplane(CLIENT_IP, { applicationWindow: 1 << 20 });
  const [fromServer, fromClient] = connectPorts(server.port, client.port, link);
  const runner = new InlineRunner({ clock: "real" });
  runner.add(server, { wire: fromServer, app: echoApp, options: SERVER_OPTIONS });
  const { app, dial, received } = ixevClient(runner);
  runner.add(client, { wire: fromClient, app });
  const done = runner.start();
  return { runner, server, client, dial, received, done };
}

function iterations({ memory, cores }: Dataplane): number {
  return Number(new BigUint64Array(memory.buffer)[(cores[0].block + CNT_ITERATIONS) / 8]);
}

describe("a started runner", () => {
  it("does nothing at all while nothing happens", async () => {
    const { runner, server, done } = startPair();
    await sleep(30);
    const before = iterations(server);
    await sleep(100);
    expect(iterations(server)).toBe(before);
    await runner.stop();
    await done;
  });

  it("goes on when the application makes calls between rounds", async () => {
    const { runner, dial, received } = startPair();
    await sleep(30);
    const context = dial();
    await expect.poll(() => context.isOpen).toBe(true);
    for (let i = 1; i <= 3; i++) {
      await sleep(20);
      context.send(Uint8Array.of(i));
      await expect.poll(() => received.length).toBe(i);
    }
    expect(received).toEqual([1, 2, 3]);
    await runner.stop();
  });

  it("keeps deadlines: a link's delay, and what a loss takes", async () => {
    const { runner, dial, received } = startPair({ delay: 5000, loss: 0.2, seed: 3 });
    const context = dial();
    await expect.poll(() => context.isOpen, { timeout: 10_000 }).toBe(true);
    context.send(new Uint8Array(3000).fill(7));
    await expect.poll(() => received.length, { timeout: 10_000 }).toBe(3000);
    await runner.stop();
  });

  it("is woken by frames from another thread", async () => {
    const server = smallDataplane(SERVER_IP);
    const client = smallDataplane(CLIENT_IP, { applicationWindow: 1 << 20 });
    const [fromServer, fromClient] = connectPorts(server.port, client.port);
    const runner = new InlineRunner({ clock: "real" });
    const { app, dial, received } = ixevClient(runner);
    runner.add(client, { wire: fromClient, app });
    const done = runner.start();
    const threaded = await startThreaded([
      {
        dataplane: server,
        wire: fromServer,
        app: { module: ECHO_MODULE, options: SERVER_OPTIONS },
      },
    ]);
    const context = dial();
    await expect.poll(() => context.isOpen).toBe(true);
    for (let i = 1; i <= 3; i++) {
      await sleep(20);
      const before = iterations(client);
      await sleep(20);
      expect(iterations(client)).toBe(before);
      context.send(Uint8Array.of(i));
      await expect.poll(() => received.length).toBe(i);
    }
    await threaded.stop();
    await runner.stop();
    await done;
  });
});

/** Starts a pair that is connected and idle, in a process of its own. */
const PROGRAM = `
  import { connectPorts, createDataplane, InlineRunner } from "./dist/host/node/index.js";
  const [a, b] = ["10.0.0.1/24", "10.0.0.2/24"].map((ip) => createDataplane({ ip }));
  const [fromA, fromB] = connectPorts(a.port, b.port);
  const runner = new InlineRunner({ clock: "real" });
  runner.add(a, { wire: fromA, app: () => ({ handle() {} }) });
  runner.add(b, { wire: fromB, app: () => ({ handle() {} }) });
  void runner.start();
  setTimeout(() => console.log("still here"), 50);
`;

describe("the process", () => {
  const run = promisify(execFile);
  const cwd = fileURLToPath(new URL("../../", import.meta.url));
  const node = (program: string, timeout: number) =>
    run(process.execPath, ["--input-type=module", "-e", program], { cwd, timeout });

  it("ends when only an unreferenced runner is left", async () => {
    const { stdout } = await node(`${PROGRAM} runner.unref();`, 20_000);
    expect(stdout).toBe("still here\n");
  });

  it("stays while the runner is referenced", async () => {
    await expect(node(`${PROGRAM} runner.unref(); runner.ref();`, 2000)).rejects.toMatchObject({
      killed: true,
      stdout: "still here\n",
    });
  });
});
