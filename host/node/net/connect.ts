/** node:net's `connect`. */
import { channel } from "node:diagnostics_channel";
import { normalizeConnect } from "./arguments.ts";
import type { ConnectOptions } from "./options.ts";
import { Socket } from "./socket.ts";

/** Told of every socket that `connect` makes, as node:net tells it. */
const connecting = channel("net.client.socket");

/** As net.connect: a new socket that is on its way to the given port. */
export function connect(options: ConnectOptions, listener?: () => void): Socket;
export function connect(port: number | string, host: string, listener?: () => void): Socket;
export function connect(port: number | string, listener?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const [options, listener] = normalizeConnect(args);
  const socket = new Socket(options);
  if (connecting.hasSubscribers) connecting.publish({ socket });
  if (options.timeout) socket.setTimeout(options.timeout);
  return socket.connect(options, listener);
}
