/** Hosts of one network on several threads: who is asleep is woken by its doorbell, and nobody polls. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { createNetwork, joinNetwork } from "../../host/node/net/index.ts";
import type { HostHandle, Network, Socket } from "../../host/node/net/index.ts";
import { connected } from "./support.ts";

const entry = new URL("../../dist/host/node/net/index.js", import.meta.url).href;
const workers: Worker[] = [];
const networks: Network[] = [];

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  await Promise.all(networks.splice(0).map((network) => network.close()));
});

function aNetwork(...reserved: string[]): Network {
  const network = createNetwork();
  networks.push(network);
  for (const name of reserved) network.reserveHost(name);
  return network;
}

const prelude = `
  const { parentPort, workerData } = require("node:worker_threads");
  const http = require("node:http");
  const say = (message) => parentPort.postMessage(message);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));`;

/** A thread that runs a host; \`source\` has \`net\`, \`host\` and \`say\`. */
function thread(handle: HostHandle, source: string): Worker {
  const code = `${prelude}
    import(${JSON.stringify(entry)}).then(async (net) => {
      const host = net.joinNetwork(workerData);
      ${source}
    });`;
  const worker = new Worker(code, { eval: true, workerData: handle });
  workers.push(worker);
  return worker;
}

async function message(worker: Worker): Promise<unknown> {
  const [said] = await once(worker, "message");
  return said;
}

/** How often the event loop of an echoing thread has turned, and its core. */
async function activity(far: Worker): Promise<{ turns: number; iterations: number }> {
  const answer = message(far);
  far.postMessage("how busy?");
  return (await answer) as { turns: number; iterations: number };
}

/** A thread that echoes, and tells its activity when asked, and a socket of this one connected to it. */
async function echoFarAway(): Promise<{ far: Worker; socket: Socket }> {
  const network = aNetwork("far");
  const near = network.addHost("near");
  const far = thread(
    network.handleOf("far"),
    `const { nodeTiming } = require("node:perf_hooks").performance;
     parentPort.on("message", () => say({
       turns: nodeTiming.uvMetricsInfo.loopCount,
       iterations: host.dataplane.counters().iterations,
     }));
     net.createServer((socket) => socket.pipe(socket)).listen(7, () => say("listening"));`,
  );
  await message(far);
  const socket = await connected({ port: 7, host: "far", via: near });
  return { far, socket };
}

const SERVER = `
  const server = http.createServer((request, response) => response.end("thread says " + request.url));
  net.serveHttp(server, { port: 80 }).on("listening", () => say("listening"));`;

describe("two threads", () => {
  test("have an HTTP server in one and its client in the other", async () => {
    const network = aNetwork("web", "client");
    const web = thread(network.handleOf("web"), SERVER);
    expect(await message(web)).toBe("listening");
    const client = thread(
      network.handleOf("client"),
      `const agent = net.httpAgent({ keepAlive: true });
       for (let i = 0; i < 200; i++) {
         await new Promise((resolve) => http.get("http://web/" + i, { agent }, (response) => {
           let text = "";
           response.on("data", (data) => (text += data)).on("end", () => resolve(say(text)));
         }));
       }
       agent.destroy();`,
    );
    const texts: unknown[] = [];
    client.on("message", (text) => texts.push(text));
    await once(client, "exit");
    expect(texts).toEqual(Array.from({ length: 200 }, (_, i) => `thread says /${i}`));
  });

  test("carry a stream byte for byte, in bulk and both ways", async () => {
    const { socket } = await echoFarAway();
    const sent = Buffer.alloc(8 << 20, "0123456789abcdef!");
    socket.end(sent);
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
  });

  test("do nothing while nothing happens, and wake at once", async () => {
    const { far, socket } = await echoFarAway();
    await sleep(300);
    const before = await activity(far);
    await sleep(1000);
    const after = await activity(far);
    // Not in time, by which a thread that is kept waiting looks busy. Who asks every millisecond turns a thousand
    // times; some TCP timer may have come, for the last moment before which a core does not go to sleep.
    expect(after.turns - before.turns).toBeLessThan(50);
    expect(after.iterations - before.iterations).toBeLessThan(5000);
    const echoed = once(socket, "data");
    socket.write("still there?");
    expect(String((await echoed)[0])).toBe("still there?");
  });

  test("cannot run the same host", async () => {
    const network = aNetwork("once");
    const handle = network.handleOf("once");
    const host = joinNetwork(handle);
    expect(() => joinNetwork(handle)).toThrow(/attached already/);
    expect(() => host.network.addHost("more")).toThrow(/reserveHost/);
    await host.network.close();
  });

  test("a host that was not reserved has no handle", () => {
    expect(() => aNetwork("a").handleOf("b")).toThrow(/no host "b" was reserved/);
  });
});

test("a program with hosts on threads ends by itself, having used next to no processor time", async () => {
  const program = `
    import { Worker } from "node:worker_threads";
    import { createNetwork } from ${JSON.stringify(entry)};
    const network = createNetwork();
    for (const name of ["web", "client"]) network.reserveHost(name);
    const start = (name, source) => new Worker(\`import(${JSON.stringify(entry)}).then((net) => {
      net.joinNetwork(require("node:worker_threads").workerData); \${source} })\`,
      { eval: true, execArgv: [], workerData: network.handleOf(name) });
    start("web", \`const server = net.createServer((socket) => socket.end("bye")).listen(80, () => {
      require("node:worker_threads").parentPort.postMessage("up"); });
      server.once("connection", () => server.close());\`).once("message", () => {
      // Starting up, with its compilers, is not idling, and takes a busy machine a while.
      const look = (looks, used) => setTimeout(() => {
        const { user, system } = process.cpuUsage(used);
        const idle = user + system < 300_000;
        if (!idle && looks > 0) return look(looks - 1, process.cpuUsage());
        console.log(idle ? "idle" : "busy " + (user + system));
        start("client", \`net.connect(80, "web").on("data", (data) => console.log(String(data)));\`);
      }, 1000);
      setTimeout(() => look(5, process.cpuUsage()), 1000);
    });`;
  const args = ["--input-type=module", "-e", program];
  const ended = promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  // Of one that does not end it is good to know how far it came.
  const said = await ended.then(
    ({ stdout }) => `${stdout}ended`,
    ({ stdout, killed }: { stdout: string; killed: boolean }) =>
      `${stdout}${killed ? "killed" : "failed"}`,
  );
  expect(said.split("\n")).toEqual(["idle", "bye", "ended"]);
});
