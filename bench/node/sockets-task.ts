/** One measurement of `bench net-sockets`, in a process of its own. */
import type { AddressInfo, Socket } from "node:net";
import { once } from "node:events";
import process from "node:process";
import { serveTask } from "../lib/task.ts";
import { placeOf, type NodeSystem, type Place } from "./systems.ts";

interface NetSocketsTask {
  readonly system: NodeSystem;
  readonly conns: number;
  readonly messages: number;
}

const SIZE = 64;

serveTask(async ({ system, conns, messages }: NetSocketsTask): Promise<Record<string, number>> => {
  const place = placeOf(system);
  const server = place.net.createServer({ ...place.server }, (socket) => socket.pipe(socket));
  server.listen({
    port: 0,
    backlog: conns,
    ...(system === "loopback" ? { host: "127.0.0.1" } : {}),
  });
  await once(server, "listening");
  const resident = process.memoryUsage.rss();
  const begin = performance.now();
  const sockets = await open(place, (server.address() as AddressInfo).port, conns);
  const opened = performance.now();
  await Promise.all(sockets.map((socket) => echo(socket, messages)));
  const end = performance.now();
  return {
    opened_per_s: (conns * 1000) / (opened - begin),
    echoes_per_s: (conns * messages * 1000) / (end - opened),
    resident_kib_each: (process.memoryUsage.rss() - resident) / 1024 / conns,
  };
});

/** Opens all at once. */
function open({ net, client }: Place, port: number, conns: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: conns }, async () => {
      const socket = net.connect({ port, ...client });
      await once(socket, "connect");
      return socket;
    }),
  );
}

/** Resolves when `messages` have come back, one after the other. */
function echo(socket: Socket, messages: number): Promise<void> {
  const message = Buffer.alloc(SIZE, "echo");
  return new Promise((resolve, reject) => {
    let left = messages * SIZE;
    socket.on("error", reject);
    socket.on("data", (data) => {
      left -= data.length;
      if (left === 0) resolve();
      else if (left % SIZE === 0) socket.write(message);
    });
    socket.write(message);
  });
}
