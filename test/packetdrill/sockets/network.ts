/**
 * The application on the dataplane: makes system calls through libix, each run at once, and hands
 * events to the sockets they belong to.
 */
import {
  CFG_SYN_RETRIES,
  CONFIG_BASE,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  EV_UDP_RECV,
  EV_UDP_SENT,
} from "../../../assembly/abi.ts";
import type { App } from "../../../host/libix/app.ts";
import { IpAddress } from "../../../host/libix/ip-address.ts";
import type { Ix } from "../../../host/libix/ix.ts";
import { readTcpInfo, type ConnectionInfo } from "../../../host/libix/tcp-info.ts";

export interface CallResult {
  /** RC_OK, a number of bytes, or a negative RC_* code. */
  readonly result: number;
  readonly handle: number;
  /** Port that udp_bind was given. */
  readonly port: number;
}

/** What the kernel says of one listener, connection or UDP port. */
export interface EventSink {
  knock?(handle: number, remoteIp: string, remotePort: number): void;
  connected?(outcome: number, localPort: number): void;
  received?(bytes: number): void;
  sent?(bytes: number): void;
  dead?(handle: number, reason: number, bytes: number): void;
  /** The kernel has run. */
  polled?(): void;
  datagram?(bytes: number, token: number): void;
  /** The kernel is quiet for now. */
  settled?(now: number): void;
}

/** Bytes that one system call sends at most; all of them zero. */
export const ZEROS = 1 << 20;

export class Network implements App {
  #ix!: Ix;
  #zeros = 0;
  #endpoint = 0;
  #cookies = 0;
  readonly #sinks = new Map<number, EventSink>();

  start(ix: Ix): void {
    this.#ix = ix;
    this.#zeros = ix.window.allocate(ZEROS);
    ix.bytes.fill(0, this.#zeros, this.#zeros + ZEROS);
    this.#endpoint = ix.window.allocate(64);
  }

  get memory(): WebAssembly.Memory {
    return this.#ix.memory;
  }

  /** A cookie whose events go to `sink`. */
  register(sink: EventSink): number {
    const cookie = ++this.#cookies;
    this.#sinks.set(cookie, sink);
    return cookie;
  }

  /** Makes one system call and runs it without waiting for the next poll. */
  call(make: (ix: Ix) => number): CallResult {
    const ix = this.#ix;
    let outcome: CallResult | undefined;
    const index = make(ix);
    ix.onFlush = () => {
      outcome = {
        result: ix.result(index),
        handle: ix.resultHandle(index),
        port: ix.resultPort(index),
      };
    };
    ix.flush();
    ix.onFlush = null;
    if (!outcome) throw new Error("the kernel ran no system call");
    return outcome;
  }

  /** What the kernel says of a connection; null when it is gone. */
  info(handle: number): ConnectionInfo | null {
    return readTcpInfo(this.#ix, handle);
  }

  /** Queues up to `length` zero bytes. Returns how many were accepted, or a negative RC_* code. */
  send(handle: number, length: number, flags: number): number {
    return this.call((ix) => ix.send(handle, this.#zeros, Math.min(length, ZEROS), 0, flags))
      .result;
  }

  /** Opens a connection with up to `length` zero bytes for its SYN: the result says how many it took. */
  connectSend(
    cookie: number,
    to: { readonly ip: string; readonly port: number },
    length: number,
    sourcePort: number,
    flags: number,
  ): CallResult {
    const ix = this.#ix;
    ix.writeEndpoint(this.#endpoint, IpAddress.parse(to.ip), to.port);
    const bytes = Math.min(length, ZEROS);
    return this.call(() =>
      ix.connectSend(cookie, this.#endpoint, this.#zeros, bytes, sourcePort, flags),
    );
  }

  /** For all connections: no script has two of them in the handshake that time out. */
  setSynRetries(count: number): void {
    new DataView(this.memory.buffer).setUint32(CONFIG_BASE + CFG_SYN_RETRIES, count, true);
  }

  /** Puts bytes where the kernel may read them; returns where, until the next call. */
  place(bytes: Uint8Array): number {
    const at = this.#endpoint;
    this.#ix.write(at, bytes);
    return at;
  }

  udpSend(handle: number, length: number, ip: string, port: number): number {
    const ix = this.#ix;
    ix.writeEndpoint(this.#endpoint, IpAddress.parse(ip), port);
    return this.call(() => ix.udpSend(handle, this.#zeros, length, this.#endpoint)).result;
  }

  settled(now: number): void {
    for (const sink of this.#sinks.values()) sink.settled?.(now);
  }

  handle(ix: Ix): void {
    for (let index = 0; index < ix.eventCount; index++) {
      const sink = this.#sinks.get(ix.eventCookie(index));
      if (sink) this.#dispatch(ix, index, sink);
    }
    this.polled();
  }

  /** Tells everybody that the kernel has run. */
  polled(): void {
    for (const sink of this.#sinks.values()) sink.polled?.();
  }

  #dispatch(ix: Ix, index: number, sink: EventSink): void {
    switch (ix.eventOp(index)) {
      case EV_KNOCK: {
        const ip = ix.knockAddress(index).toString();
        return sink.knock?.(ix.eventHandle(index), ip, ix.knockRemotePort(index));
      }
      case EV_CONNECTED:
        return sink.connected?.(ix.eventResult(index), ix.eventA(index));
      case EV_RECV:
        return sink.received?.(ix.eventB(index));
      case EV_SENT:
        return sink.sent?.(ix.eventA(index));
      case EV_DEAD:
        return sink.dead?.(ix.eventHandle(index), ix.eventResult(index), ix.eventA(index));
      case EV_UDP_RECV:
        return sink.datagram?.(ix.eventB(index), ix.eventD(index));
      case EV_UDP_SENT:
        return;
    }
  }
}
