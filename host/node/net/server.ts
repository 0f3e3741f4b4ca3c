/** A TCP server on a host of a network, as node:net's Server. */
import { channel } from "node:diagnostics_channel";
import { EventEmitter } from "node:events";
import { RC_OK } from "../../../assembly/abi.ts";
import type { IxevContext } from "../../libix/ixev-context.ts";
import type { Knock } from "../../libix/ixev-operations.ts";
import type { Host, PortListener } from "../../net/host.ts";
import { normalizeListen } from "./arguments.ts";
import { Bound } from "./bound.ts";
import { defaultHost } from "./defaults.ts";
import { coded, familyOf, invalidType, systemError } from "./errors.ts";
import { Hold } from "./hold.ts";
import type { AddressInfo, Endpoint, ListenOptions, ServerOptions } from "./options.ts";
import { Socket } from "./socket.ts";

const BACKLOG = 511;
/** Told of every connection that a server accepts, as node:net's servers tell it. */
const accepted = channel("net.server.socket");

/** What the event "drop" says of a connection that was turned away. */
export interface DropArgument {
  readonly localAddress: string;
  readonly localPort: number;
  readonly localFamily: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly remoteFamily: string;
}

type ConnectionListener = (socket: Socket) => void;

export class Server extends EventEmitter {
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  readonly highWaterMark: number | undefined;
  /** Connections beyond this number are dropped at once. */
  maxConnections: number | undefined;
  /** Of a cluster's meaning in node:net; here the excess is dropped in any case. */
  dropMaxConnection = false;

  readonly #via: Host | undefined;
  readonly #connections = new Set<Socket>();
  readonly #hold = new Hold();
  #host: Host | null = null;
  #bound: Bound | null = null;
  #listener: PortListener | null = null;
  #listening = false;

  constructor(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener) {
    super({ captureRejections: true });
    if (options !== undefined && typeof options !== "object" && typeof options !== "function") {
      throw invalidType("options", "of type object", options);
    }
    const given = typeof options === "object" && options !== null ? options : {};
    this.allowHalfOpen = given.allowHalfOpen ?? false;
    this.pauseOnConnect = given.pauseOnConnect ?? false;
    this.noDelay = given.noDelay ?? false;
    this.keepAlive = given.keepAlive ?? false;
    this.keepAliveInitialDelay = given.keepAliveInitialDelay ?? 0;
    this.highWaterMark = given.highWaterMark;
    this.#via = given.via;
    const onConnection = typeof options === "function" ? options : listener;
    if (onConnection !== undefined) this.on("connection", onConnection);
  }

  listen(port?: number | string, host?: string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string, host?: string, listener?: () => void): this;
  listen(port?: number | string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string | null, listener?: () => void): this;
  listen(options: ListenOptions, listener?: () => void): this;
  listen(listener?: () => void): this;
  listen(...args: unknown[]): this {
    const [options, listener] = normalizeListen(args);
    if (this.#listener !== null) {
      const error = new Error("Listen method has been called more than once without closing.");
      throw coded(error, "ERR_SERVER_ALREADY_LISTEN");
    }
    if (listener !== undefined) this.once("listening", listener);
    this.#closeOn(options.signal);
    const host = options.via ?? this.#via ?? defaultHost();
    try {
      this.#bound = Bound.of(host, options);
    } catch (error) {
      process.nextTick(() => this.emit("error", error));
      return this;
    }
    this.#host = host;
    this.#hold.begin(host);
    const bound: PortListener = host.listen(
      Number(options.port ?? 0),
      options.backlog ?? BACKLOG,
      (knock) => this.#accept(knock),
      (outcome, of) => process.nextTick(() => this.#settled(outcome, bound, of.port)),
      this.#bound.where,
    );
    this.#listener = bound;
    return this;
  }

  #closeOn(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    if (typeof signal !== "object" || signal === null || !("aborted" in signal)) {
      throw invalidType("options.signal", "an instance of AbortSignal", signal);
    }
    const abort = (): void => void this.close();
    if (signal.aborted) {
      process.nextTick(abort);
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    this.once("close", () => signal.removeEventListener("abort", abort));
  }

  #settled(outcome: number, listener: PortListener, port: number): void {
    if (this.#listener !== listener) return;
    if (outcome === RC_OK) {
      this.#listening = true;
      this.emit("listening");
      return;
    }
    this.#listener = null;
    this.#hold.end();
    this.emit("error", systemError("listen", outcome, { address: this.#bound!.address, port }));
  }

  // -------------------------------------------------------------------------------------------
  // Connections

  #accept(knock: Knock): IxevContext | null {
    const { maxConnections } = this;
    const shown = this.#bound!.shown(knock.address.toString());
    const remote = { address: shown.remote, port: knock.port };
    const local = { address: shown.local, port: knock.localPort };
    if (maxConnections !== undefined && this.#connections.size >= maxConnections) {
      process.nextTick(() => this.emit("drop", dropped(local, remote)));
      return null;
    }
    const { allowHalfOpen, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark } = this;
    const { socket, context } = Socket.accepted(this.#host!, local, remote, {
      allowHalfOpen,
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
      highWaterMark,
    });
    this.#connections.add(socket);
    socket.server = this;
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#emitCloseIfDrained();
    });
    process.nextTick(() => this.#introduce(socket));
    return context;
  }

  #introduce(socket: Socket): void {
    if (this.pauseOnConnect) socket.pause();
    this.emit("connection", socket);
    if (accepted.hasSubscribers) accepted.publish({ socket });
    if (!socket.isPaused()) socket.read(0);
  }

  /** A listener of "connection" that is an async function has thrown: its socket is of no use. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: string,
    socket: Socket,
  ): void {
    if (event === "connection") socket.destroy(error);
    else this.emit("error", error);
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(() => callback(null, this.#connections.size));
    return this;
  }

  // -------------------------------------------------------------------------------------------
  // Ending

  /** Listens no more; `closed` is called when the last connection has ended. */
  close(closed?: (error?: Error) => void): this {
    const listener = this.#listener;
    if (typeof closed === "function") {
      const refusal = coded(new Error("Server is not running."), "ERR_SERVER_NOT_RUNNING");
      this.once("close", () => (listener === null ? closed(refusal) : closed()));
    }
    this.#listening = false;
    this.#listener = null;
    listener?.close();
    this.#hold.end();
    this.#emitCloseIfDrained();
    return this;
  }

  #emitCloseIfDrained(): void {
    if (this.#listener !== null || this.#connections.size > 0) return;
    process.nextTick(() => this.emit("close"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listener === null) return;
    await new Promise<void>((resolve) => this.close(() => resolve()));
  }

  // -------------------------------------------------------------------------------------------
  // State

  get listening(): boolean {
    return this.#listening;
  }

  address(): AddressInfo | null {
    if (this.#listener === null) return null;
    const { address } = this.#bound!;
    return { address, port: this.#listener.port, family: familyOf(address) };
  }

  ref(): this {
    this.#hold.ref();
    return this;
  }

  unref(): this {
    this.#hold.unref();
    return this;
  }
}

function dropped(local: Endpoint, remote: Endpoint): DropArgument {
  return {
    localAddress: local.address,
    localPort: local.port,
    localFamily: familyOf(local.address),
    remoteAddress: remote.address,
    remotePort: remote.port,
    remoteFamily: familyOf(remote.address),
  };
}
