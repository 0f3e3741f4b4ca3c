/**
 * Node's own HTTP over ixwasm/net, in one line each: a server of node:http, node:https or node:http2 that
 * is served on a host of a network, and agents whose requests go there.
 */
import type { EventEmitter } from "node:events";
import * as http from "node:http";
import * as https from "node:https";
import type { Duplex } from "node:stream";
import { connect } from "./connect.ts";
import type { ConnectOptions, ListenOptions, ServerOptions } from "./options.ts";
import { Server } from "./server.ts";

/** Where a server listens. Without a port the one of a free port. */
export type ServeOptions = ListenOptions & ServerOptions;

/**
 * Serves with a server of node:http, https or http2, or anything else that takes "connection": what
 * connects to the port goes to it. Returns the server that listens; it is closed with the given one.
 */
export function serveHttp(server: EventEmitter, options: ServeOptions = {}): Server {
  // HTTP without TLS ends a half-open connection itself (RFC 9112 section 9.6).
  const allowHalfOpen = server instanceof http.Server;
  const listener = new Server({ allowHalfOpen, noDelay: true, ...options }, (socket) => {
    server.emit("connection", socket);
  });
  // This is when node:http begins to look after its timeouts.
  listener.on("listening", () => server.emit("listening"));
  server.once("close", () => listener.close());
  return listener.listen({ port: 0, ...options });
}

/** Where an agent's connections begin. */
export type AgentOptions = Pick<ConnectOptions, "via" | "lookup">;

/** What an agent of Node does to have a connection, which its types do not say. */
interface Connecting {
  createConnection(options: ConnectOptions & { socket?: Duplex }): Duplex;
}

/** An agent of node:http whose connections are ixwasm/net's. */
export function httpAgent(options: http.AgentOptions & AgentOptions = {}): http.Agent {
  const { via, lookup, ...rest } = options;
  const agent = new http.Agent(rest);
  const connecting: Connecting = {
    createConnection: (to) => connect({ ...to, via, lookup: to.lookup ?? lookup }),
  };
  return Object.assign(agent, connecting);
}

/** An agent of node:https, likewise. */
export function httpsAgent(options: https.AgentOptions & AgentOptions = {}): https.Agent {
  const { via, lookup, ...rest } = options;
  const agent = new https.Agent(rest);
  const encrypt = (agent as unknown as Connecting).createConnection;
  const connecting: Connecting = {
    createConnection: (to) => {
      const socket = connect({ ...to, via, lookup: to.lookup ?? lookup });
      return encrypt.call(agent, { ...to, socket });
    },
  };
  return Object.assign(agent, connecting);
}
