/**
 * The contract between kernel and application, watched from outside: every call and every event of a
 * test passes through here, and whatever breaks a promise of assembly/abi.ts throws.
 *
 * - A connection's handle is born by `connect` or `knock` and ends exactly once.
 * - Its events carry its own cookie, and come only while it lives.
 * - `sent` and `dead` never acknowledge more than was accepted.
 * - What `recv` handed out stays untouched until `recv_done` gives it back.
 * - A connection that leaves for another core has ended here, and is born anew there.
 * - After the stream's end, and after `close`, nothing more is received.
 */
import {
  ARRIVED_CONNECTING,
  FLAG_DEFER,
  RC_OK,
  SYS_ABORT,
  SYS_ACCEPT,
  SYS_CLOSE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_LISTEN,
  SYS_RECV_DONE,
  SYS_REJECT,
  SYS_SEND,
  SYS_SENDV,
  SYS_TIMER_CANCEL,
  SYS_TIMER_SET,
  SYS_UDP_BIND,
  SYS_UDP_RECV_DONE,
  SYS_UDP_UNBIND,
  SYS_UNLISTEN,
} from "../../assembly/abi.ts";
import { firstDifference } from "./bytes.ts";
import { formatEvent, type KernelEvent, type UdpRecv } from "./events.ts";

export interface CallRecord {
  readonly op: number;
  readonly handle: number;
  readonly cookie: number;
  readonly a: number;
  readonly flags: number;
  readonly result: number;
  /** Handle after the call: new for connect, listen, udp_bind and timer_set. */
  readonly resultHandle: number;
}

interface HeldBytes {
  readonly address: number;
  readonly data: Uint8Array;
  taken: number;
}

interface Connection {
  cookie: number | undefined;
  /** Knocked on its SYN: `connected` follows accept. */
  readonly deferred: boolean;
  /** Came from another core: only in its handshake does `connected` follow accept. */
  readonly arrived: boolean;
  owned: boolean;
  connecting: boolean;
  closed: boolean;
  ended: boolean;
  accepted: number;
  acked: number;
  readonly held: HeldBytes[];
}

export class Contract {
  readonly connections = new Map<number, Connection>();
  readonly listeners = new Set<number>();
  readonly udpPorts = new Map<number, Map<number, UdpRecv>>();
  readonly timers = new Set<number>();
  /** Cookies of listeners that defer. */
  readonly #deferring = new Set<number>();
  readonly #memory: Uint8Array;
  #forgotten = false;

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }

  /** Before a call runs: what it gives back must still be what was handed out. */
  calling(op: number, handle: number, a: number): void {
    if (op === SYS_RECV_DONE) {
      for (const { address, data, taken } of this.connections.get(handle)?.held ?? []) {
        this.#intact(address, data, taken);
      }
    } else if (op === SYS_UDP_RECV_DONE) {
      const datagram = this.udpPorts.get(handle)?.get(a);
      if (datagram) this.#intact(datagram.address, datagram.data);
    }
  }

  /** After a call has run. */
  called(call: CallRecord): void {
    const { op, handle, result, resultHandle } = call;
    if (result < 0) return;
    switch (op) {
      case SYS_CONNECT:
        this.#bear(resultHandle, {
          cookie: call.cookie,
          owned: true,
          connecting: true,
          deferred: false,
        });
        break;
      case SYS_CONNECT_SEND:
        this.#bear(resultHandle, {
          cookie: call.cookie,
          owned: true,
          connecting: true,
          deferred: false,
        });
        this.#live(resultHandle, "connect_send").accepted += result;
        break;
      case SYS_ACCEPT: {
        const connection = this.#live(handle, "accept");
        connection.cookie = call.cookie;
        connection.owned = true;
        connection.connecting ||= connection.deferred && !connection.arrived;
        break;
      }
      case SYS_REJECT:
      case SYS_ABORT:
        this.#live(handle, "abort");
        this.connections.delete(handle);
        break;
      case SYS_SEND:
      case SYS_SENDV:
        this.#live(handle, "send").accepted += result;
        break;
      case SYS_RECV_DONE:
        this.#giveBack(this.#live(handle, "recv_done"), call.a);
        break;
      case SYS_CLOSE: {
        const connection = this.#live(handle, "close");
        connection.closed = true;
        // What was received is disowned by it.
        connection.held.length = 0;
        break;
      }
      case SYS_LISTEN:
        this.#fresh(this.listeners, resultHandle, "listen");
        if (call.flags & FLAG_DEFER) this.#deferring.add(call.cookie);
        break;
      case SYS_UNLISTEN:
        this.listeners.delete(handle);
        break;
      case SYS_UDP_BIND:
        if (this.udpPorts.has(resultHandle)) throw new Error("udp_bind: handle is in use");
        this.udpPorts.set(resultHandle, new Map());
        break;
      case SYS_UDP_UNBIND:
        this.udpPorts.delete(handle);
        break;
      case SYS_UDP_RECV_DONE: {
        const held = this.udpPorts.get(handle);
        if (!held?.delete(call.a)) throw new Error(`udp_recv_done took ${call.a}, not held`);
        break;
      }
      case SYS_TIMER_SET:
        this.#fresh(this.timers, resultHandle, "timer_set");
        break;
      case SYS_TIMER_CANCEL:
        this.timers.delete(handle);
        break;
    }
  }

  /** An event was reported. */
  happened(event: KernelEvent): void {
    if (this.#forgotten) return;
    const { handle, cookie } = event;
    switch (event.kind) {
      case "knock":
        this.#bear(handle, {
          cookie: undefined,
          owned: false,
          connecting: false,
          deferred: this.#deferring.has(cookie),
        });
        return;
      case "arrived":
        this.#bear(handle, {
          cookie: undefined,
          owned: false,
          connecting: (event.flags & ARRIVED_CONNECTING) !== 0,
          deferred: true,
          arrived: true,
        });
        return;
      case "timer":
        if (!this.timers.delete(handle)) this.#broken(event, "no such timer");
        return;
      case "udp_recv": {
        const held = this.udpPorts.get(handle);
        if (!held) this.#broken(event, "no such port");
        if (held.has(event.token)) this.#broken(event, "token is in use");
        held.set(event.token, event);
        return;
      }
      case "udp_error":
        if (!this.udpPorts.has(event.handle)) this.#broken(event, "no such port");
        return;
      case "udp_sent":
        return;
    }
    const connection = this.connections.get(handle);
    if (!connection) this.#broken(event, "no such connection");
    if (connection.cookie !== undefined && connection.cookie !== cookie) {
      this.#broken(event, `cookie is not ${connection.cookie}`);
    }
    switch (event.kind) {
      case "connected":
        if (!connection.connecting) this.#broken(event, "not connecting");
        connection.connecting = false;
        if (event.outcome !== RC_OK) this.connections.delete(handle);
        return;
      case "recv":
        if (!connection.owned || connection.connecting) this.#broken(event, "before its time");
        if (connection.ended) this.#broken(event, "after the stream's end");
        if (connection.closed) this.#broken(event, "after close");
        if (event.data.length === 0) connection.ended = true;
        else connection.held.push({ address: event.address, data: event.data, taken: 0 });
        return;
      case "sent":
        if (connection.connecting) this.#broken(event, "before connected");
        this.#acknowledge(connection, event.acked, event);
        return;
      case "left":
        this.connections.delete(handle);
        return;
      case "dead":
        if (connection.connecting && !connection.deferred && !connection.closed)
          this.#broken(event, "before connected");
        this.#acknowledge(connection, event.acked, event);
        if (event.reason === RC_OK && connection.acked !== connection.accepted) {
          this.#broken(event, `${connection.accepted - connection.acked} bytes not acknowledged`);
        }
        this.connections.delete(handle);
        return;
    }
  }

  /** The application is gone, and what it was told of with it. */
  forget(): void {
    this.connections.clear();
    this.listeners.clear();
    this.udpPorts.clear();
    this.timers.clear();
    this.#forgotten = true;
  }

  /** A new application begins where one was forgotten. */
  beginAnew(): void {
    this.#forgotten = false;
  }

  /** Bytes received on a connection and not given back. */
  heldBytes(handle: number): number {
    const held = this.connections.get(handle)?.held ?? [];
    return held.reduce((sum, part) => sum + part.data.length - part.taken, 0);
  }

  /** Fails unless everything that was handed out still holds what it held then. */
  checkHeld(): void {
    for (const { held } of this.connections.values()) {
      for (const { address, data, taken } of held) this.#intact(address, data, taken);
    }
    for (const port of this.udpPorts.values()) {
      for (const { address, data } of port.values()) this.#intact(address, data);
    }
  }

  #bear(
    handle: number,
    state: Pick<Connection, "cookie" | "owned" | "connecting" | "deferred"> & {
      readonly arrived?: boolean;
    },
  ): void {
    if (this.connections.has(handle)) {
      throw new Error(`handle ${handle.toString(16)} was given out twice`);
    }
    this.connections.set(handle, {
      arrived: false,
      ...state,
      closed: false,
      ended: false,
      accepted: 0,
      acked: 0,
      held: [],
    });
  }

  #live(handle: number, call: string): Connection {
    const connection = this.connections.get(handle);
    if (!connection) throw new Error(`${call} succeeded on a handle that had ended`);
    return connection;
  }

  #fresh(handles: Set<number>, handle: number, call: string): void {
    if (handles.has(handle)) throw new Error(`${call}: handle is in use`);
    handles.add(handle);
  }

  #acknowledge(connection: Connection, bytes: number, event: KernelEvent): void {
    connection.acked += bytes;
    if (connection.acked > connection.accepted) {
      this.#broken(event, `only ${connection.accepted} bytes were accepted`);
    }
  }

  #giveBack(connection: Connection, bytes: number): void {
    let left = bytes;
    while (left > 0) {
      const first = connection.held[0];
      if (!first) throw new Error(`recv_done took ${left} bytes more than were received`);
      const step = Math.min(left, first.data.length - first.taken);
      first.taken += step;
      left -= step;
      if (first.taken === first.data.length) connection.held.shift();
    }
  }

  #intact(address: number, data: Uint8Array, from = 0): void {
    const now = this.#memory.subarray(address + from, address + data.length);
    if (firstDifference(now, data.subarray(from)) >= 0) {
      throw new Error(`received data at ${address} changed while the application held it`);
    }
  }

  #broken(event: KernelEvent, why: string): never {
    throw new Error(`contract: ${formatEvent(event)}: ${why}`);
  }
}
