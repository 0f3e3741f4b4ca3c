/**
 * A TCP connection of a dataplane as node:net's Socket: a Duplex over a context of the event layer. The
 * stream's back-pressure is the connection's: what is not read stays in the kernel's receive window, and
 * a write is done when the send buffer has taken it.
 */
import { addAbortSignal, Duplex } from "node:stream";
import { getDefaultAutoSelectFamilyAttemptTimeout } from "node:net";
import { KEEP_ALIVE_IDLE_MAX, RC_OK } from "../../../assembly/abi.ts";
import { IXEVHUP, IXEVIN, IXEVOUT } from "../../libix/ixev-conditions.ts";
import { IxevContext } from "../../libix/ixev-context.ts";
import type { Host } from "../../net/host.ts";
import { addressOf, isThisHost, isUnspecified } from "../../net/names.ts";
import { AddressedStream } from "./addressed.ts";
import { checkLocal, checkOnRead, checkSocketOptions, normalizeConnect } from "./arguments.ts";
import { Attempts } from "./attempts.ts";
import { defaultHost } from "./defaults.ts";
import { checkPort, coded, invalidType, named, systemError } from "./errors.ts";
import { Hold } from "./hold.ts";
import { IdleTimer } from "./idle-timer.ts";
import { Incoming } from "./incoming.ts";
import { lookUpAll, type LookupAddress } from "./lookup.ts";
import type { ConnectOptions, Endpoint, SocketOptions } from "./options.ts";
import { Outgoing, type WriteDone } from "./outgoing.ts";
import { tcpInfo, type TcpInfo } from "./tcp-info.ts";

type ReadyState = "opening" | "open" | "readOnly" | "writeOnly" | "closed";
type Write = Duplex["write"];

/** How a stream that was destroyed becomes as good as new; node:net's own sockets use it as well. */
interface Renewable {
  _undestroy(): void;
}

export class Socket extends AddressedStream {
  readonly #via: Host | undefined;
  readonly #options: SocketOptions;
  readonly #hold = new Hold();
  readonly #idle = new IdleTimer(() => this.#expire());
  #incoming: Incoming;
  #outgoing = new Outgoing();
  #context: IxevContext | null = null;
  #attempts: Attempts | null = null;
  #connecting = false;
  #resetting = false;
  #noDelay = true;
  #keepAlive = false;
  /** Seconds; 0: what the dataplane's options say. */
  #keepAliveDelay = 0;

  /** The server that the connection was accepted by. */
  server: unknown;
  /** Milliseconds set by `setTimeout`; undefined while none are. */
  timeout: number | undefined;
  /** Every address that was tried, with its port, where a name had several. */
  autoSelectFamilyAttemptedAddresses: string[] | undefined;

  constructor(options: SocketOptions = {}) {
    const { allowHalfOpen = false, signal, highWaterMark } = options;
    super({ allowHalfOpen, highWaterMark, emitClose: false, autoDestroy: true });
    checkSocketOptions(options);
    this.#via = options.via;
    this.#options = options;
    this.#incoming = new Incoming(this, checkOnRead(options.onread));
    this.on("end", () => this.#finRead());
    if (options.keepAlive) this.setKeepAlive(true, options.keepAliveInitialDelay);
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  /** The server's: a socket for a connection that knocked, and its context. */
  static accepted(
    host: Host,
    local: Endpoint,
    remote: Endpoint,
    options: SocketOptions,
  ): { socket: Socket; context: IxevContext } {
    const socket = new Socket(options);
    const context = new IxevContext();
    socket.#hold.begin(host);
    socket.#adopt(context);
    socket.remote = remote;
    socket.local = local;
    return { socket, context };
  }

  // -------------------------------------------------------------------------------------------
  // Connecting

  connect(options: ConnectOptions, listener?: () => void): this;
  connect(port: number | string, host: string, listener?: () => void): this;
  connect(port: number | string, listener?: () => void): this;
  connect(...args: unknown[]): this {
    const [options, listener] = normalizeConnect(args);
    const port = checkPort(options.port);
    const host = options.via ?? this.#via ?? defaultHost();
    const local = checkLocal(options);
    if (this.#connecting) return this;
    if (this.destroyed) this.#renew();
    if (listener !== undefined) this.once("connect", listener);
    this.#connecting = true;
    this.#hold.begin(host);
    this.#idle.touch();
    const name = options.host || "localhost";
    lookUpAll(host, name, options, (error, addresses) => {
      if (!this.#connecting) return;
      this.#announceLookup(name, error, addresses);
      if (error !== null) this.destroy(error);
      else if (local !== undefined && !host.isOwn(local)) {
        this.destroy(named("bind", "EADDRNOTAVAIL", { address: local, port: 0 }));
      } else this.#dial(host, addresses, port, options);
    });
    return this;
  }

  #announceLookup(name: string, error: Error | null, addresses: readonly LookupAddress[]): void {
    if (addressOf(name) !== undefined) return;
    if (error !== null) this.emit("lookup", error, undefined, undefined, name);
    else
      for (const { address, family } of addresses) this.emit("lookup", null, address, family, name);
  }

  #dial(
    host: Host,
    addresses: readonly LookupAddress[],
    port: number,
    options: ConnectOptions,
  ): void {
    if (!this.#connecting) return;
    const { autoSelectFamily = true, localPort = 0 } = options;
    const tried = autoSelectFamily ? addresses : addresses.slice(0, 1);
    const patience =
      options.autoSelectFamilyAttemptTimeout ?? getDefaultAutoSelectFamilyAttemptTimeout();
    const families = new Map(tried.map(({ address, family }) => [address, family]));
    const endpoints = tried.map(({ address }) => ({ address, port }));
    if (tried.length > 1) this.autoSelectFamilyAttemptedAddresses = [];
    this.#attempts = new Attempts(
      { host, endpoints, localPort, patience },
      {
        begin: (context, to) => {
          this.#adopt(context);
          this.autoSelectFamilyAttemptedAddresses?.push(`${to.address}:${to.port}`);
          this.emit("connectionAttempt", to.address, to.port, families.get(to.address));
        },
        connected: (context, to) => this.#guarded(() => this.#connected(host, context, to)),
        failed: (to, error, timedOut) => {
          const name = timedOut ? "connectionAttemptTimeout" : "connectionAttemptFailed";
          const { address } = to;
          this.#guarded(() => this.emit(name, address, to.port, families.get(address), error));
        },
        exhausted: (errors) => this.destroy(errors.length === 1 ? errors[0] : aggregate(errors)),
      },
    );
  }

  #connected(host: Host, context: IxevContext, to: Endpoint): void {
    this.#attempts = null;
    this.#connecting = false;
    const { address, port } = to;
    const own = host.ownFor(address);
    const loops = isThisHost(address);
    this.local = { address: loops ? host.shown(own) : own, port: context.localPort };
    this.remote = isUnspecified(address) ? { address: host.shown(own), port } : to;
    this.#idle.touch();
    this.emit("connect");
    this.emit("ready");
    if (!this.isPaused()) this.read(0);
  }

  /** Makes a closed socket as good as new, for another connection. */
  #renew(): void {
    (this as unknown as Renewable)["_undestroy"]();
    this.#context = null;
    this.#incoming = new Incoming(this, checkOnRead(this.#options.onread));
    this.#outgoing = new Outgoing();
    this.#resetting = false;
    this.local = undefined;
    this.remote = undefined;
    delete (this as { write?: Write }).write;
  }

  /** Takes a context for its own. */
  #adopt(context: IxevContext): void {
    this.#context = context;
    if (!this.#noDelay) context.setNoDelay(false);
    if (this.#keepAlive) context.setKeepAlive(true, this.#keepAliveDelay);
    context.setHandler(IXEVIN | IXEVOUT | IXEVHUP, (from, conditions) => {
      if (from === this.#context) this.#guarded(() => this.#happened(conditions));
    });
  }

  /** What a listener throws is uncaught, as anywhere else; it does not end the network's round. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #happened(conditions: number): void {
    if (this.destroyed || this.#connecting) return;
    if (conditions & IXEVOUT) this.#continueWrite();
    if (conditions & IXEVIN) this.#continueRead();
    if (conditions & IXEVHUP) this.#hungUp();
  }

  #hungUp(): void {
    if (this.destroyed) return;
    const { reason } = this.#context!;
    const syscall = this.#outgoing.isBusy ? "write" : "read";
    if (reason !== RC_OK || this.#outgoing.isBusy) this.#fail(systemError(syscall, reason));
  }

  /** Ends everything because of an error; a write under way is told of it. */
  #fail(error: Error): void {
    if (this.#outgoing.isBusy) this.#outgoing.finish(error);
    else this.destroy(error);
  }

  // -------------------------------------------------------------------------------------------
  // Reading and writing

  override _read(): void {
    this.#want();
  }

  #want(): void {
    this.#incoming.wanted = true;
    this.#continueRead();
  }

  #continueRead(): void {
    if (this.#context === null || this.#connecting) return;
    if (this.#incoming.proceed(this.#context) > 0) this.#idle.touch();
  }

  /** The peer has ended, and so has this side: what is written from now on goes nowhere. */
  #finRead(): void {
    if (!this.allowHalfOpen) this.write = writeAfterFin as Write;
  }

  override pause(): this {
    this.#incoming.paused = true;
    return super.pause();
  }

  override resume(): this {
    const { paused } = this.#incoming;
    this.#incoming.paused = false;
    super.resume();
    if (paused && this.#incoming.hasBuffer) process.nextTick(() => this.#want());
    return this;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: WriteDone): void {
    this.#begin(chunk, done);
  }

  override _writev(
    chunks: { chunk: Uint8Array; encoding: BufferEncoding }[],
    done: WriteDone,
  ): void {
    const parts = chunks.map(({ chunk }) => chunk);
    this.#begin(parts.length === 1 ? parts[0] : Buffer.concat(parts), done);
  }

  /** Begins a write, or has it begin once there is a connection. */
  #begin(bytes: Uint8Array, done: WriteDone): void {
    if (this.#context === null && !this.#connecting) {
      done(socketClosed());
      return;
    }
    this.#outgoing.begin(bytes, done);
    if (this.#connecting) this.once("connect", () => this.#continueWrite());
    else this.#continueWrite();
  }

  #continueWrite(): void {
    if (this.#context === null || this.#connecting) return;
    if (this.#outgoing.proceed(this.#context) > 0) this.#idle.touch();
  }

  override _final(done: WriteDone): void {
    if (this.#connecting) this.once("connect", () => this.#shutDown(done));
    else this.#shutDown(done);
  }

  #shutDown(done: WriteDone): void {
    if (!this.#resetting) this.#context?.shutdown();
    done();
  }

  // -------------------------------------------------------------------------------------------
  // Ending

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const connecting = this.#connecting;
    const hadConnection = connecting || this.#context !== null;
    this.#connecting = false;
    this.#idle.stop();
    this.#attempts?.cancel();
    this.#attempts = null;
    if (this.#resetting) this.#context?.abort();
    else this.#context?.close();
    const pending = connecting ? closedTooEarly() : socketClosed();
    this.#outgoing.finish(error ?? pending);
    this.#hold.end();
    done(error);
    // After "error", which the stream emits on the next tick; a connection's end takes a turn of the loop.
    const later = hadConnection ? setImmediate : process.nextTick;
    later(() => this.emit("close", error !== null));
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Ends the connection with RST. */
  resetAndDestroy(): this {
    if (this.#connecting) this.once("connect", () => this.#reset());
    else if (this.#context === null || this.destroyed) this.destroy(socketClosed());
    else this.#reset();
    return this;
  }

  #reset(): void {
    this.#resetting = true;
    this.destroySoon();
  }

  // -------------------------------------------------------------------------------------------
  // Settings

  setTimeout(milliseconds: number, listener?: () => void): this {
    if (this.destroyed) return this;
    if (listener !== undefined && typeof listener !== "function") {
      throw invalidType("callback", "of type function", listener);
    }
    this.#idle.set(milliseconds);
    this.timeout = milliseconds;
    if (listener === undefined) return this;
    if (milliseconds === 0) this.removeListener("timeout", listener);
    else this.once("timeout", listener);
    return this;
  }

  #expire(): void {
    this.emit("timeout");
  }

  /**
   * False has small segments wait for outstanding ones. Until then, unlike with node:net, none does: what
   * is written within a round goes out together anyway.
   */
  setNoDelay(noDelay = true): this {
    this.#noDelay = Boolean(noDelay);
    this.#context?.setNoDelay(this.#noDelay);
    return this;
  }

  /** Has an idle peer asked whether it is still there, for the first time after `initialDelay` ms. */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#keepAlive = Boolean(enable);
    const seconds = Math.ceil(Math.max(0, Number(initialDelay) || 0) / 1000);
    this.#keepAliveDelay = Math.min(seconds, KEEP_ALIVE_IDLE_MAX);
    this.#context?.setKeepAlive(this.#keepAlive, this.#keepAliveDelay);
    return this;
  }

  ref(): this {
    this.#hold.ref();
    return this;
  }

  unref(): this {
    this.#hold.unref();
    return this;
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
    return this.#incoming.bytes;
  }

  /** Bytes sent, and those that wait to be. */
  get bytesWritten(): number {
    return this.#outgoing.sent + this.writableLength - this.#outgoing.taken;
  }

  get bufferSize(): number | undefined {
    return this.#context === null ? undefined : this.writableLength;
  }

  /** What the stack knows of the connection; undefined while there is none. */
  tcpInfo(): TcpInfo | undefined {
    return this.#context === null ? undefined : tcpInfo(this.#context);
  }
}

/** In place of `write` once the peer has ended the connection and this side has answered. */
function writeAfterFin(
  this: Socket,
  chunk: unknown,
  encoding?: BufferEncoding | WriteDone,
  done?: WriteDone,
): boolean {
  if (!this.writableEnded) {
    return Duplex.prototype.write.call(this, chunk, encoding as BufferEncoding, done);
  }
  const error = coded(new Error("This socket has been ended by the other party"), "EPIPE");
  const callback = typeof encoding === "function" ? encoding : done;
  if (callback !== undefined) process.nextTick(callback, error);
  this.destroy(error);
  return false;
}

function socketClosed(): Error {
  return coded(new Error("Socket is closed"), "ERR_SOCKET_CLOSED");
}

function closedTooEarly(): Error {
  const error = new Error("Socket closed before the connection was established");
  return coded(error, "ERR_SOCKET_CLOSED_BEFORE_CONNECTION");
}

/** What connecting to several addresses says when none answered. */
function aggregate(errors: readonly Error[]): Error {
  const { code } = errors[0] as { code?: string };
  return coded(new AggregateError(errors), code!);
}
