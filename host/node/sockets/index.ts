/** `ixwasm/sockets` on Node: the process's own host where none is named, and TLS by node:tls. */
import * as streams from "../../net/streams.ts";
import type { ListenOptions } from "../../net/stream-listener.ts";
import type { SocketAddress, SocketOptions, StartTls, StreamSocket } from "../../net/sockets.ts";
import { defaultHost } from "../net/defaults.ts";
import { TlsStreamSocket, type NodeTlsOptions } from "./tls.ts";

export { Host, Listener, Network, SocketError } from "../../net/streams.ts";
export type {
  HostOptions,
  ListenerInfo,
  ListenOptions,
  NetworkOptions,
  SecureTransport,
  SocketAddress,
  SocketInfo,
  SocketOptions,
  StreamSocket,
} from "../../net/streams.ts";
export { loadKernel } from "../kernel.ts";
export { createNetwork, defaultHost, joinNetwork, setDefaultHost } from "../net/defaults.ts";
export type { NodeTlsOptions } from "./tls.ts";

/** WinterTC's `connect`, with the options of node:tls as `tlsOptions`. */
export function connect(
  to: string | SocketAddress,
  options: Partial<SocketOptions> & { readonly tlsOptions?: NodeTlsOptions } = {},
): StreamSocket {
  const { tlsOptions, ...rest } = options;
  const tls: StartTls = (socket, hostname, more) =>
    new TlsStreamSocket(socket, hostname, { ...tlsOptions, ...more });
  return streams.connect(to, { tls, ...rest, via: rest.via ?? defaultHost() });
}

/** A TCP port as an async iterable of sockets. */
export function listen(options: Partial<ListenOptions> = {}): streams.Listener {
  return streams.listen({ ...options, via: options.via ?? defaultHost() });
}
