/** Servers of a program, whatever they speak, listening on the dataplane. */
import net from "node:net";
import { Server } from "../net/server.ts";
import type { Socket } from "../net/socket.ts";
import { isOwn, readArguments, type Request } from "./destination.ts";
import { giveFace, type Outer } from "./facade.ts";

/** Of Node's own server, what its types do not say. */
interface Internals {
  _handle: ListeningHandle | null;
  _connections: number;
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  highWaterMark?: number;
}

type OuterServer = net.Server & Internals;

type ListenRequest = Request & {
  readonly backlog?: number;
  readonly ipv6Only?: boolean;
  readonly signal?: AbortSignal;
};

const prototype = net.Server.prototype as OuterServer;
const listenNode = prototype.listen as (...args: unknown[]) => OuterServer;

/** What Node's server asks of its handle. */
class ListeningHandle {
  readonly #inner: Server;

  constructor(inner: Server) {
    this.#inner = inner;
  }

  getsockname(out: object): number {
    Object.assign(out, this.#inner.address());
    return 0;
  }

  close(): void {
    this.#inner.close();
  }

  ref(): void {
    this.#inner.ref();
  }

  unref(): void {
    this.#inner.unref();
  }
}

function listen(this: OuterServer, ...args: unknown[]): OuterServer {
  const [request, listener] = readArguments(args) as [ListenRequest, (() => void) | undefined];
  if (this._handle || !isForDataplane(request, args[0])) return listenNode.apply(this, args);
  const { host, ipv6Only, signal } = request;
  const inner = new Server({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    accept(this, socket),
  );
  const numbers = args.slice(1).filter((each) => typeof each === "number");
  const backlog = request.backlog ?? (numbers[0] as number);
  inner.listen({ port: request.port ?? 0, host, ipv6Only, backlog });
  if (listener !== undefined) this.once("listening", listener);
  const handle = new ListeningHandle(inner);
  this._handle = handle;
  signal?.addEventListener("abort", () => this.close(), { once: true });
  if (signal?.aborted) process.nextTick(() => this.close());
  inner.on("listening", () => {
    if (this._handle === handle) this.emit("listening");
  });
  inner.on("error", (error) => {
    if (this._handle === handle) this._handle = null;
    this.emit("error", error);
  });
  return this;
}

/** Ports on addresses of the dataplane's are; paths, descriptors and handles are the system's. */
function isForDataplane(request: ListenRequest, first: unknown): boolean {
  const { path, fd, handle, _handle, host, port } = request;
  if (path || fd !== undefined || handle !== undefined || _handle !== undefined) return false;
  if (typeof first === "object" && first !== null && port === undefined) return false;
  return isOwn(host, port ?? 0);
}

function accept(server: OuterServer, inner: Socket): void {
  const { maxConnections, allowHalfOpen, highWaterMark } = server;
  if (typeof maxConnections === "number" && server._connections >= maxConnections) {
    server.emit("drop", dropOf(inner));
    inner.destroy();
    return;
  }
  const outer = new net.Socket({ allowHalfOpen, highWaterMark } as net.SocketConstructorOpts);
  const socket = outer as Outer;
  giveFace(socket, inner);
  server._connections++;
  socket.server = server;
  socket._server = server;
  if (server.pauseOnConnect) socket.pause();
  server.emit("connection", socket);
  if (!socket.isPaused()) socket.read(0);
}

function dropOf(socket: Socket): net.DropArgument {
  const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket;
  return { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily };
}

/** Has servers listen on the dataplane. */
export function installServer(): void {
  prototype.listen = listen as typeof prototype.listen;
}
