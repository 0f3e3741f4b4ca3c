/**
 * Sockets as WHATWG streams, after WinterTC's Sockets API (https://sockets-api.proposal.wintertc.org):
 * `connect`, and `listen` in the same style. Back-pressure is the connection's own both ways: nothing is
 * taken out of the receive window before somebody reads, and a write is done when the send buffer has
 * taken it.
 */
import type { Host } from "./host.ts";
import { ByteStreams } from "./byte-streams.ts";
import { addressOf } from "./names.ts";
import { socketError } from "./socket-errors.ts";

export type SecureTransport = "off" | "on" | "starttls";

export interface SocketAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Both sides as "address:port". */
export interface SocketInfo {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** What TLS has agreed on, or null. */
  readonly alpn: string | null;
}

export interface TlsOptions {
  /** Name that the certificate must have. Default: the one that was connected to. */
  readonly expectedServerHostname?: string;
}

/** Puts TLS on a socket; what can do so depends on the platform. */
export type StartTls = (
  socket: StreamSocket,
  hostname: string,
  options: TlsOptions,
) => StreamSocket;

export interface SocketOptions {
  /** The host of the network that connects. */
  readonly via: Host;
  /** "on" begins with TLS, "starttls" allows `startTls` later. Default "off". */
  readonly secureTransport?: SecureTransport;
  /** Leaves the writable side open when the peer has ended its own. Default false. */
  readonly allowHalfOpen?: boolean;
  readonly tls?: StartTls;
}

/** A connection. */
export interface StreamSocket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Fulfilled when connected; rejected with a SocketError when that fails. */
  readonly opened: Promise<SocketInfo>;
  /** Fulfilled when the connection is over, rejected when it broke. */
  readonly closed: Promise<void>;
  readonly secureTransport: SecureTransport;
  readonly upgraded: boolean;
  /** Ends both directions. What was written is still sent. */
  close(): Promise<void>;
  /** Goes on with TLS; this socket is of no use any more. */
  startTls(options?: TlsOptions): StreamSocket;
}

/**
 * Connects to "name:port" or { hostname, port }.
 *
 * @throws {TypeError} the address is none, or the platform has no TLS and it is asked for
 */
export function connect(to: string | SocketAddress, options: SocketOptions): StreamSocket {
  const { hostname, port } = parseAddress(to);
  const { via, secureTransport = "off" } = options;
  if (!["off", "on", "starttls"].includes(secureTransport)) {
    throw new TypeError(
      `secureTransport must be "off", "on" or "starttls", not ${secureTransport}`,
    );
  }
  const first = secureTransport === "on" ? "starttls" : secureTransport;
  const socket = new Socket(via, { ...options, secureTransport: first }, hostname);
  if (secureTransport === "on" && options.tls === undefined) throw noTls();
  socket.dial(port);
  return secureTransport === "on" ? socket.startTls() : socket;
}

export class Socket implements StreamSocket {
  readonly opened: Promise<SocketInfo>;
  readonly closed: Promise<void>;
  readonly secureTransport: SecureTransport;
  readonly #host: Host;
  readonly #hostname: string;
  readonly #tls: StartTls | undefined;
  readonly #streams: ByteStreams;
  #upgraded = false;
  #settle!: { resolve: (info: SocketInfo) => void; reject: (error: Error) => void };

  constructor(host: Host, options: SocketOptions, hostname = "") {
    this.#host = host;
    this.#hostname = hostname;
    this.#tls = options.tls;
    this.secureTransport = options.secureTransport ?? "off";
    this.opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Who looks at one of the two promises alone is not to hear of the other's failure.
    this.opened.catch(() => {});
    this.#streams = new ByteStreams(host, options.allowHalfOpen ?? false);
    this.closed = this.#streams.closed;
    this.closed.catch(() => {});
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#streams.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#streams.writable;
  }

  get upgraded(): boolean {
    return this.#upgraded;
  }

  /** `connect`'s: dials, or fails when there is no such name. */
  dial(port: number): void {
    const address = this.#host.resolve(this.#hostname);
    if (address === undefined) {
      this.#fail(socketError("connect", "ENOTFOUND", this.#hostname));
      return;
    }
    this.#streams.dial(address, port, (error) => {
      if (error === null) this.#open(address, port);
      else this.#fail(error);
    });
  }

  /** The listener's: a connection that knocked. */
  accepted(address: string, port: number): void {
    this.#streams.opened();
    this.#open(address, port);
  }

  get context(): ByteStreams["context"] {
    return this.#streams.context;
  }

  /** The connection exists. */
  #open(address: string, port: number): void {
    this.#settle.resolve({
      remoteAddress: formatEndpoint(address, port),
      localAddress: formatEndpoint(this.#host.ownFor(address), this.context.localPort),
      alpn: null,
    });
  }

  #fail(error: Error): void {
    this.#settle.reject(error);
    this.#streams.fail(error);
  }

  close(): Promise<void> {
    this.#settle.reject(socketError("connect", "ECANCELED", "the socket was closed"));
    this.#streams.close();
    return this.closed;
  }

  startTls(options: TlsOptions = {}): StreamSocket {
    if (this.secureTransport !== "starttls") {
      throw new TypeError('startTls needs a socket with secureTransport: "starttls"');
    }
    if (this.#upgraded) throw new TypeError("startTls was called before");
    if (this.#tls === undefined) throw noTls();
    this.#upgraded = true;
    return this.#tls(this, options.expectedServerHostname ?? this.#hostname, options);
  }
}

function parseAddress(to: string | SocketAddress): SocketAddress {
  const { hostname, port } = typeof to === "string" ? splitAddress(to) : to;
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError("the address needs a host name");
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new TypeError(`the address needs a port from 1 to 65535, not ${port}`);
  }
  return { hostname, port };
}

/** Splits "name:port", "10.0.0.1:80" and "[fd00::1]:80". */
function splitAddress(text: string): SocketAddress {
  const parts = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text);
  if (parts === null) throw new TypeError(`not an address like "name:port": "${text}"`);
  return { hostname: parts[1] ?? parts[2], port: Number(parts[3]) };
}

export function formatEndpoint(address: string, port: number): string {
  return addressOf(address)?.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function noTls(): TypeError {
  return new TypeError(
    "there is no TLS on this platform: use ixwasm/sockets on Node, or pass the option tls",
  );
}
