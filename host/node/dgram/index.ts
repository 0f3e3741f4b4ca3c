/** `ixwasm/dgram`: node:dgram on dataplanes of this process. */
import { Socket } from "./socket.ts";
import type { MessageListener, SocketOptions, SocketType } from "./types.ts";

export { Socket };
export type {
  BindOptions,
  MessageListener,
  RemoteInfo,
  SocketOptions,
  SocketType,
} from "./types.ts";
export { createNetwork, defaultHost, joinNetwork, setDefaultHost } from "../net/defaults.ts";
export { Host } from "../../net/host.ts";
export {
  Network,
  type HostHandle,
  type HostOptions,
  type NetworkOptions,
} from "../../net/network.ts";

/** As dgram.createSocket. */
export function createSocket(
  options: SocketType | SocketOptions,
  listener?: MessageListener,
): Socket {
  return new Socket(options, listener);
}
