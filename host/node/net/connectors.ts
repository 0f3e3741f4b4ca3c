/** What other libraries take to open their connections: an undici connector, TLS, a lookup. */
import { isIP, type Socket as NodeSocket } from "node:net";
import tls from "node:tls";
import type { Duplex } from "node:stream";
import type { Host } from "../../net/host.ts";
import { defaultHost } from "./defaults.ts";
import { notFound } from "./errors.ts";
import { ofFamily } from "./lookup.ts";
import { Socket } from "./socket.ts";

/** Milliseconds that a connection of undici may take to open, as undici has it. */
const CONNECT_TIMEOUT = 10_000;

export interface TlsConnectOptions extends Omit<
  tls.ConnectionOptions,
  "socket" | "path" | "port" | "lookup"
> {
  readonly port: number | string;
  readonly via?: Host;
}

/** As tls.connect, over a connection of ixwasm/net. */
export function tlsConnect(options: TlsConnectOptions, listener?: () => void): tls.TLSSocket {
  const { via, port, host = "localhost", ...rest } = options;
  const socket = new Socket({ via }).connect({ port, host });
  return secure(socket, host, rest, listener);
}

function secure(
  socket: Duplex,
  host: string,
  options: tls.ConnectionOptions,
  listener?: () => void,
): tls.TLSSocket {
  // A name in the handshake may not be an address (RFC 6066 section 3).
  const servername = isIP(host) === 0 ? host : undefined;
  return tls.connect({ servername, ...options, host, socket }, listener);
}

/** What undici wants to connect to. */
interface ConnectorTarget {
  readonly hostname: string;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string;
  /** With a proxy: the connection that TLS is to be put on. */
  readonly httpSocket?: Duplex;
}

/** undici's types demand node:net's own class; what it uses of it, this package's has. */
type ConnectorCallback = (
  ...outcome: [error: null, socket: NodeSocket | tls.TLSSocket] | [error: Error, socket: null]
) => void;

export interface ConnectorOptions extends tls.SecureContextOptions {
  readonly via?: Host;
  /** Milliseconds to open a connection, 0 for as long as it takes. Default 10 s. */
  readonly timeout?: number;
  readonly rejectUnauthorized?: boolean;
  /** Offers HTTP/2 by ALPN. */
  readonly allowH2?: boolean;
}

/** For undici's `new Agent({ connect: undiciConnector({ via }) })` and the like. */
export function undiciConnector(
  options: ConnectorOptions = {},
): (target: ConnectorTarget, callback: ConnectorCallback) => void {
  const { via, timeout = CONNECT_TIMEOUT, allowH2 = false, ...context } = options;
  const ALPNProtocols = allowH2 ? ["http/1.1", "h2"] : ["http/1.1"];
  return ({ hostname, protocol, port, servername, httpSocket }, callback) => {
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const isSecure = protocol === "https:";
    const to = { host, port: port || (isSecure ? 443 : 80) };
    const plain = httpSocket ?? new Socket({ via }).connect(to);
    const name = servername ? { servername } : {};
    const socket = isSecure ? secure(plain, host, { ALPNProtocols, ...context, ...name }) : plain;
    waitFor(socket as Socket, isSecure ? "secureConnect" : "connect", timeout, callback);
  };
}

/** Calls back once: opened, failed, or not in time. */
function waitFor(
  socket: Socket | tls.TLSSocket,
  event: string,
  timeout: number,
  callback: ConnectorCallback,
): void {
  const expire = (): void => {
    const error = new Error(`Connect Timeout Error (timeout: ${timeout}ms)`);
    socket.destroy(Object.assign(error, { code: "UND_ERR_CONNECT_TIMEOUT" }));
  };
  const timer = timeout > 0 ? setTimeout(expire, timeout) : undefined;
  const opened = (): void => {
    clearTimeout(timer);
    socket.removeListener("error", failed);
    callback(null, socket as NodeSocket);
  };
  const failed = (error: Error): void => {
    clearTimeout(timer);
    socket.removeListener(event, opened);
    callback(error, null);
  };
  socket.once(event, opened).once("error", failed);
}

interface LookupAnswer {
  readonly address: string;
  readonly family: number;
}

type LookupCallback = (
  error: Error | null,
  address?: string | readonly LookupAnswer[],
  family?: number,
) => void;

interface LookupRequest {
  readonly all?: boolean;
  readonly family?: number | "IPv4" | "IPv6";
}

/** As dns.lookup, for the names of a network and for addresses in text form. */
export function lookup(
  hostname: string,
  options: (LookupRequest & { readonly via?: Host }) | number | LookupCallback,
  callback?: LookupCallback,
): void {
  const found = typeof options === "function" ? options : callback!;
  const request = typeof options === "object" ? options : {};
  const asked = typeof options === "number" ? options : request.family;
  const host = request.via ?? defaultHost();
  const wanted = Number(String(asked ?? 0).replace("IPv", ""));
  const addresses = ofFamily(host.addressesOf(hostname), wanted);
  process.nextTick(() => {
    if (addresses.length === 0) found(notFound(hostname));
    else if (request.all) found(null, addresses);
    else found(null, addresses[0].address, addresses[0].family);
  });
}
