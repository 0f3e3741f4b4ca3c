/** One measurement of `bench http`, in a process of its own. */
import autocannon from "autocannon";
import { build } from "hdr-histogram-js";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createNetwork, serveHttp, setDefaultHost } from "../../host/node/net/index.ts";
import { serveTask } from "../lib/task.ts";
import type { NodeSystem } from "./systems.ts";

interface HttpTask {
  readonly system: NodeSystem;
  readonly conns: number;
  readonly pipeline: number;
  readonly size: number;
  readonly seconds: number;
}

/** Time to warm up, s. */
const WARMUP = 1;
/** Slower answers, µs, count as these. */
const SLOWEST = 60_000_000;

serveTask(async (task: HttpTask): Promise<Record<string, number>> => {
  const body = "x".repeat(task.size);
  const server = createServer((_, response) => response.end(body));
  const url = task.system === "two-hosts" ? elsewhere(server) : await here(server);
  await load(url, task, WARMUP);
  return load(url, task, task.seconds);
});

/** On the process's own host, be it the system's or a dataplane. */
function here(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    });
  });
}

/** On a host of its own, with the clients on another. */
function elsewhere(server: Server): string {
  const network = createNetwork();
  serveHttp(server, { via: network.addHost("server"), port: 80 });
  setDefaultHost(network.addHost("client"));
  return "http://server/";
}

function load(
  url: string,
  { conns, pipeline }: HttpTask,
  duration: number,
): Promise<Record<string, number>> {
  const micros = build({ lowestDiscernibleValue: 1, highestTrackableValue: SLOWEST });
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const options = { url, connections: conns, pipelining: pipeline, duration };
    const run = autocannon(options, (error: Error | null, result) => {
      if (error) return reject(error);
      const failed = result.errors + result.non2xx;
      if (failed > 0) return reject(new Error(`${failed} requests failed`));
      resolve({
        requests_per_s: (micros.totalCount * 1000) / (performance.now() - begin),
        p50_ms: micros.getValueAtPercentile(50) / 1000,
        p99_ms: micros.getValueAtPercentile(99) / 1000,
      });
    });
    run.on("response", (_client, _status, _bytes, milliseconds) => {
      micros.recordValue(Math.min(Math.round(milliseconds * 1000), SLOWEST));
    });
  });
}
