/** What sockets and servers are made with, as in node:net. */
import type { Host } from "../../net/host.ts";
import type { LookupFunction } from "./lookup.ts";

export interface OnReadOptions {
  readonly buffer: Uint8Array | (() => Uint8Array);
  /** Returns false to pause. */
  readonly callback: (bytesRead: number, buffer: Uint8Array) => boolean | void;
}

export interface SocketOptions {
  readonly allowHalfOpen?: boolean;
  readonly signal?: AbortSignal;
  readonly onread?: OnReadOptions | null;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
  /** The host of the network that the socket is on. Default: this process's own. */
  readonly via?: Host;
}

export interface ConnectOptions extends SocketOptions {
  readonly port: number | string;
  /** A name or an address. Default "localhost". */
  readonly host?: string;
  readonly localPort?: number;
  readonly localAddress?: string;
  readonly family?: number;
  readonly hints?: number;
  readonly lookup?: LookupFunction;
  /** Milliseconds without activity until "timeout". */
  readonly timeout?: number;
  /** Whether all addresses of a name are tried. Default true. */
  readonly autoSelectFamily?: boolean;
  /** Milliseconds after which the next address is tried. Default 250. */
  readonly autoSelectFamilyAttemptTimeout?: number;
}

export interface ServerOptions {
  readonly allowHalfOpen?: boolean;
  readonly pauseOnConnect?: boolean;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
  /** The host of the network that listens. Default: this process's own. */
  readonly via?: Host;
}

export interface ListenOptions {
  readonly port?: number | string | null;
  readonly host?: string;
  readonly backlog?: number;
  readonly signal?: AbortSignal;
  readonly exclusive?: boolean;
  /** With the host "::": no IPv4. Default false. */
  readonly ipv6Only?: boolean;
  readonly via?: Host;
}

/** One end of a connection. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What `address()` says of a socket or server. */
export interface AddressInfo extends Endpoint {
  readonly family: string;
}
