/** `ixwasm/sockets` without Node: connections and listeners as WHATWG streams. */
import { Network, type NetworkOptions } from "./network.ts";

export { loadKernel } from "../dataplane/load-kernel.ts";
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

/** A network of hosts in this page, on the kernel that `loadKernel` compiles. */
export function createNetwork(options: NetworkOptions): Network {
  return new Network(options);
}
