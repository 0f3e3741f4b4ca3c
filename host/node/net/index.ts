/** `ixwasm/net`: node:net on dataplanes of this process. */
import { Server } from "./server.ts";
import type { ServerOptions } from "./options.ts";
import type { Socket } from "./socket.ts";

export { lookup, tlsConnect, undiciConnector } from "./connectors.ts";
export type { ConnectorOptions, TlsConnectOptions } from "./connectors.ts";
export { createNetwork, defaultHost, joinNetwork, setDefaultHost } from "./defaults.ts";
export { connect, connect as createConnection } from "./connect.ts";
export { httpAgent, httpsAgent, serveHttp } from "./http.ts";
export type { AgentOptions, ServeOptions } from "./http.ts";
export { Server, type DropArgument } from "./server.ts";
export { Socket, Socket as Stream } from "./socket.ts";
export type {
  AddressInfo,
  ConnectOptions,
  ListenOptions,
  OnReadOptions,
  ServerOptions,
  SocketOptions,
} from "./options.ts";
export type { LookupAddress, LookupFunction } from "./lookup.ts";
export type { TcpInfo } from "./tcp-info.ts";
export { Host, type PortListener } from "../../net/host.ts";
export {
  Network,
  type HostHandle,
  type HostOptions,
  type NetworkOptions,
} from "../../net/network.ts";
export {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
  SocketAddress,
} from "node:net";

/** As net.createServer. */
export function createServer(
  options?: ServerOptions | ((socket: Socket) => void) | null,
  listener?: (socket: Socket) => void,
): Server {
  return new Server(options, listener);
}
