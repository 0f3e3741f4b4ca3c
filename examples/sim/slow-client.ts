/**
 * A server that has more to say than a client can take: it writes until `write` says no, waits for
 * "drain", and so never has more than a little in memory; a client that takes too long is dropped. The
 * test of it has a client behind a modem.
 *
 *   npx vitest run test/sim/examples.test.ts
 */
import type { Server, Socket } from "../../host/node/net/index.ts";
import type { SimulatedHost } from "../../host/node/sim/index.ts";

const PORT = 9000;
const CHUNK = Buffer.alloc(16 * 1024, "x");

export interface FileServerOptions {
  /** Bytes sent to each client. */
  readonly size: number;
  /** A client that takes nothing for so long is dropped, ms. */
  readonly patience: number;
}

export interface FileServer {
  readonly server: Server;
  /** Most bytes that ever waited in memory for one client. */
  readonly mostWaiting: () => number;
  /** Clients that were dropped. */
  readonly dropped: () => number;
}

/** Sends everybody who connects so many bytes, no faster than they take them. */
export function fileServer(host: SimulatedHost, { size, patience }: FileServerOptions): FileServer {
  let mostWaiting = 0;
  let dropped = 0;
  const serve = (socket: Socket): void => {
    let left = size;
    const more = (): void => {
      while (left > 0) {
        const chunk = CHUNK.subarray(0, Math.min(left, CHUNK.length));
        left -= chunk.length;
        const goOn = socket.write(chunk);
        mostWaiting = Math.max(mostWaiting, socket.writableLength);
        if (!goOn) return;
      }
      socket.end();
    };
    socket.on("drain", more);
    socket.on("error", () => socket.destroy());
    socket.setTimeout(patience, () => {
      dropped++;
      socket.resetAndDestroy();
    });
    more();
  };
  const server = host.net.createServer(serve).listen(PORT);
  return { server, mostWaiting: () => mostWaiting, dropped: () => dropped };
}

/** Connects to the server and takes all it sends; how many bytes, and whether it was dropped. */
export function download(
  from: SimulatedHost,
  server: string,
): { readonly socket: Socket; readonly done: Promise<{ bytes: number; whole: boolean }> } {
  const socket = from.net.connect(PORT, server);
  let bytes = 0;
  let whole = false;
  socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
  socket.on("end", () => (whole = true));
  socket.on("error", () => {});
  const done = new Promise<{ bytes: number; whole: boolean }>((resolve) => {
    socket.on("close", () => resolve({ bytes, whole }));
  });
  return { socket, done };
}
