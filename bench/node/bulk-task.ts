/** One measurement of `bench net-bulk`, in a process of its own. */
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { serveTask } from "../lib/task.ts";
import { placeOf, type NodeSystem } from "./systems.ts";

interface NetBulkTask {
  readonly system: NodeSystem;
  readonly chunk: number;
  readonly seconds: number;
}

/** Time to warm up, ms. */
const WARMUP = 700;

serveTask(async ({ system, chunk, seconds }: NetBulkTask): Promise<Record<string, number>> => {
  const { net, server: at, client: from } = placeOf(system);
  let received = 0;
  const server = net.createServer({ ...at }, (socket) => {
    socket.on("data", (data) => (received += data.length));
  });
  server.listen({ port: 0, ...(system === "loopback" ? { host: "127.0.0.1" } : {}) });
  await once(server, "listening");
  const socket = net.connect({ port: (server.address() as AddressInfo).port, ...from });
  const bytes = Buffer.alloc(chunk, "bulk");
  const fill = (): void => {
    while (socket.write(bytes));
  };
  socket.on("connect", fill).on("drain", fill);
  await sleep(WARMUP);
  const [first, begin] = [received, performance.now()];
  await sleep(seconds * 1000);
  return { gbit_per_s: ((received - first) * 8) / (performance.now() - begin) / 1e6 };
});
