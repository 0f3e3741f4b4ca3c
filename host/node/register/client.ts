/** Connections that a program opens with node:net and node:tls, on the dataplane. */
import net from "node:net";
import tls from "node:tls";
import type { ConnectOptions } from "../net/options.ts";
import { Socket } from "../net/socket.ts";
import { isInside, lookupOf, readArguments, type Request } from "./destination.ts";
import { giveFace, type Outer } from "./facade.ts";

const FORWARDED = [
  "lookup",
  "connectionAttempt",
  "connectionAttemptFailed",
  "connectionAttemptTimeout",
] as const;

const prototype = net.Socket.prototype as Outer;
const connectNode = prototype.connect as (...args: unknown[]) => Outer;
const connectTls = tls.connect as (...args: unknown[]) => tls.TLSSocket;

function connect(this: Outer, ...args: unknown[]): Outer {
  const [request, listener] = readArguments(args);
  const isPlain = !(this instanceof tls.TLSSocket) && !this._handle;
  if (!isPlain || !isInside(request)) return connectNode.apply(this, args);
  if (this.connecting) return this;
  const inner = new Socket({ allowHalfOpen: true });
  inner.connect(targetOf(request) as ConnectOptions);
  if (listener !== undefined) this.once("connect", listener);
  if (this.write !== prototype.write) this.write = prototype.write;
  if (this.destroyed) this._undestroy();
  this._host = request.host;
  this._unrefTimer();
  this.connecting = true;
  giveFace(this, inner);
  for (const name of FORWARDED) inner.on(name, (...told) => this.emit(name, ...told));
  inner.once("connect", () => {
    if (this.destroyed) return;
    this.connecting = false;
    this._unrefTimer();
    this.emit("connect");
    this.emit("ready");
    if (!this.isPaused()) this.read(0);
  });
  return this;
}

/** Where to, and nothing of what concerns the stream above. */
function targetOf(request: Request): Partial<ConnectOptions> {
  const asked = request as Request & net.TcpNetConnectOpts;
  const { port, localPort, family, hints, autoSelectFamily } = asked;
  return {
    port: port!,
    host: asked.host?.replace(/^\[(.*)\]$/, "$1"),
    // undici says null for none.
    localAddress: asked.localAddress ?? undefined,
    localPort,
    family,
    hints,
    autoSelectFamily,
    lookup: lookupOf(asked.lookup as ConnectOptions["lookup"]),
  };
}

function connectSecurely(...args: unknown[]): tls.TLSSocket {
  const [request, listener] = readArguments(args);
  const more = args.slice(1).find((each) => typeof each === "object" && each !== null);
  const options = (Array.isArray(args[0]) ? request : { ...request, ...more }) as Request &
    tls.ConnectionOptions;
  if (options.socket || !isInside(options)) return connectTls(...args);
  const socket = new net.Socket().connect(targetOf(options) as net.TcpNetConnectOpts);
  const secured = connectTls({ ...options, socket }, listener);
  if (options.timeout) secured.setTimeout(options.timeout);
  return secured;
}

/** Has sockets and TLS connect on the dataplane. */
export function installClient(): void {
  prototype.connect = connect as typeof prototype.connect;
  tls.connect = connectSecurely as typeof tls.connect;
}
