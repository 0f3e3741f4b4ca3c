/**
 * Moves many gigabytes and watches memory: a stream, and beside it echo connections that are reset and
 * reopened all the time, both inline in this process. At the end everything is closed, and nothing may
 * be in use.
 */
import process from "node:process";
import { EchoClient, STAT_MESSAGES, STAT_OPENED } from "../../examples/echo-client.ts";
import { EchoServer } from "../../examples/echo-server.ts";
import { InlineRunner } from "../../host/node/index.ts";
import { BulkReceiver, BulkSender } from "../bulk/apps.ts";
import { EchoLoad } from "../echo/load.ts";
import { createPair, SERVER_IP } from "../lib/pair.ts";
import { serveTask } from "../lib/task.ts";

export interface SoakTask {
  readonly gigabytes: number;
}

export interface SoakResult {
  readonly seconds: number;
  readonly bytes: number;
  readonly messages: number;
  readonly opened: number;
  /** Memory of the process, bytes, at each tenth of the way. */
  readonly resident: readonly number[];
  readonly heap: readonly number[];
  /** Non-empty when something was still in use at the end. */
  readonly leaks: string;
}

const GIGABYTE = 1e9;
const TENTHS = 10;
const ECHO = { conns: 64, size: 64, pipeline: 1, rounds: 100, cores: 1, batch: 64 };
/** Longest time for a tenth of the way, µs. */
const LIMIT = 600e6;

serveTask(({ gigabytes }: SoakTask): SoakResult => {
  const limit = gigabytes * GIGABYTE;
  const received = new SharedArrayBuffer(4);
  const bulk = { server: SERVER_IP, port: 9000, chunk: 65_536, limit, received };
  const stream = createPair({ tcp: { timeWait: 1000 } });
  const echo = createPair({ tcp: { timeWait: 1000 } });
  const load = new EchoLoad(ECHO, false);
  const sender = new BulkSender(bulk);
  const client = new EchoClient(load.client);
  const runner = new InlineRunner({ clock: "real" });
  runner.add(stream.server, { wire: stream.serverWire, app: () => new BulkReceiver(bulk) });
  runner.add(stream.client, { wire: stream.clientWire, app: () => sender });
  runner.add(echo.server, { wire: echo.serverWire, app: () => new EchoServer(load.server) });
  const [echoing] = runner.add(echo.client, { wire: echo.clientWire, app: () => client });

  const begin = performance.now();
  const kib = new Uint32Array(received);
  const resident: number[] = [];
  const heap: number[] = [];
  for (let tenth = 1; tenth <= TENTHS; tenth++) {
    const goal = Math.floor((limit * tenth) / TENTHS / 1024);
    if (!runner.run({ until: () => kib[0] >= goal, forMicros: LIMIT })) {
      throw new Error(`stuck at ${kib[0]} of ${goal} KiB`);
    }
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    resident.push(rss);
    heap.push(heapUsed);
  }
  const seconds = (performance.now() - begin) / 1000;
  client.stop(echoing.ix);
  runner.run({ until: () => sender.done, forMicros: 10e6 });
  // TIME-WAIT and whatever is still on its way.
  runner.run({ forMicros: 500_000 });
  return {
    seconds,
    bytes: limit,
    messages: load.count(STAT_MESSAGES),
    opened: load.count(STAT_OPENED),
    resident,
    heap,
    leaks: leaksOf([stream.server, stream.client, echo.server, echo.client]),
  };
});

function leaksOf(dataplanes: readonly { name: string; assertNoLeaks(): void }[]): string {
  const leaks: string[] = [];
  for (const dataplane of dataplanes) {
    try {
      dataplane.assertNoLeaks();
    } catch (error) {
      leaks.push(`${dataplane.name}: ${(error as Error).message}`);
    }
  }
  return leaks.join("; ");
}
