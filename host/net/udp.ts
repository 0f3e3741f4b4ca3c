/**
 * UDP sockets of a host, on the raw calls: the event layer has none of its own. Every send goes from a
 * block of the application's window, endpoint record and payload in one; the block is free again when
 * the kernel has copied it, or for long datagrams when the NIC has sent it.
 *
 *   block | endpoint record (ENDPOINT_SIZE) | … | payload at PAYLOAD
 */
import {
  EV_UDP_RECV,
  EV_UDP_SENT,
  RC_NOBUFS,
  RC_OK,
  SYS_UDP_BIND,
  SYS_UDP_SEND,
} from "../../assembly/abi.ts";
import type { IpAddress } from "../libix/ip-address.ts";
import type { Ixev } from "../libix/ixev.ts";

const PAYLOAD = 64;

/** What a UDP socket tells its user. The bytes are a copy. */
export interface UdpHandlers {
  /** What came of `bind`: an `RC_*` code, and the port. */
  bound(outcome: number, port: number): void;
  message(bytes: Uint8Array, address: string, port: number): void;
}

interface Sending {
  readonly block: number;
  readonly sent: (outcome: number) => void;
}

export class UdpSocket {
  /** The kernel's handle; 0 before it is bound and after it was closed. */
  handle = 0;
  port = 0;
  closed = false;
  readonly handlers: UdpHandlers;
  readonly #layer: UdpLayer;

  constructor(layer: UdpLayer, handlers: UdpHandlers) {
    this.#layer = layer;
    this.handlers = handlers;
  }

  /**
   * Sends a copy of `bytes`. `sent` is called with the number of bytes when they are on their way, with
   * an `RC_*` code when they are not.
   */
  send(
    bytes: Uint8Array,
    address: IpAddress,
    port: number,
    sent: (outcome: number) => void = () => {},
  ): void {
    this.#layer.send(this, bytes, address, port, sent);
  }

  close(): void {
    this.#layer.close(this);
  }
}

export class UdpLayer {
  readonly #ixev: Ixev;
  /** Sockets by the cookie of their bind, which comes back with every datagram. */
  readonly #sockets = new Map<number, UdpSocket>();
  readonly #sendings = new Map<number, Sending>();
  #cookies = 0;

  constructor(ixev: Ixev) {
    this.#ixev = ixev;
  }

  /** Binds a UDP port, 0 for any free one. */
  bind(port: number, handlers: UdpHandlers): UdpSocket {
    const socket = new UdpSocket(this, handlers);
    const cookie = this.#cookie();
    this.#sockets.set(cookie, socket);
    this.#ixev.later(() => this.#ixev.ix.udpBind(cookie, port));
    return socket;
  }

  /** A socket's: see `UdpSocket.send`. */
  send(
    socket: UdpSocket,
    bytes: Uint8Array,
    address: IpAddress,
    port: number,
    sent: (outcome: number) => void,
  ): void {
    const { ix } = this.#ixev;
    const block = ix.window.allocate(PAYLOAD + bytes.length);
    if (block === 0) {
      sent(RC_NOBUFS);
      return;
    }
    ix.writeEndpoint(block, address, port);
    ix.write(block + PAYLOAD, bytes);
    const cookie = this.#cookie();
    this.#sendings.set(cookie, { block, sent });
    const { length } = bytes;
    this.#ixev.later(() => ix.udpSend(socket.handle, block + PAYLOAD, length, block, cookie));
  }

  /** A socket's: see `UdpSocket.close`. */
  close(socket: UdpSocket): void {
    if (socket.closed) return;
    socket.closed = true;
    if (socket.handle !== 0) this.#unbind(socket);
  }

  /** The event layer's: an event that is none of its own. */
  event(index: number): void {
    const { ix } = this.#ixev;
    const operation = ix.eventOp(index);
    if (operation === EV_UDP_SENT) this.#finish(ix.eventCookie(index), ix.eventA(index));
    if (operation !== EV_UDP_RECV) return;
    const socket = this.#sockets.get(ix.eventCookie(index));
    if (socket !== undefined && !socket.closed) {
      const at = ix.eventA(index);
      const bytes = ix.bytes.slice(at, at + ix.eventB(index));
      const endpoint = ix.eventC(index);
      const address = ix.readAddress(endpoint).toString();
      socket.handlers.message(bytes, address, ix.endpointPort(endpoint));
    }
    ix.udpRecvDone(ix.eventHandle(index), ix.eventD(index));
  }

  /** The event layer's: the result of a call that is none of its own. */
  result(index: number): void {
    const { ix } = this.#ixev;
    const operation = ix.resultOperation(index);
    if (operation === SYS_UDP_BIND) this.#bound(index);
    if (operation !== SYS_UDP_SEND) return;
    const outcome = ix.result(index);
    // A referenced payload is free only with its `udp_sent`.
    if (outcome < ix.copyBreak) this.#finish(ix.resultCookie(index), outcome);
  }

  #bound(index: number): void {
    const { ix } = this.#ixev;
    const cookie = ix.resultCookie(index);
    const socket = this.#sockets.get(cookie)!;
    const outcome = ix.result(index);
    if (outcome !== RC_OK) {
      this.#sockets.delete(cookie);
      if (!socket.closed) socket.handlers.bound(outcome, 0);
      return;
    }
    socket.handle = ix.resultHandle(index);
    socket.port = ix.resultPort(index);
    if (socket.closed) this.#unbind(socket);
    else socket.handlers.bound(RC_OK, socket.port);
  }

  #unbind(socket: UdpSocket): void {
    const { handle } = socket;
    socket.handle = 0;
    this.#ixev.later(() => this.#ixev.ix.udpUnbind(handle));
    for (const [cookie, each] of this.#sockets) {
      if (each === socket) this.#sockets.delete(cookie);
    }
  }

  #finish(cookie: number, outcome: number): void {
    const sending = this.#sendings.get(cookie);
    if (sending === undefined) return;
    this.#sendings.delete(cookie);
    this.#ixev.ix.window.free(sending.block);
    sending.sent(outcome);
  }

  /** A cookie that nothing else of this layer has; never 0, nor the event layer's own. */
  #cookie(): number {
    do {
      this.#cookies = (this.#cookies + 1) & 0x7fffffff;
    } while (
      this.#cookies === 0 ||
      this.#sockets.has(this.#cookies) ||
      this.#sendings.has(this.#cookies)
    );
    return this.#cookies;
  }
}
