/** What node:dgram's look-alike is given and gives. */
import type { Buffer } from "node:buffer";
import type { Host } from "../../net/host.ts";
import type { LookupFunction } from "../net/lookup.ts";

export type SocketType = "udp4" | "udp6";

export interface SocketOptions {
  readonly type: SocketType;
  readonly signal?: AbortSignal;
  readonly lookup?: LookupFunction;
  /** Ignored: a port of a dataplane has one socket. */
  readonly reuseAddr?: boolean;
  readonly ipv6Only?: boolean;
  readonly recvBufferSize?: number;
  readonly sendBufferSize?: number;
  /** The host of the network that the socket is on. Default: this process's own. */
  readonly via?: Host;
}

export interface BindOptions {
  readonly port?: number | string;
  readonly address?: string;
  readonly exclusive?: boolean;
  readonly fd?: number;
}

export interface RemoteInfo {
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  readonly port: number;
  readonly size: number;
}

export type MessageListener = (message: Buffer, remote: RemoteInfo) => void;
