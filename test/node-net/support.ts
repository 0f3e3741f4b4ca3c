/** What the suites of node:net's look-alike share: a network per test, and promises for events. */
import type { EventEmitter } from "node:events";
import { once } from "node:events";
import { afterEach } from "vitest";
import type { Host } from "../../host/net/host.ts";
import type { HostOptions, Network } from "../../host/net/network.ts";
import { connect, createNetwork, createServer } from "../../host/node/net/index.ts";
import type { ConnectOptions, Server, ServerOptions, Socket } from "../../host/node/net/index.ts";

const networks: Network[] = [];

afterEach(async () => {
  await Promise.all(networks.splice(0).map((network) => network.close()));
});

/** A host on a network of its own, gone after the test. */
export function aHost(options: HostOptions = {}): Host {
  const network = createNetwork();
  networks.push(network);
  return network.addHost("here", options);
}

/** Another host on the same network. */
export function neighbourOf(host: Host, name: string, options: HostOptions = {}): Host {
  return host.network.addHost(name, options);
}

/** A server that listens on any port of `via`, and the port. */
export async function listening(
  via: Host,
  onConnection: (socket: Socket) => void = () => {},
  options: ServerOptions = {},
): Promise<{ server: Server; port: number }> {
  const server = createServer({ ...options, via }, onConnection).listen(0);
  await once(server, "listening");
  return { server, port: server.address()!.port };
}

/** A connected client. */
export async function connected(options: ConnectOptions): Promise<Socket> {
  const socket = connect(options);
  await once(socket, "connect");
  return socket;
}

/** A server and both ends of one connection to it. */
export async function pair(
  via: Host,
  server: ServerOptions = {},
  client: Partial<ConnectOptions> = {},
): Promise<{ server: Server; there: Socket; here: Socket }> {
  let accepted!: (socket: Socket) => void;
  const there = new Promise<Socket>((resolve) => (accepted = resolve));
  const { server: listener, port } = await listening(via, accepted, server);
  const here = await connected({ port, via, ...client });
  return { server: listener, there: await there, here };
}

/** Resolves when a socket has closed, to whether it did so with an error. */
export function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => socket.once("close", resolve));
}

/** Everything that a stream brings until it ends. */
export async function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await once(socket, "end");
  return Buffer.concat(chunks);
}

/** The names of events in the order they come. */
export function journal(emitter: EventEmitter, ...names: string[]): string[] {
  const entries: string[] = [];
  for (const name of names) emitter.on(name, () => entries.push(name));
  return entries;
}

export { once };
