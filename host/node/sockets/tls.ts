/** TLS for sockets as streams, by node:tls over the two streams. */
import { Duplex } from "node:stream";
import tls from "node:tls";
import type { SecureTransport, SocketInfo, StreamSocket, TlsOptions } from "../../net/sockets.ts";
import { SocketError } from "../../net/socket-errors.ts";

/** What node:tls may be told besides what WinterTC knows. */
export interface NodeTlsOptions extends TlsOptions, tls.ConnectionOptions {}

/** The same connection with TLS on it, as a client. */
export class TlsStreamSocket implements StreamSocket {
  readonly secureTransport: SecureTransport = "on";
  readonly upgraded = true;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<SocketInfo>;
  readonly closed: Promise<void>;
  readonly #plain: StreamSocket;
  readonly #secure: tls.TLSSocket;

  constructor(plain: StreamSocket, hostname: string, options: NodeTlsOptions) {
    this.#plain = plain;
    const duplex = Duplex.fromWeb(plain as Parameters<typeof Duplex.fromWeb>[0], {
      allowHalfOpen: true,
    });
    const { expectedServerHostname: _name, ...settings } = options;
    // A name in the handshake may not be an address (RFC 6066 section 3).
    const servername = /^[\d.]+$|:/.test(hostname) ? undefined : hostname;
    const secure = tls.connect({ servername, host: hostname, ...settings, socket: duplex });
    this.#secure = secure;
    this.opened = this.#open(secure);
    this.opened.catch(() => {});
    this.closed = new Promise((resolve, reject) => {
      secure.once("error", (error) => reject(asSocketError(error)));
      secure.once("close", () => resolve());
    });
    this.closed.catch(() => {});
    plain.opened.catch((error) => secure.destroy(error));
    const { readable, writable } = Duplex.toWeb(secure);
    this.readable = readable as ReadableStream<Uint8Array>;
    this.writable = writable as WritableStream<Uint8Array>;
  }

  async #open(secure: tls.TLSSocket): Promise<SocketInfo> {
    const shaken = new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.once("error", (error) => reject(asSocketError(error)));
      secure.once("close", () => reject(new SocketError("tls ECONNRESET", "ECONNRESET")));
    });
    const info = await this.#plain.opened.catch((error) => {
      shaken.catch(() => {});
      throw error;
    });
    await shaken;
    return { ...info, alpn: secure.alpnProtocol || null };
  }

  async close(): Promise<void> {
    this.#secure.destroy();
    await this.#plain.close();
  }

  startTls(): StreamSocket {
    throw new TypeError("the socket has TLS already");
  }
}

function asSocketError(error: Error & { code?: string }): SocketError {
  if (error instanceof SocketError) return error;
  const made = new SocketError(error.message, error.code ?? "EPROTO");
  made.cause = error;
  return made;
}
