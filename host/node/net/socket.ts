/**
 * A TCP connection of a dataplane as node:net's Socket: a Duplex over a context of the event layer. The
 * stream's back-pressure is the connection's: what is not read stays in the kernel's receive window, and
 * a write is done when the send buffer has taken it.
 */
import { Duplex } from "node:stream";
import { RC_OK } from "../../../assembly/abi.ts";
import { IXEVHUP, IXEVIN, IXEVOUT, IxevContext } from "../../libix/ixev-context.ts";
import type { Host } from "../../net/host.ts";
import { normalizeConnect } from "./arguments.ts";
import { checkPort, coded, named, systemError } from "./errors.ts";
import { defaultHost } from "./defaults.ts";
import { lookUp, type LookupFunction } from "./lookup.ts";

/** Bytes handed on as one chunk at most. */
const CHUNK = 65536;

export interface OnReadOptions {
  readonly buffer: Uint8Array | (() => Uint8Array);
  /** Returns false to pause. */
  readonly callback: (bytesRead: number, buffer: Uint8Array) => boolean;
}

export interface SocketOptions {
  readonly allowHalfOpen?: boolean;
  readonly signal?: AbortSignal;
  readonly onread?: OnReadOptions;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
  /** The host of the network that the socket is on. Default: this process's own. */
  readonly via?: Host;
}

export interface ConnectOptions extends SocketOptions {
  readonly port: number | string;
  /** A name or an address. Default "localhost". */
  readonly host?: string;
  readonly localPort?: number;
  readonly localAddress?: string;
  readonly family?: number;
  readonly lookup?: LookupFunction;
  /** Milliseconds without activity until "timeout". */
  readonly timeout?: number;
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

type ReadyState = "opening" | "open" | "readOnly" | "writeOnly" | "closed";

export class Socket extends Duplex {
  readonly #via: Host | undefined;
  readonly #onread: OnReadOptions | undefined;
  #context: IxevContext | null = null;
  #host: Host | null = null;
  #local: Endpoint | undefined;
  #remote: Endpoint | undefined;
  #connecting = false;
  #wanted = false;
  #ended = false;
  #paused = false;
  #bytesRead = 0;
  #bytesSent = 0;
  /** Bytes of the write under way that are among those sent. */
  #taken = 0;
  /** The rest of a write that the context would not take yet. */
  #rest: Uint8Array | null = null;
  #written: ((error?: Error | null) => void) | null = null;
  #referenced = true;
  #holdsNetwork = false;
  #timer: NodeJS.Timeout | undefined;
  #resetting = false;

  /** Milliseconds set by `setTimeout`; undefined while none are. */
  timeout: number | undefined;
  /** The server that the connection was accepted by. */
  server: unknown;

  constructor(options: SocketOptions = {}) {
    const { allowHalfOpen = false, signal, highWaterMark } = options;
    super({
      allowHalfOpen,
      signal,
      highWaterMark,
      emitClose: false,
      autoDestroy: true,
      decodeStrings: true,
    });
    this.#via = options.via;
    this.#onread = options.onread;
  }

  /** The server's: a socket for a connection that knocked, and its context. */
  static accepted(
    host: Host,
    remote: Endpoint,
    localPort: number,
    options: SocketOptions,
  ): { socket: Socket; context: IxevContext } {
    const socket = new Socket(options);
    const context = socket.#adopt(host);
    socket.#remote = remote;
    socket.#local = { address: host.address, port: localPort };
    return { socket, context };
  }

  // -------------------------------------------------------------------------------------------
  // Connecting

  connect(options: ConnectOptions, listener?: () => void): this;
  connect(port: number | string, host: string, listener?: () => void): this;
  connect(port: number | string, listener?: () => void): this;
  connect(...args: unknown[]): this {
    const [options, listener] = normalizeConnect(args);
    if (listener !== undefined) this.once("connect", listener);
    const port = checkPort(options.port);
    if (this.#connecting) return this;
    this.#connecting = true;
    if (options.timeout !== undefined) this.setTimeout(options.timeout);
    const host = options.via ?? this.#via ?? defaultHost();
    this.#hold(host);
    const name = options.host ?? "localhost";
    lookUp(host, name, options, (error, address) => {
      if (this.destroyed) return;
      this.emit("lookup", error, address, address === undefined ? undefined : 4, name);
      if (error !== null) this.destroy(error);
      else this.#dial(host, { address: address!, port }, options.localPort ?? 0);
    });
    return this;
  }

  #dial(host: Host, to: Endpoint, localPort: number): void {
    const context = this.#adopt(host);
    this.#remote = to;
    this.emit("connectionAttempt", to.address, to.port, 4);
    host.dial(context, to.address, to.port, localPort, (outcome) => {
      if (this.destroyed) return;
      if (outcome === RC_OK) {
        this.#local = { address: host.address, port: context.localPort };
        this.#connected();
      } else {
        const error = systemError("connect", outcome, to);
        this.#remote = undefined;
        this.emit("connectionAttemptFailed", to.address, to.port, 4, error);
        this.destroy(error);
      }
    });
  }

  #connected(): void {
    this.#connecting = false;
    this.#touch();
    this.emit("connect");
    this.emit("ready");
    if (!this.isPaused()) this.read(0);
  }

  /** Gives the socket a context on a host. */
  #adopt(host: Host): IxevContext {
    const context = new IxevContext();
    this.#context = context;
    this.#host = host;
    this.#hold(host);
    context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (_, conditions) => this.#happened(conditions));
    return context;
  }

  #happened(conditions: number): void {
    if (this.destroyed) return;
    if (conditions & IXEVOUT) this.#continueWrite();
    if (conditions & IXEVIN) this.#readable();
    if (conditions & IXEVHUP) this.#hungUp();
  }

  #hungUp(): void {
    const { reason } = this.#context!;
    if (this.#connecting) return;
    if (reason !== RC_OK) {
      this.#fail(systemError(this.#written === null ? "read" : "write", reason));
    } else if (this.#written !== null) {
      this.#fail(systemError("write", RC_OK));
    }
  }

  /** Ends everything because of an error; a write under way is told of it. */
  #fail(error: Error): void {
    this.#rest = null;
    const written = this.#written;
    this.#written = null;
    if (written === null) this.destroy(error);
    else written(error);
  }

  // -------------------------------------------------------------------------------------------
  // Reading

  override _read(): void {
    this.#want();
  }

  #want(): void {
    this.#wanted = true;
    this.#readable();
  }

  #readable(): void {
    const context = this.#context;
    if (context === null || this.#connecting || !this.#wanted) return;
    if (this.#onread === undefined) this.#push(context);
    else this.#fill(context, this.#onread);
    if (context.ended && !this.#ended) {
      this.#ended = true;
      this.push(null);
      this.read(0);
    }
  }

  /** Hands on what there is, until the stream has enough. */
  #push(context: IxevContext): void {
    for (let available = context.available; available > 0; available = context.available) {
      const chunk = Buffer.allocUnsafe(Math.min(available, CHUNK));
      this.#count(context.recv(chunk));
      if (!this.push(chunk)) {
        this.#wanted = false;
        return;
      }
      if (this.destroyed) return;
    }
  }

  /** The same into the buffer of the option `onread`. */
  #fill(context: IxevContext, { buffer, callback }: OnReadOptions): void {
    while (context.available > 0 && !this.#paused && !this.destroyed) {
      const into = typeof buffer === "function" ? buffer() : buffer;
      const length = context.recv(into);
      this.#count(length);
      if (callback(length, into) === false) this.pause();
    }
  }

  #count(length: number): void {
    this.#bytesRead += length;
    this.#touch();
  }

  override pause(): this {
    this.#paused = true;
    return super.pause();
  }

  override resume(): this {
    this.#paused = false;
    super.resume();
    if (this.#onread !== undefined) this.#want();
    return this;
  }

  // -------------------------------------------------------------------------------------------
  // Writing

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    this.#begin(chunk, done);
  }

  override _writev(
    chunks: { chunk: Uint8Array; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const parts = chunks.map(({ chunk }) => chunk);
    this.#begin(parts.length === 1 ? parts[0] : Buffer.concat(parts), done);
  }

  /** Begins a write, or has it begin once there is a connection. */
  #begin(bytes: Uint8Array, done: (error?: Error | null) => void): void {
    this.#written = done;
    if (this.#connecting) {
      this.once("connect", () => this.#begin(bytes, done));
    } else if (this.#context === null) {
      this.#written = null;
      done(named("write", "EPIPE"));
    } else {
      this.#rest = bytes;
      this.#continueWrite();
    }
  }

  #continueWrite(): void {
    const rest = this.#rest;
    if (rest === null || this.#context === null) return;
    const taken = this.#context.send(rest);
    if (taken < 0) {
      this.#fail(named("write", "EPIPE"));
      return;
    }
    if (taken > 0) this.#touch();
    this.#bytesSent += taken;
    this.#taken += taken;
    if (taken < rest.length) {
      this.#rest = rest.subarray(taken);
      return;
    }
    this.#taken = 0;
    this.#rest = null;
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#connecting) {
      this.once("connect", () => this.#shutDown(done));
      return;
    }
    this.#shutDown(done);
  }

  #shutDown(done: () => void): void {
    this.#context?.shutdown();
    done();
  }

  // -------------------------------------------------------------------------------------------
  // Ending

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#connecting = false;
    const context = this.#context;
    if (context !== null && !context.isDead) {
      if (this.#resetting) context.abort();
      else context.close();
    }
    const written = this.#written;
    this.#written = null;
    this.#rest = null;
    written?.(
      error ?? coded(new Error("Socket closed before the write was done"), "ERR_SOCKET_CLOSED"),
    );
    this.#release();
    done(error);
    // After "error", which the stream emits on the next tick.
    process.nextTick(() => this.emit("close", error !== null));
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Ends the connection with RST. */
  resetAndDestroy(): this {
    this.#resetting = true;
    if (this.#connecting) this.once("connect", () => this.destroy());
    else if (this.#context === null)
      this.destroy(coded(new Error("Socket is closed"), "ERR_SOCKET_CLOSED"));
    else this.destroy();
    return this;
  }

  // -------------------------------------------------------------------------------------------
  // Settings

  setTimeout(milliseconds: number, listener?: () => void): this {
    if (typeof milliseconds !== "number" || Number.isNaN(milliseconds) || milliseconds < 0) {
      throw coded(
        new RangeError(`The value of "msecs" is out of range. Received ${String(milliseconds)}`),
        "ERR_OUT_OF_RANGE",
      );
    }
    this.timeout = milliseconds;
    clearTimeout(this.#timer);
    if (milliseconds === 0) {
      if (listener !== undefined) this.removeListener("timeout", listener);
      return this;
    }
    this.#arm();
    if (listener !== undefined) this.once("timeout", listener);
    return this;
  }

  /** Small writes are never held back: the application's round is what coalesces them. */
  setNoDelay(_noDelay = true): this {
    return this;
  }

  setKeepAlive(_enable = false, _initialDelay = 0): this {
    return this;
  }

  /** Activity: the time without any begins anew. */
  #touch(): void {
    this.#timer?.refresh();
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.emit("timeout"), Math.min(this.timeout!, 2 ** 31 - 1));
    this.#timer.unref();
  }

  ref(): this {
    this.#referenced = true;
    if (this.#host !== null) this.#hold(this.#host);
    return this;
  }

  unref(): this {
    this.#referenced = false;
    this.#release();
    return this;
  }

  /** Keeps the process alive for as long as the socket is open. */
  #hold(host: Host): void {
    this.#host = host;
    if (!this.#referenced || this.#holdsNetwork || this.destroyed) return;
    this.#holdsNetwork = true;
    host.network.ref();
  }

  #release(): void {
    if (!this.#holdsNetwork) return;
    this.#holdsNetwork = false;
    this.#host!.network.unref();
  }

  // -------------------------------------------------------------------------------------------
  // State

  get connecting(): boolean {
    return this.#connecting;
  }

  get pending(): boolean {
    return this.#context === null || this.#connecting;
  }

  get readyState(): ReadyState {
    if (this.#connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes sent, and those that wait to be. */
  get bytesWritten(): number {
    return this.#bytesSent + this.writableLength - this.#taken;
  }

  get bufferSize(): number | undefined {
    return this.#context === null ? undefined : this.writableLength;
  }

  address(): { address: string; port: number; family: string } | Record<string, never> {
    return this.#local === undefined || this.destroyed ? {} : { ...this.#local, family: "IPv4" };
  }

  get localAddress(): string | undefined {
    return this.#local?.address;
  }

  get localPort(): number | undefined {
    return this.#local?.port;
  }

  get localFamily(): string | undefined {
    return this.#local === undefined ? undefined : "IPv4";
  }

  get remoteAddress(): string | undefined {
    return this.#connecting ? undefined : this.#remote?.address;
  }

  get remotePort(): number | undefined {
    return this.#connecting ? undefined : this.#remote?.port;
  }

  get remoteFamily(): string | undefined {
    return this.remoteAddress === undefined ? undefined : "IPv4";
  }
}
