/** A TCP server on a host of a network, as node:net's Server. */
import { EventEmitter } from "node:events";
import { RC_OK } from "../../../assembly/abi.ts";
import type { IxevContext } from "../../libix/ixev-context.ts";
import type { Knock } from "../../libix/ixev.ts";
import type { Host, PortListener } from "../../net/host.ts";
import { normalizeListen } from "./arguments.ts";
import { defaultHost } from "./defaults.ts";
import { coded, named, notFound, systemError } from "./errors.ts";
import { Socket } from "./socket.ts";
import type { SocketOptions } from "./socket.ts";

const BACKLOG = 511;

export interface ServerOptions {
  readonly allowHalfOpen?: boolean;
  readonly pauseOnConnect?: boolean;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
  /** The host of the network that listens. Default: this process's own. */
  readonly via?: Host;
}

export interface ListenOptions {
  readonly port?: number | string;
  readonly host?: string;
  readonly backlog?: number;
  readonly signal?: AbortSignal;
  readonly via?: Host;
}

type ConnectionListener = (socket: Socket) => void;

export class Server extends EventEmitter {
  readonly #options: ServerOptions;
  readonly #connections = new Set<Socket>();
  #host: Host | null = null;
  #listener: PortListener | null = null;
  #listening = false;
  #closing = false;
  #referenced = true;
  #holdsNetwork = false;

  /** Connections beyond this number are dropped at once. */
  maxConnections: number | undefined;
  dropMaxConnection = false;

  constructor(options?: ServerOptions | ConnectionListener, listener?: ConnectionListener) {
    super();
    if (options !== undefined && typeof options !== "object" && typeof options !== "function") {
      throw coded(
        new TypeError('The "options" argument must be of type object'),
        "ERR_INVALID_ARG_TYPE",
      );
    }
    this.#options = typeof options === "object" && options !== null ? options : {};
    const onConnection = typeof options === "function" ? options : listener;
    if (onConnection !== undefined) this.on("connection", onConnection);
  }

  listen(port?: number | string, host?: string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string, host?: string, listener?: () => void): this;
  listen(port?: number | string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string, listener?: () => void): this;
  listen(options: ListenOptions, listener?: () => void): this;
  listen(listener?: () => void): this;
  listen(...args: unknown[]): this {
    if (this.#listener !== null) {
      const error = new Error("Listen method has been called more than once without closing.");
      throw coded(error, "ERR_SERVER_ALREADY_LISTEN");
    }
    const [options, listener] = normalizeListen(args);
    if (listener !== undefined) this.once("listening", listener);
    const { signal } = options;
    if (signal?.aborted) this.close();
    else signal?.addEventListener("abort", () => this.close(), { once: true });
    const host = options.via ?? this.#options.via ?? defaultHost();
    const name = options.host;
    if (name !== undefined && host.resolve(name) !== host.address) {
      this.#refuse(host, name, options);
      return this;
    }
    this.#host = host;
    this.#hold();
    this.#listener = host.listen(
      Number(options.port ?? 0),
      options.backlog ?? BACKLOG,
      (knock) => this.#accept(knock),
      (outcome, bound) => process.nextTick(() => this.#settled(outcome, bound.port)),
    );
    return this;
  }

  /** Another host's address, or a name that nobody has. */
  #refuse(host: Host, name: string, options: ListenOptions): void {
    const address = host.resolve(name);
    const error =
      address === undefined
        ? notFound(name)
        : named("listen", "EADDRNOTAVAIL", { address, port: Number(options.port ?? 0) });
    process.nextTick(() => this.emit("error", error));
  }

  #settled(outcome: number, port: number): void {
    if (this.#closing) return;
    if (outcome === RC_OK) {
      this.#listening = true;
      this.emit("listening");
      return;
    }
    this.#listener = null;
    this.#release();
    this.emit("error", systemError("listen", outcome, { address: this.#host!.address, port }));
  }

  #accept(knock: Knock): IxevContext | null {
    const { maxConnections } = this;
    const remote = { address: knock.address.toString(), port: knock.port };
    const host = this.#host!;
    if (maxConnections !== undefined && this.#connections.size >= maxConnections) {
      const drop = {
        localAddress: host.address,
        localPort: knock.localPort,
        localFamily: "IPv4",
        remoteAddress: remote.address,
        remotePort: remote.port,
        remoteFamily: "IPv4",
      };
      process.nextTick(() => this.emit("drop", drop));
      return null;
    }
    const { socket, context } = Socket.accepted(
      host,
      remote,
      knock.localPort,
      this.#socketOptions(),
    );
    this.#connections.add(socket);
    socket.server = this;
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#finishClose();
    });
    process.nextTick(() => this.#introduce(socket));
    return context;
  }

  #socketOptions(): SocketOptions {
    const { allowHalfOpen, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark } =
      this.#options;
    return { allowHalfOpen, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark };
  }

  #introduce(socket: Socket): void {
    if (this.#options.pauseOnConnect) socket.pause();
    this.emit("connection", socket);
    if (!socket.isPaused()) socket.read(0);
  }

  /** Listens no more; `closed` is called when the last connection has ended. */
  close(closed?: (error?: Error) => void): this {
    if (this.#listener === null) {
      if (closed !== undefined) {
        const error = coded(new Error("Server is not running."), "ERR_SERVER_NOT_RUNNING");
        process.nextTick(() => closed(error));
      }
      return this;
    }
    if (closed !== undefined) this.once("close", closed);
    this.#closing = true;
    this.#listening = false;
    this.#listener.close();
    this.#listener = null;
    this.#finishClose();
    return this;
  }

  #finishClose(): void {
    if (!this.#closing || this.#connections.size > 0) return;
    this.#closing = false;
    this.#release();
    process.nextTick(() => this.emit("close"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listener === null) return;
    await new Promise<void>((resolve) => this.close(() => resolve()));
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(() => callback(null, this.#connections.size));
    return this;
  }

  get listening(): boolean {
    return this.#listening;
  }

  address(): { address: string; port: number; family: string } | null {
    if (this.#listener === null) return null;
    return { address: this.#host!.address, port: this.#listener.port, family: "IPv4" };
  }

  ref(): this {
    this.#referenced = true;
    if (this.#listener !== null) this.#hold();
    return this;
  }

  unref(): this {
    this.#referenced = false;
    this.#release();
    return this;
  }

  #hold(): void {
    if (!this.#referenced || this.#holdsNetwork) return;
    this.#holdsNetwork = true;
    this.#host!.network.ref();
  }

  #release(): void {
    if (!this.#holdsNetwork) return;
    this.#holdsNetwork = false;
    this.#host!.network.unref();
  }
}
