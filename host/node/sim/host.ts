/** A simulated host as Node programs use it: with a `net` and a `dgram` of its own. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { Host } from "../../net/host.ts";
import { createSocket } from "../dgram/index.ts";
import type { MessageListener, SocketOptions as DatagramOptions } from "../dgram/types.ts";
import type { SocketType, Socket as DatagramSocket } from "../dgram/index.ts";
import { normalizeConnect } from "../net/arguments.ts";
import { connect } from "../net/connect.ts";
import type { ConnectOptions, ServerOptions, SocketOptions } from "../net/options.ts";
import { Server } from "../net/server.ts";
import { Socket } from "../net/socket.ts";

/** node:net on one host: what it makes is on that host unless `via` says otherwise. */
export interface HostNet {
  createServer(
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ): Server;
  connect(options: ConnectOptions, listener?: () => void): Socket;
  connect(port: number | string, host: string, listener?: () => void): Socket;
  connect(port: number | string, listener?: () => void): Socket;
  createConnection: HostNet["connect"];
  readonly Socket: new (options?: SocketOptions) => Socket;
  readonly Server: new (
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ) => Server;
  readonly isIP: typeof isIP;
  readonly isIPv4: typeof isIPv4;
  readonly isIPv6: typeof isIPv6;
}

/** node:dgram on one host, likewise. */
export interface HostDgram {
  createSocket(options: SocketType | DatagramOptions, listener?: MessageListener): DatagramSocket;
}

export class SimulatedHost extends Host {
  /** node:net on this host. */
  readonly net: HostNet = netOf(this);
  /** node:dgram on this host. */
  readonly dgram: HostDgram = {
    createSocket: (options, listener) =>
      createSocket(
        typeof options === "string" ? { type: options, via: this } : { via: this, ...options },
        listener,
      ),
  };
}

function netOf(via: Host): HostNet {
  class HostSocket extends Socket {
    constructor(options: SocketOptions = {}) {
      super({ via, ...options });
    }
  }
  class HostServer extends Server {
    constructor(
      options?: ServerOptions | ((socket: Socket) => void),
      listener?: (socket: Socket) => void,
    ) {
      const given = typeof options === "object" ? options : {};
      super({ via, ...given }, typeof options === "function" ? options : listener);
    }
  }
  const open = (...args: unknown[]): Socket => {
    const [options, listener] = normalizeConnect(args);
    return connect({ via, ...options }, listener);
  };
  return {
    createServer: (options, listener) => new HostServer(options, listener),
    connect: open,
    createConnection: open,
    Socket: HostSocket,
    Server: HostServer,
    isIP,
    isIPv4,
    isIPv6,
  };
}
