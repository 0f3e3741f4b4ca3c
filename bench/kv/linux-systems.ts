/**
 * Servers that Linux's own TCP talks to, loaded by the same program in C: Debian's memcached over loopback, and
 * the memcached server on ixwasm behind a TAP device.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createDataplane, openTap, startThreaded } from "../../host/node/index.ts";
import { cProgram, runClient, whyAbsent } from "../lib/programs.ts";
import { pointsOf } from "./points.ts";
import { RESULT_CELLS, RESULT_WORDS } from "./schedule.ts";
import { DRAIN, type KvParams, type KvPoint, type KvSystem, SETTLE, WARMUP } from "./system.ts";

const CLIENT = "kv-client";
const LOOPBACK = 0x7f000001;

/** What kv-client prints of a load: offered, answered, seconds, then cells and their counts. */
type PrintedLoad = readonly number[];

/** Has kv-client load the server at an address, as a number, and port. */
async function load(address: number, port: number, params: KvParams): Promise<KvPoint[]> {
  const { fractions, seconds, conns, depth, seed } = params;
  const printed = await runClient<readonly PrintedLoad[]>(cProgram(CLIENT), {
    ...{ address, port, seconds, conns, depth, seed },
    ...{ warmup: WARMUP, settle: SETTLE, drain: DRAIN },
    etc: params.load === "etc" ? 1 : 0,
    fractions: fractions.length,
    ...Object.fromEntries(fractions.map((fraction, i) => [`fraction${i}`, fraction])),
  });
  const results = new Float64Array(printed.length * RESULT_WORDS);
  for (const [at, one] of printed.entries()) {
    const result = results.subarray(at * RESULT_WORDS, (at + 1) * RESULT_WORDS);
    result.set(one.slice(0, RESULT_CELLS));
    for (let i = RESULT_CELLS; i < one.length; i += 2) result[RESULT_CELLS + one[i]] = one[i + 1];
  }
  return pointsOf(results, printed.length);
}

/** memcached with one thread, which is what the others have for serving. */
export class Memcached implements KvSystem {
  readonly name = "memcached";
  readonly description = "Debian's, with one thread, over loopback, loaded from C with epoll";

  absence(): Promise<string | null> {
    const found = spawnSync("memcached", ["-V"]).status === 0;
    return Promise.resolve(found ? whyAbsent(CLIENT) : "memcached is not installed");
  }

  async measure(params: KvParams): Promise<KvPoint[]> {
    const port = await freePort();
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const listen = ["-l", "127.0.0.1", "-p", String(port), "-U", "0"];
    const options = ["-t", "1", "-m", "64", "-c", String(params.conns + 64)];
    const server = spawn("memcached", [...listen, ...options, ...user], { stdio: "ignore" });
    const end = (): void => void server.kill("SIGKILL");
    process.once("exit", end);
    try {
      await answers(port, server);
      return await load(LOOPBACK, port, params);
    } finally {
      process.removeListener("exit", end);
      end();
    }
  }
}

/** Four addresses of the networks for benchmarks (RFC 2544), not those of another run at the same time. */
const NETWORK = 0xc6120000 + (process.pid % 2 ** 15) * 4;
const DATAPLANE = NETWORK + 2;
const TAP = { name: `ixkv${process.pid}`, address: cidrOf(NETWORK + 1) };
const PORT = 11211;

/** The server behind a TAP device, on one core. */
export class IxwasmTap implements KvSystem {
  readonly name = "ixwasm on TAP";
  readonly description = "the same client against ixwasm behind a TAP device, on one thread";

  absence(): Promise<string | null> {
    if (process.platform !== "linux") return Promise.resolve("TAP devices are Linux's");
    try {
      openTap(TAP).close();
      return Promise.resolve(whyAbsent(CLIENT));
    } catch (error) {
      return Promise.resolve((error as Error).message);
    }
  }

  async measure(params: KvParams): Promise<KvPoint[]> {
    const tap = openTap({ ...TAP, checksumOffload: true });
    try {
      const dataplane = createDataplane({
        ip: cidrOf(DATAPLANE),
        applicationWindow: 128 << 20,
        sharedWindow: 64 << 20,
        maxConnections: Math.max(2 * params.conns, 1024),
        offloads: tap.offloads,
        tcp: { profile: "lan" },
      });
      const module = new URL("../../examples/memcached/app.js", import.meta.url);
      const ends = [{ dataplane, wire: tap.wire, app: { module } }];
      const running = await startThreaded(ends, { idle: "spin" });
      try {
        return await load(DATAPLANE, PORT, params);
      } finally {
        await running.stop();
        await running.done;
      }
    } finally {
      tap.close();
    }
  }
}

function cidrOf(address: number): string {
  return `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".")}/30`;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

/** Waits until the server listens. */
async function answers(port: number, server: ChildProcess): Promise<void> {
  for (let tries = 0; ; tries++) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (tries === 100 || server.exitCode !== null) throw error;
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
}
