/**
 * A UDP socket of a host of a network, as node:dgram's Socket. Binding, joining and connecting are calls
 * that the kernel answers later; what is sent meanwhile waits, in order.
 */
import { Buffer } from "node:buffer";
import { errorMonitor, EventEmitter } from "node:events";
import { RC_OK } from "../../../assembly/abi.ts";
import { IpAddress } from "../../libix/ip-address.ts";
import type { Host } from "../../net/host.ts";
import { isThisHost } from "../../net/names.ts";
import type { UdpSocket } from "../../net/udp.ts";
import { defaultHost } from "../net/defaults.ts";
import { checkPort, coded, named, systemError } from "../net/errors.ts";
import { lookUp, type LookupFunction } from "../net/lookup.ts";
import { Binding } from "./binding.ts";
import { Memberships, type MembershipCall } from "./memberships.ts";
import { checkHops, MULTICAST_TTL, unsupported } from "./settings.ts";
import type {
  BindOptions,
  MessageListener,
  RemoteInfo,
  SocketOptions,
  SocketType,
} from "./types.ts";
import {
  alreadyConnected,
  checkAddress,
  checkNumber,
  checkTarget,
  normalizeSend,
  wrongType,
  type Message,
  type SendCallback,
} from "./arguments.ts";

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

const DISCONNECTED = 0;
const CONNECTING = 1;
const CONNECTED = 2;

const LIMITED_BROADCAST = "255.255.255.255";

export class Socket extends EventEmitter {
  readonly type: SocketType;
  readonly #via: Host | undefined;
  readonly #lookup: LookupFunction | undefined;
  readonly #binding: Binding;
  #connectState = DISCONNECTED;
  #closed = false;
  #peer: Endpoint | null = null;
  readonly #memberships = new Memberships(
    (group, member, done) => this.#whenBound(() => this.#udp.setMembership(group, member, done)),
    (error) => this.#emitError(error),
  );
  #broadcast = false;
  #sendingBytes = 0;
  #sendingCount = 0;

  constructor(options: SocketType | SocketOptions, listener?: MessageListener) {
    super();
    const given = typeof options === "string" ? { type: options } : options;
    const type = given?.type;
    if (type !== "udp4" && type !== "udp6") {
      const error = new TypeError("Bad socket type specified. Valid types are: udp4, udp6");
      throw coded(error, "ERR_SOCKET_BAD_TYPE");
    }
    const { lookup, signal, via } = given as SocketOptions;
    if (lookup !== undefined && typeof lookup !== "function") {
      throw wrongType("lookup", "function", lookup);
    }
    this.type = type;
    this.#lookup = lookup;
    this.#via = via;
    this.#binding = new Binding(lookup, this.#family, {
      bound: () => void this.emit("listening"),
      failed: (error) => void this.emit("error", error),
      message: (bytes, address, from) => this.#message(bytes, address, from),
      error: (reason) => this.#report(() => this.#emitError(systemError("recvmsg", reason))),
    });
    if (typeof listener === "function") this.on("message", listener);
    if (signal !== undefined) this.#closeOn(signal);
  }

  #closeOn(signal: AbortSignal): void {
    if (!(signal instanceof AbortSignal)) throw wrongType("options.signal", "AbortSignal", signal);
    const close = (): void => {
      if (!this.#closed) this.close();
    };
    if (signal.aborted) close();
    else {
      signal.addEventListener("abort", close, { once: true });
      this.once("close", () => signal.removeEventListener("abort", close));
    }
  }

  // -------------------------------------------------------------------------------------------
  // Binding

  bind(port?: number, address?: string, callback?: () => void): this;
  bind(port?: number, callback?: () => void): this;
  bind(callback: () => void): this;
  bind(options: BindOptions, callback?: () => void): this;
  bind(...args: unknown[]): this {
    this.#check();
    if (this.#binding.hasBegun) {
      throw coded(new Error("Socket is already bound"), "ERR_SOCKET_ALREADY_BOUND");
    }
    const [first, second] = args;
    const options: BindOptions =
      typeof first === "object" && first !== null ? first : portAndAddress(first, second);
    if (options.fd !== undefined) {
      const error = new TypeError("a dataplane has no file descriptors: bind a port instead of fd");
      throw coded(error, "ERR_INVALID_ARG_VALUE");
    }
    const port = checkPort(options.port ?? 0, "options.port");
    const address = checkAddress(options.address);
    const callback = args.at(-1);
    if (typeof callback === "function") this.#onceListening(callback as () => void);
    this.#binding.begin(this.#via ?? defaultHost(), address, port);
    return this;
  }

  /** Calls back once listening, unless binding fails first. */
  #onceListening(callback: () => void): void {
    const settled = (): void => {
      this.removeListener("listening", listening);
      this.removeListener(errorMonitor, settled);
    };
    const listening = (): void => {
      settled();
      callback.call(this);
    };
    this.on("listening", listening);
    this.on(errorMonitor, settled);
  }

  /** Runs `task` as soon as the socket is bound, and sees to it that it will be. */
  #whenBound(task: () => void): void {
    this.#binding.whenBound(task);
    if (!this.#binding.hasBegun) this.bind({ port: 0 });
  }

  /** The kernel's port, once bound. */
  get #udp(): UdpSocket {
    return this.#binding.socket!;
  }

  /** The host that the socket is on, once binding has begun. */
  get #host(): Host | null {
    return this.#binding.host;
  }

  // -------------------------------------------------------------------------------------------
  // Connecting

  connect(port: number, address?: string, callback?: () => void): void;
  connect(port: number, callback?: () => void): void;
  connect(port: number, address?: unknown, callback?: () => void): void {
    const to = checkTarget(port);
    const done = typeof address === "function" ? (address as () => void) : callback;
    const name = typeof address === "function" ? undefined : checkAddress(address);
    this.#check();
    if (this.#connectState !== DISCONNECTED) throw alreadyConnected();
    this.#connectState = CONNECTING;
    this.#whenBound(() => this.#connectTo(to, name ?? this.#loopback, done));
  }

  #connectTo(port: number, name: string, callback?: (error?: Error) => void): void {
    this.#find(name, (error, address) => {
      if (this.#closed || this.#connectState !== CONNECTING) return;
      if (error !== null) {
        this.#connectFailed(error, callback);
        return;
      }
      this.#udp.connect({ address: IpAddress.parse(address!), port }, (outcome) =>
        process.nextTick(() => {
          if (this.#closed || this.#connectState !== CONNECTING) return;
          const peer = { address: address!, port };
          if (outcome === RC_OK) this.#connected(peer, callback);
          else this.#connectFailed(systemError("connect", outcome, peer), callback);
        }),
      );
    });
  }

  #connected(peer: Endpoint, callback?: () => void): void {
    this.#connectState = CONNECTED;
    this.#peer = peer;
    if (callback !== undefined) this.once("connect", callback);
    this.emit("connect");
  }

  #connectFailed(error: Error, callback?: (error: Error) => void): void {
    this.#connectState = DISCONNECTED;
    if (callback !== undefined) callback(error);
    else this.emit("error", error);
  }

  disconnect(): void {
    this.#check();
    if (this.#connectState !== CONNECTED) throw notConnected();
    this.#connectState = DISCONNECTED;
    this.#peer = null;
    this.#udp.connect(null, () => {});
  }

  // -------------------------------------------------------------------------------------------
  // Sending

  send(message: Message, port?: number, address?: string, callback?: SendCallback): void;
  send(message: Message, port?: number, callback?: SendCallback): void;
  send(message: Message, callback?: SendCallback): void;
  send(
    message: string | NodeJS.ArrayBufferView,
    offset: number,
    length: number,
    port?: number,
    address?: string,
    callback?: SendCallback,
  ): void;
  send(
    message: string | NodeJS.ArrayBufferView,
    offset: number,
    length: number,
    port?: number,
    callback?: SendCallback,
  ): void;
  send(
    message: string | NodeJS.ArrayBufferView,
    offset: number,
    length: number,
    callback?: SendCallback,
  ): void;
  send(...args: unknown[]): void {
    const { bytes, port, address, callback } = normalizeSend(
      args,
      this.#connectState === CONNECTED,
    );
    this.#check();
    this.#sendingBytes += bytes.length;
    this.#sendingCount++;
    const sent = (error: Error | null): void => {
      this.#sendingBytes -= bytes.length;
      this.#sendingCount--;
      if (callback !== undefined) process.nextTick(callback, error, error ? 0 : bytes.length);
      else if (error !== null) process.nextTick(() => this.#emitError(error));
    };
    this.#whenBound(() => this.#sendTo(bytes, port, address, sent));
  }

  #sendTo(
    bytes: Buffer,
    port: number | undefined,
    name: string | undefined,
    sent: (error: Error | null) => void,
  ): void {
    if (port === undefined) {
      // A socket that was disconnected while this waited has nobody to send to.
      if (this.#peer === null) sent(named("send", "EDESTADDRREQ"));
      else this.#transmit(bytes, this.#peer, sent);
      return;
    }
    this.#find(name ?? this.#loopback, (error, address) => {
      if (this.#closed) return;
      if (error !== null) sent(error);
      else this.#transmit(bytes, { address: address!, port }, sent);
    });
  }

  #transmit(bytes: Buffer, to: Endpoint, sent: (error: Error | null) => void): void {
    if (to.address === LIMITED_BROADCAST && !this.#broadcast) {
      sent(named("send", "EACCES", to));
      return;
    }
    const address = IpAddress.parse(to.address);
    this.#udp.send(bytes, address, to.port, (outcome) =>
      sent(outcome < 0 ? systemError("send", outcome, to) : null),
    );
  }

  /** Bytes of datagrams that have not left yet. */
  getSendQueueSize(): number {
    return this.#sendingBytes;
  }

  getSendQueueCount(): number {
    return this.#sendingCount;
  }

  // -------------------------------------------------------------------------------------------
  // Receiving

  #message(bytes: Uint8Array, address: string, port: number): void {
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const remote: RemoteInfo = {
      address: this.#show(address),
      family: this.type === "udp4" ? "IPv4" : "IPv6",
      port,
      size: bytes.length,
    };
    this.#report(() => this.emit("message", message, remote));
  }

  /** Tells the application in the kernel's round: what it throws is its own, not the network's. */
  #report(tell: () => void): void {
    if (this.#closed) return;
    try {
      tell();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #emitError(error: Error): void {
    if (!this.#closed) this.emit("error", error);
  }

  // -------------------------------------------------------------------------------------------
  // Groups

  addMembership(group: string, ownAddress?: string): void {
    this.#changeMembership("addMembership", group, ownAddress);
  }

  dropMembership(group: string, ownAddress?: string): void {
    this.#changeMembership("dropMembership", group, ownAddress);
  }

  /** The kernel has no source-specific membership (RFC 4607). */
  addSourceSpecificMembership(_source: string, _group: string, _ownAddress?: string): void {
    throw unsupported("addSourceSpecificMembership", "join the group and look at who sends");
  }

  dropSourceSpecificMembership(_source: string, _group: string, _ownAddress?: string): void {
    throw unsupported("dropSourceSpecificMembership", "leave the group");
  }

  #changeMembership(what: MembershipCall, group: string, ownAddress: string | undefined): void {
    this.#check();
    this.#checkOwn(what, ownAddress);
    this.#memberships.change(what, group);
  }

  #checkOwn(what: string, address: string | undefined): void {
    if (address === undefined || address === "") return;
    const host = this.#host ?? this.#via ?? defaultHost();
    if (!host.isOwn(host.resolve(address) ?? "")) throw named(what, "EADDRNOTAVAIL");
  }

  // -------------------------------------------------------------------------------------------
  // Settings

  /** Allows sending to 255.255.255.255. */
  setBroadcast(flag: boolean): void {
    this.#demandBound("setBroadcast");
    this.#broadcast = Boolean(flag);
  }

  setTTL(ttl: number): number {
    checkNumber("ttl", ttl);
    this.#demandBound("setTTL");
    return checkHops("setTTL", ttl, this.#host!.dataplane.options.ttl);
  }

  setMulticastTTL(ttl: number): number {
    checkNumber("ttl", ttl);
    this.#demandBound("setMulticastTTL");
    return checkHops("setMulticastTTL", ttl, MULTICAST_TTL);
  }

  /** Whether sockets of this host receive what this one sends to a group; they do unless told not to. */
  setMulticastLoopback(flag: boolean): boolean {
    this.#demandBound("setMulticastLoopback");
    this.#udp.loopback = Boolean(flag);
    return flag;
  }

  setMulticastInterface(address: string): void {
    if (typeof address !== "string") throw wrongType("interfaceAddress", "string", address);
    this.#demandBound("setMulticastInterface");
    this.#checkOwn("setMulticastInterface", address);
  }

  /** Bytes that datagrams under way may occupy: the host's window. */
  getSendBufferSize(): number {
    this.#demandBound("getSendBufferSize", "ERR_SOCKET_BUFFER_SIZE");
    return this.#host!.ixev.ix.window.size;
  }

  // -------------------------------------------------------------------------------------------
  // State

  address(): { address: string; family: "IPv4" | "IPv6"; port: number } {
    this.#demandBound("getsockname");
    return { ...this.#shown(this.#shownAddress), port: this.#udp.port };
  }

  remoteAddress(): { address: string; family: "IPv4" | "IPv6"; port: number } {
    this.#check();
    if (this.#connectState !== CONNECTED) throw notConnected();
    const { address, port } = this.#peer!;
    return { ...this.#shown(address), port };
  }

  ref(): this {
    this.#binding.hold.ref();
    return this;
  }

  unref(): this {
    this.#binding.hold.unref();
    return this;
  }

  close(callback?: () => void): this {
    if (typeof callback === "function") this.once("close", callback);
    this.#check();
    if (this.#binding.isAwaited) {
      this.#binding.whenBound(() => this.#shut());
      return this;
    }
    this.#shut();
    return this;
  }

  #shut(): void {
    this.#closed = true;
    this.#binding.end();
    this.#connectState = DISCONNECTED;
    process.nextTick(() => this.emit("close"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => this.close(resolve));
  }

  #check(): void {
    if (this.#closed) throw coded(new Error("Not running"), "ERR_SOCKET_DGRAM_NOT_RUNNING");
  }

  #demandBound(what: string, code?: string): void {
    this.#check();
    if (this.#binding.isBound) return;
    const error = named(what, "EBADF");
    throw code === undefined ? error : coded(error, code);
  }

  // -------------------------------------------------------------------------------------------
  // Addresses

  get #family(): number {
    return this.type === "udp4" ? 4 : 6;
  }

  get #loopback(): string {
    return this.type === "udp4" ? "127.0.0.1" : "::1";
  }

  get #shownAddress(): string {
    return this.#binding.shownAddress;
  }

  #find(name: string, found: (error: Error | null, address?: string) => void): void {
    if (this.#lookup === undefined && isThisHost(name)) {
      process.nextTick(found, null, this.#host!.toWire(name));
      return;
    }
    lookUp(this.#host!, name, { lookup: this.#lookup, family: this.#family }, found);
  }

  #shown(address: string): { address: string; family: "IPv4" | "IPv6" } {
    return { address: this.#show(address), family: this.type === "udp4" ? "IPv4" : "IPv6" };
  }

  /** As a socket of its type shows it: IPv4 to IPv6 is mapped (RFC 4291 section 2.5.5.2). */
  #show(address: string): string {
    return this.type === "udp4" || address.includes(":") ? address : `::ffff:${address}`;
  }
}

function portAndAddress(port: unknown, address: unknown): BindOptions {
  return {
    port: typeof port === "function" ? 0 : (port as number | undefined),
    address: typeof address === "function" ? undefined : (address as string | undefined),
  };
}

function notConnected(): Error {
  return coded(new Error("Not connected"), "ERR_SOCKET_DGRAM_NOT_CONNECTED");
}
