/** `ixwasm/net`: node:net on dataplanes of this process. */
import { Server, type ServerOptions } from "./server.ts";
import { Socket, type ConnectOptions } from "./socket.ts";
import { normalizeConnect } from "./arguments.ts";

export { createNetwork, defaultHost, setDefaultHost } from "./defaults.ts";
export { Server, Socket };
export type { ListenOptions, ServerOptions } from "./server.ts";
export type { ConnectOptions, OnReadOptions, SocketOptions } from "./socket.ts";
export type { LookupFunction } from "./lookup.ts";
export { Host, type PortListener } from "../../net/host.ts";
export { Network, type HostOptions, type NetworkOptions } from "../../net/network.ts";
export { isIP, isIPv4, isIPv6 } from "node:net";

/** As net.createServer. */
export function createServer(
  options?: ServerOptions | ((socket: Socket) => void),
  listener?: (socket: Socket) => void,
): Server {
  return new Server(options, listener);
}

/** As net.connect: a new socket that is on its way to the given port. */
export function connect(options: ConnectOptions, listener?: () => void): Socket;
export function connect(port: number | string, host: string, listener?: () => void): Socket;
export function connect(port: number | string, listener?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const [options, listener] = normalizeConnect(args);
  return new Socket(options).connect(options, listener);
}

export { connect as createConnection };
