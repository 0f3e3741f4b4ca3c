/** `ixwasm/sockets` without Node: connections and listeners as WHATWG streams. */
export { connect } from "./sockets.ts";
export type {
  SecureTransport,
  SocketAddress,
  SocketInfo,
  SocketOptions,
  StartTls,
  StreamSocket,
  TlsOptions,
} from "./sockets.ts";
export { listen, Listener, type ListenerInfo, type ListenOptions } from "./stream-listener.ts";
export { SocketError } from "./socket-errors.ts";
export { Host } from "./host.ts";
export { Network, type HostOptions, type NetworkOptions } from "./network.ts";
