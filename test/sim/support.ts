/** Networks that suites of ixwasm/sim share; each is closed after its test. */
import { once } from "node:events";
import { afterEach } from "vitest";
import type { Server, Socket } from "../../host/node/net/index.ts";
import { createNetwork } from "../../host/node/sim/index.ts";
import type {
  NodeSimulatedNetwork,
  NodeSimulationOptions,
  SimulatedHost,
} from "../../host/node/sim/index.ts";

const networks: NodeSimulatedNetwork[] = [];

afterEach(async () => {
  await Promise.all(networks.splice(0).map((network) => network.close()));
});

/** A network with hosts of these names. */
export function aNetwork(
  names: readonly string[] = [],
  options: NodeSimulationOptions = {},
): NodeSimulatedNetwork {
  const network = createNetwork({ seed: 1, ...options });
  networks.push(network);
  for (const name of names) network.addHost(name);
  return network;
}

/** Sends back what it is sent. */
export async function echoServer(host: SimulatedHost, port = 7): Promise<Server> {
  const server = host.net.createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await (host.network as NodeSimulatedNetwork).run(once(server.listen(port), "listening"));
  return server;
}

/** A connection that is open, and whose errors are expected. */
export async function connected(from: SimulatedHost, to: string, port = 7): Promise<Socket> {
  const socket = from.net.connect(port, to);
  socket.on("error", () => {});
  await (from.network as NodeSimulatedNetwork).run(once(socket, "connect"));
  return socket;
}

/** Counts the bytes that a socket is sent. */
export function counting(socket: Socket): { received: number } {
  const count = { received: 0 };
  socket.on("data", (chunk: Buffer) => (count.received += chunk.length));
  return count;
}

export interface ClusterOptions {
  readonly seed: number;
  readonly hosts?: number;
  readonly loss?: number;
  /** Virtual time, ms. */
  readonly length?: number;
  /** Between two messages of a host, ms. */
  readonly pause?: number;
}

/**
 * Hosts that greet each other at random, over bad links, through partitions that come and go. Returns
 * the trace and what was heard.
 */
export async function cluster(options: ClusterOptions) {
  const { seed, hosts: count = 20, loss = 0.02, length = 400, pause = 20 } = options;
  const link = { delay: 200, jitter: 100, loss, reorder: loss, duplicate: loss / 2 };
  const network = createNetwork({ seed, timers: "virtual", link, record: { limit: 0 } });
  try {
    const names = Array.from({ length: count }, (_, i) => `host${i}`);
    const hosts = names.map((name) => network.addHost(name));
    let heard = 0;
    let failed = 0;
    for (const host of hosts) {
      const server = host.net.createServer((socket) => {
        socket.on("error", () => {});
        socket.on("data", (chunk) => socket.end(chunk));
      });
      server.listen(80);
      setInterval(
        () => {
          const socket = host.net.connect(80, names[Math.floor(Math.random() * count)]);
          socket.on("error", () => failed++);
          socket.on("data", () => heard++);
          socket.end(`hello from ${host.name}`);
        },
        pause * (0.5 + Math.random()),
      );
    }
    const half = names.slice(count / 2);
    await network.advance(length / 4);
    network.partition(names.slice(0, count / 2), half);
    await network.advance(length / 4);
    network.heal();
    network.block(names[0], half);
    network.link(names[1]).down();
    await network.advance(length / 4);
    network.heal();
    network.link(names[1]).up();
    await network.advance(length / 4);
    return { trace: network.trace(), frames: network.frames, heard, failed };
  } finally {
    await network.close();
  }
}
