/** What the suites of node:dgram's look-alike share: sockets that are closed after the test. */
import { once } from "node:events";
import { afterEach } from "vitest";
import type { Host } from "../../host/net/host.ts";
import { createSocket, type Socket } from "../../host/node/dgram/index.ts";
import type { RemoteInfo, SocketOptions } from "../../host/node/dgram/index.ts";

export { aHost, neighbourOf } from "../node-net/support.ts";
export { once };

const sockets: Socket[] = [];

afterEach(async () => {
  await Promise.all(sockets.splice(0).map((socket) => socket[Symbol.asyncDispose]()));
});

/** A socket of `via` that is bound to nothing yet. */
export function unbound(via: Host, options: Partial<SocketOptions> = {}): Socket {
  const socket = createSocket({ type: "udp4", via, ...options });
  sockets.push(socket);
  return socket;
}

/** A socket that listens on any port, or on the given one. */
export async function bound(
  via: Host,
  port = 0,
  options: Partial<SocketOptions> = {},
): Promise<Socket> {
  const socket = unbound(via, options).bind(port);
  await once(socket, "listening");
  return socket;
}

/** The next datagram. */
export async function received(socket: Socket): Promise<{ text: string; remote: RemoteInfo }> {
  const [message, remote] = (await once(socket, "message")) as [Buffer, RemoteInfo];
  return { text: message.toString(), remote };
}

/** What a send calls back with. */
export function sent(
  send: (callback: (error: Error | null, bytes: number) => void) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    send((error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

/** Lets everything that is on its way arrive. */
export function settle(milliseconds = 20): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
